"""What this project adds by SEMANTICS.md, where the reference has no rule."""

from __future__ import annotations

from tests.contract.inventory import Rule

RULES = (
    Rule(
        "S1",
        "bundles",
        "How many runs travel together changes nothing.",
        ("contract/test_contract_outcomes.py::test_how_many_runs_travel_together_changes_no_state",),
    ),
    Rule(
        "S1",
        "many runs",
        "Come to what they come to alone.",
        ("contract/test_contract_outcomes.py::test_many_tasks_that_fail_once_all_succeed",),
    ),
    Rule(
        "S2",
        "isolate",
        "A process of its own for a body.",
        (
            "contract/test_contract_timeouts.py::test_what_ends_an_isolated_bodys_process_ends_nothing_else",
            "contract/test_contract_timeouts.py::test_a_cancel_ends_an_isolated_body_that_never_comes_back",
            "contract/test_contract_timeouts.py::test_ctrl_c_in_this_process_ends_an_isolated_body",
            "contract/test_contract_timeouts.py::test_in_this_process_what_cannot_travel_fails_a_limited_task_alone",
        ),
    ),
    Rule(
        "S2",
        "max_concurrency",
        "At most so many at once, by task, tag and flow.",
        (
            "contract/test_contract_limits.py::test_without_a_limit_two_workers_work_at_once",
            "contract/test_contract_limits.py::test_children_and_calls_of_a_task_are_under_one_limit",
            "contract/test_contract_limits.py::test_tasks_with_a_tag_are_under_one_limit",
            "contract/test_contract_limits.py::test_all_tasks_of_a_flow_are_under_one_limit",
            "contract/test_contract_limits.py::test_retries_are_under_the_limit_too",
            "contract/test_contract_limits.py::test_who_waits_longest_starts_next",
            "contract/test_contract_limits.py::test_a_failure_makes_room_like_a_success",
            "contract/test_contract_limits.py::test_handlers_hear_of_no_more_that_run_at_once",
        ),
    ),
    Rule(
        "S2",
        "associative",
        "A reduce as a tree may have a limit.",
        ("contract/test_contract_timeouts.py::test_an_associative_reduce_may_have_a_limit",),
    ),
    Rule(
        "S2",
        "virtual time",
        "Bodies with a limit run in simulations too.",
        (
            "contract/test_contract_timeouts.py::test_in_virtual_time_bodies_with_a_limit_run_in_this_process",
            "contract/test_contract_timeouts.py::test_what_stands_in_for_a_body_with_a_limit_runs_where_it_was_made",
        ),
    ),
    Rule(
        "S3",
        "nothing leaks",
        "A run leaves no trace in the next.",
        ("contract/test_contract_context.py::test_nothing_of_a_run_shines_into_the_next",),
    ),
    Rule(
        "S3",
        "what cannot travel",
        "A value of the context is named.",
        ("contract/test_contract_context.py::test_a_value_that_cannot_travel_is_named_where_it_must",),
    ),
    Rule(
        "S4",
        "secrets",
        "Are masked wherever they could show.",
        (
            "contract/test_contract_secrets.py::test_a_reader_gets_the_value_and_nobody_else",
            "contract/test_contract_secrets.py::test_a_body_reads_it_by_name",
            "contract/test_contract_secrets.py::test_a_secret_that_is_a_reference_task_is_kept_no_longer",
            "contract/test_contract_secrets.py::test_what_a_body_says_of_it_is_masked",
            "contract/test_contract_secrets.py::test_a_parameter_that_is_a_secret_is_masked_too",
            "contract/test_contract_secrets.py::test_secrets_are_mapped_over_and_in_bundles_stay_secret",
            "contract/test_contract_secrets.py::test_log_lines_are_masked_for_every_handler",
            "contract/test_contract_secrets.py::test_handlers_and_triggers_that_tell_are_masked",
            "contract/test_contract_secrets.py::test_a_variable_of_the_worker_is_a_secret",
        ),
    ),
    Rule(
        "S7",
        "handles",
        "A run that goes on can be looked at, waited for, awaited, cancelled.",
        (
            "contract/test_contract_runs.py::test_a_started_run_can_be_looked_at_and_waited_for",
            "contract/test_contract_runs.py::test_an_awaited_run_leaves_the_event_loop_free",
            "contract/test_contract_runs.py::test_a_flow_runs_inside_a_running_event_loop",
            "contract/test_contract_runs.py::test_a_cancelled_run_ends_cancelled_and_the_next_one_works",
            "contract/test_contract_runs.py::test_a_cancelled_coroutine_cancels_its_run",
            "contract/test_contract_runs.py::test_a_failed_flow_says_so",
        ),
    ),
    Rule(
        "S7",
        "@flow",
        "A function traced once is a flow.",
        ("contract/test_contract_runs.py::test_a_traced_function_is_the_same_flow",),
    ),
    Rule(
        "S1",
        "explain",
        "Every state has a reason.",
        (
            "contract/test_contract_runs.py::test_explain_tells_why_in_plain_words",
            "contract/test_contract_runs.py::test_the_journal_keeps_every_transition_with_its_reason_and_the_act_before_it",
            "contract/test_contract_handlers.py::test_the_journal_tells_what_handlers_of_a_flow_made_of_its_end",
        ),
    ),
)
