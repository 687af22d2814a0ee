"""States, signals, triggers, retries, pauses and loops: sections 7 to 9 and 12 of the reference."""

from __future__ import annotations

from tests.contract.inventory import Rule

RULES = (
    Rule(
        "7",
        "attributes",
        "Message, result, context and those of the class.",
        (
            "states/test_state.py::test_it_is_made_from_nothing",
            "states/test_state.py::test_it_keeps_what_it_is_given",
        ),
    ),
    Rule(
        "7",
        "immutable",
        "A state is a value; changes make another.",
        (
            "states/test_state.py::test_it_cannot_be_changed",
            "states/test_state.py::test_a_changed_copy_has_the_changes_and_the_rest",
        ),
        differs="S4",
    ),
    Rule(
        "7",
        "no result",
        "A result that was never given reads as None.",
        (
            "states/test_state.py::test_no_result_is_one_object_whatever_happens_to_it",
            "states/test_state.py::test_none_is_a_result_like_any_other",
        ),
    ),
    Rule(
        "7",
        "equality",
        "By class and attributes, messages apart; hash by identity.",
        (
            "states/test_state.py::test_equality_weighs_class_result_and_extras",
            "states/test_state.py::test_it_hashes_by_identity",
        ),
    ),
    Rule(
        "7",
        "what cannot be pickled",
        "An exception that cannot travel is told by a stand-in.",
        ("contract/test_contract_outcomes.py::test_an_exception_that_cannot_travel_is_told_by_a_stand_in",),
        differs="S4",
    ),
    Rule("7", "repr", "Class and message.", ()),
    Rule(
        "7",
        "classes",
        "The classes of the reference, their parents and their own attributes.",
        (),
        differs="S4",
    ),
    Rule("7", "start times", "Scheduled starts now by default, Paused may have no time.", ()),
    Rule(
        "7",
        "run counts",
        "Retrying knows how many attempts there were.",
        (
            "engine/test_engine_retry.py::test_a_retrying_state_counts_failures_and_the_reason_tells_what_was_read",
        ),
    ),
    Rule(
        "7",
        "Mapped",
        "A map holds its children, or how many there are; success says nothing of theirs.",
        (
            "states/test_state.py::test_it_counts_its_children_unless_it_is_told_how_many",
            "states/test_state.py::test_its_result_is_its_childrens_in_order",
        ),
    ),
    Rule(
        "7",
        "predicates",
        "Each is a question about the class, so that users' own classes count.",
        (
            "states/test_state.py::test_a_predicate_holds_for_its_classes_and_no_other",
            "7: predicates, 9 a success of a users own class passes triggers and brings its result",
            "7: predicates, 9 a failure of a users own class counts as one",
            "7: predicates, 9 a skip of a users own class skips its readers",
            "7: predicates, 12 a pause of a users own class waits for approval",
            "7: predicates, 12 an iteration of a users own class is followed by the next",
            "contract/test_contract_outcomes.py::test_a_state_of_a_users_own_class_is_honoured",
        ),
    ),
    Rule("7", "children and parents", "A class names those below and above it.", ()),
    Rule("7", "colours", "Each class has one.", ("states/test_state.py::test_it_has_a_colour",)),
    Rule(
        "7",
        "JSON",
        "Every state comes back as it went.",
        (
            "states/test_json_form.py::test_every_class_comes_back_as_it_went",
            "states/test_json_form.py::test_every_value_comes_back_as_it_went",
        ),
        differs="S4",
    ),
    Rule(
        "7",
        "put off",
        "A state with a time is waited for.",
        ("7: Scheduled a state handler may put off the start",),
    ),
    Rule(
        "8",
        "BaseException",
        "`except Exception` lets signals pass.",
        ("8: a signal passes through except exception",),
    ),
    Rule(
        "8",
        "result of a signal",
        "Without one it is None, never the signal.",
        (
            "8: SUCCESS, S4 a success without a result gives none and not the signal",
            "8: SKIP, S4 a skipped run gives none and the class alone can be raised",
        ),
        differs="S4",
    ),
    Rule(
        "8",
        "FAIL",
        "Ends Failed, and is weighed by the retry rule.",
        (
            "8: FAIL a fail is weighed by the retry rule",
            "8: FAIL a fail with a result hands that to its readers",
            "8: FAIL a fail of a users own is weighed by the retry rule",
            "contract/test_contract_outcomes.py::test_a_fail_signal_is_retried",
        ),
    ),
    Rule("8", "TRIGGERFAIL", "Ends TriggerFailed.", ("8: TRIGGERFAIL a triggerfail is never retried",)),
    Rule(
        "8",
        "VALIDATIONFAIL",
        "Ends ValidationFailed.",
        ("8: VALIDATIONFAIL a validationfail is a failure like others",),
    ),
    Rule(
        "8",
        "SUCCESS",
        "Ends Success with its result.",
        (
            "8: SUCCESS a success brings its result",
            "contract/test_contract_outcomes.py::test_a_success_signal_brings_its_result",
        ),
    ),
    Rule(
        "8",
        "RETRY",
        "Is tried again, at its time, whatever the budget.",
        (
            "8: RETRY a retry starts the run again though no retries are left",
            "8: RETRY a retry starts no sooner than it asks",
            "contract/test_contract_outcomes.py::test_a_retry_signal_retries_without_a_budget",
        ),
    ),
    Rule(
        "8",
        "SKIP",
        "Ends Skipped.",
        (
            "8: SKIP a skip ends the run and skips its readers",
            "contract/test_contract_outcomes.py::test_a_skipped_task_skips_what_is_below_and_gives_none_to_who_wants_it",
        ),
    ),
    Rule(
        "8",
        "PAUSE",
        "Ends the attempt Paused, until its time or an approval.",
        (
            "8: PAUSE a pause ends the run in that state and holds up only its readers",
            "8: PAUSE a pause with a time goes on by itself and is then approved",
        ),
    ),
    Rule(
        "8",
        "LOOP",
        "Its result is handed on, or its text.",
        ("8: LOOP an iteration that hands on nothing hands on the text of its signal",),
    ),
    Rule(
        "8",
        "ENDRUN",
        "Ends with exactly its state.",
        (
            "8: ENDRUN an endrun is not retried though it failed",
            "8: ENDRUN an endrun with a success brings its result",
            "8: ENDRUN an endrun takes a state that is neither success nor failure",
            "8: ENDRUN an endrun may call its run off",
        ),
    ),
    Rule(
        "8",
        "classes raised",
        "A class may be raised as it is.",
        (
            "states/test_signals.py::test_its_class_can_be_raised",
            "contract/test_contract_outcomes.py::test_a_signal_in_a_body_says_how_it_ends",
        ),
    ),
    Rule(
        "8",
        "signal_from_state",
        "A state's class leads to its signal.",
        (
            "states/test_signals.py::test_it_is_found_from_its_state",
            "states/test_signals.py::test_a_state_that_no_signal_makes_is_refused",
        ),
    ),
    Rule(
        "8",
        "in a trigger",
        "A signal is the end.",
        (
            "8: trigger a signal in a trigger is final",
            "contract/test_contract_triggers.py::test_a_trigger_may_raise_a_signal",
        ),
    ),
    Rule(
        "8",
        "in a state handler",
        "A signal becomes the state.",
        (
            "8: state handler a signal in a state handler becomes the new state",
            "8: state handler a pause in a state handler holds up the transition",
            "8: state handler an endrun in a state handler is the end",
            "contract/test_contract_outcomes.py::test_a_signal_in_a_handler_becomes_the_state",
            "contract/test_contract_signals.py::test_8_what_a_state_handler_paused_goes_on_once_it_is_approved",
        ),
    ),
    Rule(
        "8",
        "users' signals",
        "Make users' states.",
        ("8: predicates a signal of a users own makes their state",),
    ),
    Rule(
        "9",
        "given",
        "A trigger sees edges and states of direct upstreams.",
        (
            "contract/test_contract_triggers.py::test_a_task_of_its_own_trigger_sees_edges_and_states",
            "9: custom trigger a trigger of a users own tells their states apart",
        ),
    ),
    Rule(
        "9",
        "children one by one",
        "Children of a map count one by one.",
        ("rules/test_triggers.py::test_the_same_state_object_twice_counts_twice",),
        differs="S5",
    ),
    Rule(
        "9",
        "falsy or raising",
        "Refuses the run; what it raised is told.",
        (
            "contract/test_contract_triggers.py::test_a_trigger_that_raises_refuses_with_its_text",
            "engine/test_engine_rules_before.py::test_a_users_own_trigger_that_is_falsy_refuses_the_run",
        ),
        differs="S5",
    ),
    Rule(
        "9",
        "table",
        "What each trigger makes of each pair of outcomes.",
        (
            "contract/test_contract_triggers.py::test_every_trigger_against_every_pair_of_outcomes",
            "rules/test_triggers.py::test_all_and_any_triggers_pass_as_all_and_any_do",
        ),
    ),
    Rule(
        "9",
        "no upstreams",
        "What each trigger makes of none.",
        ("rules/test_triggers.py::test_the_columns_for_no_upstreams_and_for_an_empty_map_hold",),
    ),
    Rule(
        "9",
        "empty map",
        "What each trigger makes of a map without children.",
        (
            "contract/test_contract_mapping.py::test_an_empty_map_has_no_children_and_its_reduce_goes_by_its_trigger",
        ),
    ),
    Rule(
        "9",
        "some",
        "Bounds are numbers or fractions.",
        (
            "rules/test_triggers.py::test_some_triggers_compare_a_count_with_their_bounds",
            "rules/test_triggers.py::test_an_int_counts_and_a_float_is_a_fraction",
        ),
        differs="S5",
    ),
    Rule(
        "9",
        "not_all_skipped",
        "Skips with all, and asks for success of the rest.",
        ("rules/test_triggers.py::test_not_all_skipped_skips_when_all_are_and_else_asks_for_success",),
    ),
    Rule(
        "9",
        "manual_only",
        "Pauses until it is approved.",
        (
            "contract/test_contract_triggers.py::test_a_task_for_a_person_to_start_pauses_and_the_flow_stays_running",
            "rules/test_triggers.py::test_manual_only_pauses_whatever_the_upstreams_did",
        ),
    ),
    Rule("9", "always_run", "Is all_finished.", ("rules/test_triggers.py::test_always_run_is_all_finished",)),
    Rule(
        "9",
        "counting",
        "What counts as success, as failure, and as neither.",
        ("rules/test_triggers.py::test_a_cancelled_upstream_is_neither_a_success_nor_a_failure",),
    ),
    Rule(
        "9",
        "skip first",
        "A skipped upstream beats a failed one, and is named.",
        (
            "contract/test_contract_outcomes.py::test_skip_beats_failure",
            "engine/test_engine_rules_before.py::test_a_skip_beats_a_failure_and_says_which_upstream",
        ),
        differs="S5",
    ),
    Rule(
        "9",
        "skip left to the trigger",
        "A task may ask its trigger about skipped upstreams, and gets None for their values.",
        (
            "8: SKIP, S4 a skipped run gives none and the class alone can be raised",
            "engine/test_engine_rules_before.py::test_a_task_that_does_not_skip_with_its_upstreams_leaves_it_to_its_trigger",
        ),
        differs="S4",
    ),
    Rule(
        "9",
        "maps",
        "A mapped task leaves its trigger to its children.",
        ("engine/test_engine_rules_before.py::test_a_map_ignores_its_trigger_and_its_children_apply_it",),
    ),
    Rule(
        "9",
        "bad bounds",
        "Numbers out of range are refused.",
        (
            "rules/test_triggers.py::test_a_number_out_of_range_is_refused",
            "rules/test_triggers.py::test_what_is_no_number_is_refused",
        ),
    ),
    Rule(
        "12",
        "retry_on",
        "Other failures stay.",
        ("contract/test_contract_outcomes.py::test_a_task_is_tried_as_often_as_its_options_say",),
    ),
    Rule(
        "12",
        "retry_on of signals and timeouts",
        "They are matched by what they stand for.",
        (
            "8: FAIL, S2 retry_on a fail is retried where retry on names it",
            "contract/test_contract_timeouts.py::test_a_timed_out_run_is_tried_again_by_the_retry_rule",
        ),
        differs="S2",
    ),
    Rule(
        "12",
        "budget",
        "One run more than retries.",
        (
            "contract/test_contract_outcomes.py::test_a_task_is_tried_as_often_as_its_options_say",
            "rules/test_retry_rule.py::test_as_many_retries_follow_as_are_allowed",
        ),
    ),
    Rule(
        "12",
        "not retried",
        "What is final by its nature.",
        (
            "contract/test_contract_outcomes.py::test_what_is_final_by_its_nature_is_not_retried",
            "contract/test_contract_outcomes.py::test_a_handler_that_raises_fails_its_task_and_no_other",
        ),
    ),
    Rule(
        "12",
        "delay",
        "A retry says when, and others go on meanwhile.",
        (
            "contract/test_contract_outcomes.py::test_the_delay_is_kept_and_others_go_on_meanwhile",
            "contract/test_contract_outcomes.py::test_a_delay_before_the_next_attempt_is_a_state_with_a_time",
        ),
        differs="S2",
    ),
    Rule(
        "12",
        "backoff and jitter",
        "Sequences and functions of delays, and jitter.",
        (
            "rules/test_retry_rule.py::test_delays_come_in_order_and_the_last_one_repeats",
            "rules/test_retry_rule.py::test_its_answer_is_the_delay",
            "rules/test_retry_rule.py::test_a_delay_grows_by_at_most_its_jitter",
        ),
        differs="S2",
    ),
    Rule(
        "12",
        "downstream waits",
        "Readers stay Pending, and hear nothing.",
        (
            "contract/test_contract_signals.py::test_12_a_run_below_what_is_paused_stays_pending_and_its_handlers_are_not_called",
        ),
    ),
    Rule(
        "12",
        "transitions",
        "Handlers see each attempt.",
        ("contract/test_contract_signals.py::test_12_state_handlers_see_every_attempt_and_every_iteration",),
    ),
    Rule(
        "12",
        "mapped child",
        "One child is tried again alone.",
        (
            "contract/test_contract_outcomes.py::test_only_the_failed_child_is_tried_again",
            "contract/test_contract_mapping.py::test_a_map_with_retries_and_a_custom_trigger_keeps_its_children_apart",
        ),
        differs="S2",
    ),
    Rule("12", "inputs stay", "An attempt reads what the one before read.", ()),
    Rule("12", "no new cluster", "Retries begin at the cluster that is up.", (), differs="S2"),
    Rule(
        "12",
        "pause",
        "After an approval the whole task runs again and does not pause.",
        (
            "contract/test_contract_signals.py::test_12_a_task_that_paused_itself_runs_anew_once_it_is_approved",
            "contract/test_contract_signals.py::test_12_a_manual_task_runs_once_it_is_approved_and_its_trigger_is_not_asked_again",
            "12: pause_task a pause of some seconds is over by itself and fires once",
        ),
    ),
    Rule(
        "12",
        "approval",
        "From code, at the prompt, or by time.",
        (
            "contract/test_contract_signals.py::test_s5_a_run_that_waits_for_approval_goes_on_where_it_is",
            "driver/test_approvals.py::test_flow_run_asks_where_it_is",
            "driver/test_approvals.py::test_flow_run_returns_where_it_is_not",
            "driver/test_approvals.py::test_the_default_prompt_reads_a_line",
        ),
        differs="S5",
    ),
    Rule(
        "12",
        "paused children",
        "Are asked about one by one.",
        (
            "contract/test_contract_signals.py::test_s5_children_of_a_map_pause_and_are_resumed_one_by_one",
            "driver/test_approvals.py::test_a_manual_task_of_a_map_is_asked_about_child_by_child",
        ),
        differs="S5",
    ),
    Rule(
        "12",
        "LOOP",
        "Iterations see count and value; the last return is the value.",
        (
            "12: LOOP iterations see their count and what the one before handed on",
            "12: LOOP an iteration without retries left fails the run",
            "12: LOOP a large value is handed on",
            "12: LOOP, 8 SKIP an iteration may end with any signal",
        ),
    ),
    Rule(
        "12",
        "LOOP's retries",
        "The budget counts for each iteration.",
        ("12: LOOP a failed iteration is tried again and the budget counts for each",),
    ),
    Rule("12", "LOOP's length", "Iterations do not pile up.", ("12: LOOP a loop may be long",)),
    Rule(
        "12",
        "LOOP in a map",
        "Each child loops by itself.",
        ("12: LOOP, 17 children of a map loop each by itself",),
    ),
    Rule(
        "12",
        "LOOP in the journal",
        "An iteration is a task run of its own.",
        ("contract/test_contract_signals.py::test_s5_an_iteration_is_a_task_run_of_its_own_in_the_journal",),
        differs="S5",
    ),
    Rule(
        "12",
        "LOOP's timeout",
        "Each iteration has its limit.",
        ("contract/test_contract_timeouts.py::test_a_looping_task_has_its_limit_per_iteration",),
    ),
)
