"""How a run goes: sections 10, 11, 14 and 15 of the reference."""

from __future__ import annotations

from tests.contract.inventory import Rule

RULES = (
    Rule(
        "10",
        "attempt number",
        "A body knows which attempt it is.",
        ("contract/test_contract_context.py::test_attempts_count_and_share_their_idempotency_key",),
    ),
    Rule(
        "10",
        "start time",
        "What is to start later waits.",
        (
            "8: RETRY a retry starts no sooner than it asks",
            "7: Scheduled a state handler may put off the start",
        ),
    ),
    Rule(
        "10",
        "upstreams first",
        "Before they have ended, nothing happens to a run.",
        (
            "contract/test_contract_signals.py::test_12_a_run_below_what_is_paused_stays_pending_and_its_handlers_are_not_called",
        ),
    ),
    Rule(
        "10",
        "skip before trigger",
        "The order of the two.",
        ("engine/test_engine_rules_before.py::test_a_skip_beats_a_users_own_trigger_which_is_not_asked",),
    ),
    Rule(
        "10",
        "map before trigger",
        "The order of the two.",
        ("engine/test_engine_rules_before.py::test_a_width_beats_the_trigger",),
    ),
    Rule(
        "10",
        "inputs",
        "Upstreams' values come as arguments.",
        (
            "contract/test_contract_outcomes.py::test_a_value_flows_from_task_to_task",
            "contract/test_contract_outcomes.py::test_none_is_a_value_like_any_other",
        ),
    ),
    Rule(
        "10",
        "Running",
        "Is told before the body runs, and may be replaced.",
        (
            "engine/test_engine_handlers.py::test_a_handler_may_end_a_run_before_it_starts",
            "contract/test_contract_outcomes.py::test_handlers_see_every_transition_in_order",
        ),
    ),
    Rule(
        "10",
        "exceptions",
        "A body's exception fails its task, with its traceback.",
        (
            "contract/test_contract_outcomes.py::test_a_failure_carries_its_exception_and_traceback_and_fails_what_is_below",
        ),
    ),
    Rule(
        "10",
        "retry before loop",
        "Both are rules of the end of an attempt.",
        (
            "12: LOOP a failed iteration is tried again and the budget counts for each",
            "engine/test_engine_retry.py::test_a_failure_waits_for_its_delay_on_a_timer",
        ),
    ),
    Rule("10", "loops without recursion", "However long.", ("12: LOOP a loop may be long",)),
    Rule(
        "10",
        "errors of the engine",
        "Are states too, and lose no other.",
        ("driver/test_driver_loop.py::test_an_error_of_our_own_ends_the_run_with_all_states",),
        differs="S1",
    ),
    Rule(
        "10",
        "BaseException",
        "Fails or crashes its task alone.",
        (
            "contract/test_contract_outcomes.py::test_a_base_exception_fails_its_task_alone",
            "contract/test_contract_outcomes.py::test_leaving_the_process_politely_is_a_crash",
        ),
        differs="S4",
    ),
    Rule(
        "10",
        "Ctrl-C",
        "Ends the run cancelled, and goes on.",
        (
            "test_flow.py::test_ctrl_c_ends_a_sleeping_body_and_goes_on",
            "test_flow.py::test_a_script_ends_by_ctrl_c_with_its_states_cancelled",
        ),
        differs="S7",
    ),
    Rule(
        "10",
        "one call for a transition",
        "Handlers are called where a state changes, and not else.",
        (
            "contract/test_contract_outcomes.py::test_handlers_see_every_transition_in_order",
            "contract/test_contract_signals.py::test_12_a_run_below_what_is_paused_stays_pending_and_its_handlers_are_not_called",
        ),
    ),
    Rule(
        "11.1",
        "order",
        "A flow begins Running, and ends by its reference tasks.",
        ("15: flow handlers see Scheduled > Running and Running > Success or Failed, with the flow",),
    ),
    Rule(
        "11.1",
        "constants",
        "Need no place to run.",
        ("6: constants that are tasks end Success with their value",),
    ),
    Rule(
        "11.1",
        "no state is lost",
        "Whatever one task does, each has its state.",
        (
            "contract/test_contract_outcomes.py::test_what_cannot_be_pickled_fails_its_task_where_it_must_travel",
            "contract/test_contract_outcomes.py::test_an_argument_that_cannot_be_pickled_fails_its_task_and_no_other",
            "driver/test_driver_loop.py::test_an_error_of_our_own_ends_the_run_with_all_states",
        ),
        differs="S1",
    ),
    Rule(
        "11.1",
        "unfinished",
        "A flow with something unfinished is Running.",
        (
            "contract/test_contract_triggers.py::test_a_task_for_a_person_to_start_pauses_and_the_flow_stays_running",
            "rules/test_outcome_rule.py::test_a_flow_run_with_something_unfinished_is_running_whatever_failed",
        ),
    ),
    Rule(
        "11.1",
        "reference tasks",
        "A failed one fails the flow, and children count.",
        (
            "rules/test_outcome_rule.py::test_the_reference_tasks_decide",
            "contract/test_contract_outcomes.py::test_reference_tasks_decide_the_outcome",
            "contract/test_contract_mapping.py::test_a_map_of_a_map_pairs_the_children",
        ),
    ),
    Rule(
        "11.1",
        "neither",
        "Reference tasks that neither failed nor succeeded are no failure.",
        ("8: ENDRUN an endrun takes a state that is neither success nor failure",),
    ),
    Rule(
        "11.1",
        "terminal_state_handler",
        "May replace the end, and loses no state.",
        (
            "11.1: terminal_state_handler(flow, state, reference states) may replace the state; None leaves it",
            "11.1: a replacement by terminal_state_handler has the tasks' states as its result (1.x crashed)",
            "11.1: terminal_state_handler comes before the state handlers, and a signal in it is its word",
            "11.1: a terminal_state_handler that raises, or returns no state, fails the flow; no state is lost (S1.5)",
        ),
        differs="mended",
    ),
    Rule(
        "11.1",
        "empty flow",
        "Succeeds.",
        ("contract/test_contract_outcomes.py::test_an_empty_flow_succeeds",),
    ),
    Rule(
        "11.2",
        "returned",
        "The flow's state, with one for each task, Pending if it never ran.",
        ("8: PAUSE a pause ends the run in that state and holds up only its readers",),
    ),
    Rule(
        "11.2",
        "values",
        "A value is read from its task's state, and a map's as a list.",
        (
            "contract/test_contract_outcomes.py::test_a_value_flows_from_task_to_task",
            "contract/test_contract_mapping.py::test_a_map_runs_once_per_item_and_a_reduce_gathers_them",
        ),
    ),
    Rule(
        "11.2",
        "parameters",
        "By name or in a mapping.",
        ("5: parameters come from parameters={} or from keywords",),
    ),
    Rule("11.2", "unknown keywords", "Are refused, with the mend.", ()),
    Rule(
        "11.2",
        "retries meanwhile",
        "A retry waits for its own time alone.",
        ("contract/test_contract_outcomes.py::test_the_delay_is_kept_and_others_go_on_meanwhile",),
        differs="S2",
    ),
    Rule(
        "11.2",
        "values stay",
        "Values do not go through the driver.",
        (
            "cluster/test_values.py::test_a_value_between_tasks_never_enters_the_driver",
            "contract/test_contract_outcomes.py::test_a_large_value_is_fetched_when_asked_for",
        ),
        differs="S1",
    ),
    Rule(
        "11.2",
        "paused tasks",
        "A run that is left with pauses returns, or asks.",
        (
            "driver/test_approvals.py::test_flow_run_asks_where_it_is",
            "driver/test_approvals.py::test_flow_run_returns_where_it_is_not",
        ),
        differs="S5",
    ),
    Rule(
        "11.2",
        "schedule",
        "A run for each start, until there are no more.",
        (
            "driver/test_serving.py::test_it_waits_for_each_start_until_the_schedule_ends",
            "driver/test_serving.py::test_the_state_is_that_of_the_last_run",
            "driver/test_serving.py::test_run_on_schedule_false_runs_once_and_now",
        ),
    ),
    Rule(
        "11.2",
        "schedule over",
        "Is refused.",
        ("driver/test_serving.py::test_a_schedule_that_is_over_is_refused",),
    ),
    Rule(
        "11.2",
        "names",
        "Tasks are found by slug, also in another process.",
        ("test_flow.py::test_the_states_go_into_a_pickle_and_back",),
        differs="S1",
    ),
    Rule(
        "11.2",
        "flow unchanged",
        "A run changes no flow, and one flow runs many times at once.",
        (
            "contract/test_contract_runs.py::test_a_flow_is_left_as_it_was",
            "contract/test_contract_runs.py::test_one_flow_runs_many_times_at_once",
        ),
        differs="S1",
    ),
    Rule(
        "14",
        "ends the body",
        "Whatever it does, at every place.",
        (
            "contract/test_contract_timeouts.py::test_a_timeout_ends_the_body_whatever_it_does_and_the_place_goes_on",
            "worker/test_apart.py::test_a_body_is_dead_when_its_limit_is_over_whatever_it_does",
        ),
        differs="S2",
    ),
    Rule(
        "14",
        "not reached",
        "Changes nothing: values, signals and exceptions are the same.",
        (
            "contract/test_contract_timeouts.py::test_a_limit_that_is_not_reached_changes_nothing",
            "worker/test_apart.py::test_an_attempt_ends_alike_with_a_limit_that_is_not_reached_and_without",
            "worker/test_apart.py::test_signals_say_the_same_with_a_limit",
        ),
    ),
    Rule(
        "14",
        "start-up",
        "Does not count.",
        (
            "worker/test_apart.py::test_neither_start_nor_imports_nor_the_way_of_the_value_count_as_the_bodys_time",
        ),
        differs="S2",
    ),
    Rule(
        "14",
        "TimedOut",
        "Is a failure, and retried like one.",
        ("contract/test_contract_timeouts.py::test_a_timed_out_run_is_tried_again_by_the_retry_rule",),
    ),
    Rule(
        "14",
        "map",
        "Each child has its own limit.",
        ("contract/test_contract_timeouts.py::test_children_of_a_map_have_a_limit_each",),
    ),
    Rule("14", "raise_on_exception", "Brings the timeout out.", ()),
    Rule(
        "14",
        "classes",
        "Tasks of classes too.",
        ("contract/test_contract_timeouts.py::test_a_task_of_a_class_may_have_a_limit",),
    ),
    Rule(
        "15",
        "task handlers",
        "Called at the transition, in order, each with the word of the one before.",
        (
            "contract/test_contract_outcomes.py::test_handlers_see_every_transition_in_order",
            "contract/test_contract_outcomes.py::test_handlers_may_replace_the_state_one_after_the_other",
            "contract/test_contract_outcomes.py::test_a_handler_may_read_the_result",
            "contract/test_contract_mapping.py::test_a_value_that_a_state_handler_gave_maps_too",
        ),
    ),
    Rule(
        "15",
        "flow handlers",
        "See the flow begin and end.",
        (
            "15: flow handlers see Scheduled > Running and Running > Success or Failed, with the flow",
            "15: handlers of a flow are called in order, each sees what the last one made, the last word counts",
            "15: None leaves the state as it is",
            "contract/test_contract_handlers.py::test_handlers_of_a_flow_are_asked_at_every_place",
        ),
    ),
    Rule(
        "15",
        "flow's states",
        "A final state keeps the tasks' states.",
        (
            "15: a final state is shown with the tasks' states, and has them whatever handlers make of it (mends 1.x)",
        ),
        differs="mended",
    ),
    Rule(
        "15",
        "handler that raises",
        "Fails its task, without a retry.",
        ("contract/test_contract_outcomes.py::test_a_handler_that_raises_fails_its_task_and_no_other",),
    ),
    Rule(
        "15",
        "flow handler that raises",
        "Fails the flow, whose tasks' states stay.",
        ("15: a handler that raises fails the flow, whose tasks' states stay (1.x: an error text, S1.5)",),
        differs="S1",
    ),
    Rule(
        "15",
        "signals in flow handlers",
        "Become its state.",
        ("15: a signal in a handler of a flow becomes its state",),
    ),
    Rule(
        "15",
        "before Running",
        "A handler may keep a flow from starting.",
        ("15: a handler that puts a final state in the place of Running keeps the flow from starting",),
    ),
    Rule(
        "15",
        "flows cannot wait",
        "A flow is Running or at its end.",
        ("15: a flow cannot wait: what is neither Running nor final fails it (1.x tried again for ever)",),
        differs="mended",
    ),
    Rule(
        "15",
        "no state",
        "What a handler returns is a state or None.",
        ("15: what is no state is an error that names handler and flow",),
    ),
    Rule(
        "15",
        "on_failure of flows",
        "Told once, at the end; changes nothing.",
        (
            "15: on_failure of a flow is called with flow and state when it has failed, after the handlers",
            "15: on_failure of a flow changes nothing, also when it raises, and hears of handlers that raised (S5)",
        ),
        differs="S5",
    ),
    Rule(
        "15",
        "on_failure of tasks",
        "Changes nothing, whatever it does.",
        (
            "contract/test_contract_outcomes.py::test_on_failure_is_told_of_final_failures_only",
            "contract/test_contract_outcomes.py::test_on_failure_that_raises_changes_nothing",
        ),
        differs="S5",
    ),
    Rule(
        "15",
        "maps",
        "Parent and children call their handlers.",
        ("contract/test_contract_outcomes.py::test_parent_and_children_of_a_map_call_their_handlers",),
    ),
    Rule(
        "15",
        "callback_factory",
        "Makes handlers of functions.",
        (
            "15: callback_factory(fn, check) makes a handler, for tasks and flows, that calls fn when check says True",
        ),
    ),
    Rule(
        "15",
        "cancelled",
        "Handlers hear of it.",
        (
            "contract/test_contract_handlers.py::test_handlers_of_a_flow_hear_of_a_cancel_and_terminal_state_handler_does_not",
        ),
    ),
    Rule(
        "15",
        "runner-level handlers",
        "Hear of all tasks of a run.",
        ("15: handlers that get a runner need runner classes, which are not here: refused by name",),
    ),
)
