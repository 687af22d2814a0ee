"""Control flow and maps: sections 16 and 17 of the reference."""

from __future__ import annotations

from tests.contract.inventory import Rule

RULES = (
    Rule(
        "16",
        "case",
        "A block of tasks runs if a value is the expected one.",
        (
            "16: case runs its tasks when the value is the expected one and skips them when it is not",
            "16: case decides about tasks that wait for no other of the block; those after them follow",
            "16: case leaves alone what its tasks wait for outside, also if nobody else needs it",
            "16: case compares with a parameter's value",
            "16: case compares with a constant, and parameters and constants of its block run on",
            "16: case compares with a list of tasks",
            "16: case compares by !=, so that 1 is True",
        ),
    ),
    Rule(
        "16",
        "case's errors",
        "A task as value, and two flows, are refused.",
        (
            "16: case: a value that is a task is a TypeError",
            "16: case: tasks of two flows in one block are a ValueError",
            "tasks/test_case.py::test_a_value_that_is_a_task_is_refused",
            "tasks/test_case.py::test_a_block_takes_tasks_of_one_flow",
        ),
    ),
    Rule(
        "16",
        "case nests",
        "The inner comparison stands in the outer block.",
        (
            "16: case is nested by making the inner comparison conditional",
            "tasks/test_case.py::test_an_inner_comparison_belongs_to_the_outer_block",
        ),
    ),
    Rule(
        "16",
        "case's value",
        "A failed or skipped value fails or skips the block.",
        ("16: case fails its tasks when the value could not be made, and skips them when it was skipped",),
    ),
    Rule(
        "16",
        "case without skip",
        "A task that does not skip with its upstreams runs.",
        ("16: case is no obstacle to a task with skip_on_upstream_skip=False",),
        differs="kept",
    ),
    Rule(
        "16",
        "case around maps",
        "Holds them as one.",
        ("16: case holds a map as one, and a list of tasks through its consumer",),
    ),
    Rule(
        "16",
        "switch",
        "One branch of several.",
        (
            "16: switch runs the one branch that belongs to the value and skips the others",
            "16: switch takes a parameter or a constant, and no branch if none belongs to the value",
            "16: switch unmapped takes a mapped branch whole",
            "16: switch: its comparisons are tagged 'switch'",
        ),
    ),
    Rule(
        "16",
        "switch's upstreams",
        "What a branch waits for runs all the same.",
        ("16: switch leaves what a branch waits for running",),
        differs="kept",
    ),
    Rule("16", "switch mapped", "Child by child.", ("16: switch mapped decides child by child",)),
    Rule(
        "16",
        "switch's refusals",
        "A branch that cannot be skipped is refused.",
        (
            "16: switch: a branch that cannot be skipped is a TypeError (1.x let it run)",
            "tasks/test_conditional.py::test_a_branch_that_cannot_be_skipped_is_refused_and_changes_nothing",
        ),
        differs="mended",
    ),
    Rule(
        "16",
        "ifelse",
        "By the truth of a value; a branch may be left out.",
        (
            "16: ifelse asks for the truth of the value",
            "16: ifelse leaves out a branch that is None",
            "16: ifelse mapped decides child by child",
        ),
    ),
    Rule(
        "16",
        "merge",
        "The value of the branch that ran.",
        (
            "16: merge gives the value of the branch that was taken",
            "16: merge is skipped if all branches were, and refused if one failed",
            "16: merge takes constants and parameters, which are never skipped",
            "16: merge in a case whose branches stand outside runs, since it leaves the skip to its trigger",
            "16: merge: skip_on_upstream_skip=True is a ValueError",
            "16: merge: trigger not_all_skipped, skip_on_upstream_skip False",
        ),
    ),
    Rule(
        "16",
        "merge's order",
        "By argument, and no signal is a value.",
        (
            "16: merge takes the first in argument order that is not None (SEMANTICS 5), also past the ninth",
            "16: merge takes no signal for a value (SEMANTICS 5) and is None if all that ran gave None",
        ),
        differs="S5",
    ),
    Rule(
        "16",
        "merge mapped",
        "Child by child, or of a map as one.",
        ("16: merge takes the values of a map as one, and mapped it merges child by child",),
    ),
    Rule(
        "16",
        "FilterTask",
        "Drops what its function does not approve of.",
        (
            "16: FilterTask runs however its upstreams ended and drops None, exceptions and signals",
            "16: FilterTask keeps what its function approves of",
            "16: FilterTask may be given another trigger",
            "16: FilterTask: trigger all_finished, skip_on_upstream_skip False",
            "tasks/test_conditional.py::test_a_filter_logs_what_its_function_says_of_the_kept_values",
        ),
    ),
    Rule(
        "16",
        "apply_map",
        "Maps what a function makes.",
        (
            "16: apply_map maps all that its function makes over all arguments",
            "16: apply_map hands unmapped arguments over whole and unnests flattened ones",
            "16: apply_map lets tasks without an argument wait for all arguments, so all maps are of one length",
            "16: apply_map after apply_map goes child by child, and of an empty list is empty",
            "16: apply_map hands what its function takes from outside over whole",
            "16: apply_map takes lists and dicts of tasks inside",
            "16: apply_map gives a list inside the exception of a failed member and None for a skipped one",
            "tasks/test_apply_map.py::test_edges_inside_are_mapped_and_roots_wait_for_every_argument",
            "contract/test_contract_control_flow.py::test_the_lists_inside_an_apply_map_have_values_in_the_flows_state",
        ),
    ),
    Rule(
        "16",
        "apply_map's control flow",
        "case, switch and merge inside.",
        (
            "16: apply_map works with case, merge and switch inside, child by child",
            "16: apply_map in a case is held back with it",
        ),
    ),
    Rule(
        "16",
        "apply_map's failures",
        "Each child has its own.",
        ("16: apply_map gives each child its own failures and skips",),
    ),
    Rule(
        "16",
        "apply_map's errors",
        "Arguments without items, and maps inside.",
        (
            "16: apply_map: an argument without items is a TypeError, a map inside a ValueError",
            "tasks/test_apply_map.py::test_an_argument_that_has_no_items_is_refused",
            "tasks/test_apply_map.py::test_a_map_inside_is_refused_and_leaves_the_flow_as_it_was",
        ),
    ),
    Rule(
        "17",
        "width",
        "All inputs have one length, unless the shortest may count.",
        (
            "contract/test_contract_mapping.py::test_unequal_lengths_fail_the_map_and_name_the_inputs",
            "contract/test_contract_mapping.py::test_unequal_lengths_stop_at_the_shortest_where_the_task_says_so",
            "rules/test_width_rule.py::test_inputs_of_equal_length_give_that_many_children_and_others_fail",
        ),
        differs="S6",
    ),
    Rule(
        "17",
        "upstream_tasks",
        "Wait, and count for no width.",
        ("contract/test_contract_mapping.py::test_upstream_tasks_of_a_map_come_first_and_move_no_value",),
        differs="S6",
    ),
    Rule(
        "17",
        "index",
        "A child knows its index and is called by it.",
        ("contract/test_contract_mapping.py::test_children_know_their_index",),
    ),
    Rule(
        "17",
        "what can be mapped over",
        "Sequences, arrays and strings.",
        (
            "contract/test_contract_mapping.py::test_everything_that_can_be_mapped_over_gives_the_same_children",
            "contract/test_contract_mapping.py::test_a_string_maps_over_its_characters",
            "contract/test_contract_mapping.py::test_an_array_maps_over_its_first_axis",
            "contract/test_contract_mapping.py::test_a_map_over_a_parameter_has_its_width",
        ),
    ),
    Rule(
        "17",
        "what cannot",
        "Fails the map alone, dicts too.",
        ("contract/test_contract_mapping.py::test_what_cannot_be_mapped_over_fails_the_map_alone",),
        differs="S6",
    ),
    Rule(
        "17",
        "no width",
        "A failed upstream gives none, whatever the trigger.",
        (
            "contract/test_contract_mapping.py::test_a_failed_map_source_fails_the_map",
            "engine/test_engine_mapping.py::test_an_upstream_that_failed_has_no_width_whatever_the_trigger",
        ),
    ),
    Rule(
        "17",
        "skipped",
        "A skipped upstream skips the map.",
        (
            "contract/test_contract_mapping.py::test_a_skipped_map_source_skips_the_map",
            "engine/test_engine_rules_before.py::test_an_unmapped_skipped_upstream_skips_the_whole_map",
        ),
    ),
    Rule(
        "17",
        "unmapped failure",
        "The map unfolds, and each child is refused.",
        ("contract/test_contract_mapping.py::test_an_unmapped_failure_reaches_every_child",),
    ),
    Rule(
        "17",
        "empty",
        "No children, and what is below is empty too.",
        (
            "contract/test_contract_mapping.py::test_an_empty_map_has_no_children_and_its_reduce_goes_by_its_trigger",
        ),
    ),
    Rule(
        "17",
        "map over map",
        "Child by child, without a barrier.",
        (
            "contract/test_contract_mapping.py::test_a_map_of_a_map_pairs_the_children",
            "engine/test_engine_mapping.py::test_a_map_of_a_map_needs_no_barrier",
            "contract/test_contract_mapping.py::test_a_wide_map_of_maps_ends",
        ),
    ),
    Rule(
        "17",
        "reduce",
        "Gets all values in order; exceptions and None where it runs all the same.",
        (
            "contract/test_contract_mapping.py::test_a_tolerant_reduce_gets_exceptions_and_nones_in_index_order",
        ),
        differs="S5",
    ),
    Rule(
        "17",
        "reduce by default",
        "Is refused or skipped with the worst child.",
        ("contract/test_contract_mapping.py::test_a_reduce_by_default_follows_its_worst_child",),
    ),
    Rule(
        "17",
        "success of a map",
        "Says that it unfolded.",
        (
            "states/test_state.py::test_it_counts_its_children_unless_it_is_told_how_many",
            "contract/test_contract_mapping.py::test_a_map_of_a_map_pairs_the_children",
        ),
        differs="S4",
    ),
    Rule(
        "17",
        "terminal map",
        "Counts by its children.",
        ("contract/test_contract_mapping.py::test_a_map_of_a_map_pairs_the_children",),
    ),
    Rule(
        "17",
        "flatten",
        "Unnests one level, of values and of maps.",
        (
            "contract/test_contract_mapping.py::test_flatten_unnests_one_level_of_values_and_of_maps",
            "engine/test_engine_mapping.py::test_a_failed_or_skipped_child_is_one_element_of_a_flattened_map",
        ),
    ),
    Rule(
        "17",
        "constants",
        "A constant that is mapped over is a task.",
        ("4.2: constants that are mapped, flattened or have no key stay tasks",),
    ),
    Rule(
        "17",
        "cost",
        "Children carry no copies of what they share.",
        ("cluster/test_bundles_behaviour.py::test_a_shared_input_travels_once_per_worker",),
        differs="S6",
    ),
)
