"""What surrounds a run, the places, the program and pictures: sections 18 and 19 of the reference."""

from __future__ import annotations

from tests.contract.inventory import Rule

RULES = (
    Rule(
        "18",
        "resource_manager",
        "Setup before the block, cleanup after it.",
        (
            "18: the block runs between setup and cleanup, and the cleanup decides nothing",
            "18: a task that does not read the resource waits for it all the same, and the cleanup for the task",
            "18: arguments may be tasks and parameters",
            "18: a manager without setup has no setup task; its cleanup gets None",
            "18: options of the three tasks may be given",
            "tasks/test_resource_manager.py::test_a_manager_of_a_function_has_a_setup",
        ),
    ),
    Rule(
        "18",
        "cleanup runs",
        "Whatever became of the block.",
        (
            "18: the cleanup runs when tasks of the block failed, and the flow fails by them",
            "18: the cleanup runs when tasks of the block were skipped",
            "18: a map in the block is waited for as a whole, whatever became of its children",
        ),
    ),
    Rule(
        "18",
        "cleanup skips",
        "Without a resource.",
        (
            "18: a setup that failed fails the block and skips the cleanup",
            "18: an init that failed fails setup and block and skips the cleanup",
            "18: a setup that was skipped skips the block and the cleanup",
        ),
    ),
    Rule(
        "18",
        "blocks in blocks",
        "Of managers, cases and maps.",
        (
            "18: blocks inside each other are cleaned up from inside to outside",
            "18: a case in the block waits for the resource and is waited for",
            "18: a block in a case is left out as a whole",
            "18: in apply_map each child has a resource of its own",
        ),
    ),
    Rule(
        "18",
        "cleanup decides nothing",
        "Neither is a reference task.",
        ("contract/test_contract_resources.py::test_only_tasks_of_the_block_decide_how_the_flow_ends",),
    ),
    Rule(
        "18",
        "cleanup after a cancel",
        "It runs then too.",
        (
            "contract/test_contract_resources.py::test_a_cancelled_run_cleans_up_from_inside_to_outside",
            "contract/test_contract_resources.py::test_a_second_cancel_calls_off_the_cleanup",
            "contract/test_contract_resources.py::test_ctrl_c_in_this_process_cleans_up_and_goes_on",
        ),
    ),
    Rule(
        "18",
        "manager's errors",
        "Two flows, wrong arguments, no manager.",
        (
            "tasks/test_resource_manager.py::test_a_block_takes_tasks_of_its_flow_only",
            "tasks/test_resource_manager.py::test_wrong_arguments_are_refused_when_the_flow_is_built",
            "tasks/test_resource_manager.py::test_what_is_no_manager_is_refused",
        ),
    ),
    Rule(
        "18",
        "schedules",
        "Starts after a moment, by clocks, filters and adjustments.",
        ("schedules/test_schedule_rows.py::test_rule_of_the_reference",),
    ),
    Rule(
        "18",
        "schedules' errors",
        "Are refused with name, value and mend.",
        ("schedules/test_schedule_rows.py::test_bad_input_is_refused_by_name_value_and_mend",),
    ),
    Rule(
        "18",
        "days of a week",
        "By the number of Python's weekday, where the original's text and code differed.",
        ("schedules/test_schedule_rows.py::test_rule_of_the_reference",),
        differs="kept",
    ),
    Rule(
        "18",
        "secrets",
        "Read from context, then configuration; as JSON if they are.",
        (
            "core/test_secrets.py::test_a_secret_is_read_from_the_context_and_then_from_the_configuration",
            "core/test_secrets.py::test_a_text_that_is_json_is_read_as_such",
            "contract/test_contract_secrets.py::test_a_body_reads_it_by_name",
        ),
    ),
    Rule(
        "18",
        "secrets' errors",
        "Missing ones, and reading while a flow is built.",
        (
            "core/test_secrets.py::test_a_secret_that_is_not_there_says_where_to_put_it",
            "core/test_secrets.py::test_get_is_refused_while_a_flow_is_built",
        ),
    ),
    Rule(
        "18",
        "secret tasks",
        "Variables and secrets as tasks, kept nowhere.",
        (
            "core/test_secrets.py::test_variables_are_read_cast_and_required",
            "core/test_secrets.py::test_an_option_that_would_keep_the_value_is_refused",
            "contract/test_contract_secrets.py::test_a_variable_of_the_worker_is_a_secret",
            "contract/test_contract_secrets.py::test_a_reader_gets_the_value_and_nobody_else",
        ),
        differs="S4",
    ),
    Rule(
        "18",
        "context",
        "Attributes and items, as a block, and not pickled.",
        (
            "core/test_context.py::test_values_hold_inside_a_block_and_are_read_as_attributes_and_items",
            "core/test_context.py::test_a_block_is_left_by_an_error_too",
        ),
    ),
    Rule(
        "18",
        "context's names",
        "What a body finds in it.",
        (
            "contract/test_contract_context.py::test_a_body_reads_each_variable_of_prefect_1_and_ours",
            "contract/test_contract_context.py::test_children_of_a_map_know_their_index_and_have_keys_of_their_own",
            "core/test_facts.py::test_a_task_runs_facts_are_those_of_prefect_1_and_three_more",
        ),
    ),
    Rule(
        "18",
        "context's dates",
        "By the scheduled start, or by a date that is given.",
        (
            "contract/test_contract_context.py::test_a_date_that_is_given_decides_what_today_is",
            "core/test_facts.py::test_dates_follow_the_scheduled_start",
            "core/test_facts.py::test_a_date_that_is_given_decides_what_today_is",
        ),
    ),
    Rule(
        "18",
        "context that is given",
        "Shows in bodies and callbacks.",
        (
            "contract/test_contract_context.py::test_what_is_given_shows_and_goes_before_the_configuration",
            "contract/test_contract_context.py::test_handlers_and_triggers_see_the_flow_runs_context",
            "contract/test_contract_context.py::test_a_context_that_cannot_be_is_refused_before_anything_runs",
            "contract/test_contract_runs.py::test_callbacks_see_the_context_of_their_run",
        ),
    ),
    Rule(
        "18",
        "upstream_states",
        "What came before is told without its values.",
        (
            "contract/test_contract_context.py::test_upstream_states_are_there_by_slug_and_argument_without_values",
            "contract/test_contract_runs.py::test_a_body_sees_its_run_and_its_upstreams",
        ),
        differs="S3",
    ),
    Rule(
        "18",
        "context in threads",
        "Where it is copied to them.",
        ("contract/test_contract_context.py::test_copied_contexts_carry_it_into_threads",),
        differs="S3",
    ),
    Rule(
        "18",
        "loggers",
        "A task's own, and any other: lines come to the driver with their names.",
        (
            "contract/test_contract_runs.py::test_log_records_and_prints_reach_the_driver_with_their_names",
            "core/test_task.py::test_a_task_has_a_logger_of_its_own",
            "worker/test_worker_logs.py::test_a_record_carries_flow_run_attempt_and_place",
        ),
        differs="mended",
    ),
    Rule(
        "18",
        "log format",
        "As the settings say, with the run's names.",
        (
            "settings/test_settings_of_runs.py::test_lines_look_as_the_settings_say",
            "settings/test_settings_of_runs.py::test_a_programs_own_handlers_can_name_the_task_too",
        ),
    ),
    Rule(
        "18",
        "extra_loggers",
        "Lines of other libraries need no setting.",
        ("worker/test_worker_logs.py::test_a_record_carries_flow_run_attempt_and_place",),
    ),
    Rule(
        "18",
        "configuration",
        "Defaults, file, environment and block, each over the one before.",
        (
            "settings/test_settings.py::test_file_goes_before_default_and_environment_before_file_and_a_block_before_both",
            "settings/test_settings.py::test_variables_are_read_as_their_type_says_with_one_underscore_or_two",
            "settings/test_settings.py::test_texts_of_the_file_may_refer_to_variables_and_to_each_other",
            "settings/test_settings.py::test_config_is_read_by_attribute_and_says_which_names_there_are",
        ),
    ),
    Rule(
        "18",
        "set_temporary_config",
        "For a block.",
        (
            "settings/test_settings.py::test_temporary_settings_of_two_threads_end_in_any_order",
            "settings/test_settings.py::test_a_wrong_temporary_setting_is_refused_and_leaves_nothing_behind",
        ),
    ),
    Rule(
        "18",
        "defaults of tasks",
        "Are settings.",
        (
            "settings/test_settings.py::test_defaults_of_tasks_are_settings",
            "settings/test_settings.py::test_the_delay_is_for_tasks_that_are_tried_again",
        ),
    ),
    Rule(
        "18",
        "raise_on_exception",
        "Exceptions and signals come out of flow.run.",
        (
            "contract/test_contract_signals.py::test_18_raise_on_exception_brings_out_what_a_task_raises",
            "driver/test_raising.py::test_the_exception_itself_comes_out_with_the_users_lines",
            "driver/test_raising.py::test_signals_come_out_as_themselves",
        ),
    ),
    Rule("18", "is_serializable", "Tells whether an object arrives in another process.", ()),
    Rule(
        "18",
        "ShellTask",
        "Commands of the shell.",
        (
            "contract/test_contract_shell.py::test_commands_map_fail_and_are_tried_again",
            "tasks/test_shell.py::test_its_value_is_the_last_line_of_output",
        ),
    ),
    Rule("18", "StringFormatter", "A text with the run's values in it.", ()),
    Rule(
        "19",
        "executor seam",
        "Whoever can run attempts is an executor.",
        (
            "docs/test_pages.py::test_the_executor_is_one_and_says_where_it_runs",
            "contract/test_contract_runs.py::test_bodies_run_where_the_place_says",
        ),
    ),
    Rule(
        "19",
        "which executor",
        "The run's, else the flow's, else the settings'.",
        (
            "test_flow.py::test_the_flows_own_executor_is_used_unless_another_is_given",
            "settings/test_settings.py::test_a_setting_names_the_default_executor",
            "test_flow.py::test_what_is_no_executor_is_refused",
        ),
        differs="S8",
    ),
    Rule(
        "19",
        "LocalExecutor",
        "One at a time, in order, in this process.",
        ("executors/test_local.py::test_attempts_run_in_this_thread_in_order_and_report_in_one_batch",),
    ),
    Rule(
        "19",
        "LocalDaskExecutor",
        "Threads or processes, by the names of the reference.",
        (
            "cluster/test_forms.py::test_local_threads_run_in_this_process",
            "cluster/test_forms.py::test_local_processes_run_beside_it",
        ),
        differs="S8",
    ),
    Rule(
        "19",
        "DaskExecutor's cluster",
        "A class, or what names it, for each run, and closed after it.",
        (
            "cluster/test_forms.py::test_an_import_string_makes_a_cluster_for_each_run_and_closes_it",
            "cluster/test_forms.py::test_a_factory_with_adapt_makes_an_elastic_cluster",
        ),
    ),
    Rule(
        "19",
        "DaskExecutor's address",
        "A scheduler that is up, left up.",
        (
            "cluster/test_forms.py::test_an_address_is_reached_and_left",
            "cluster/test_forms.py::test_a_live_client_stays_open_and_does_not_become_the_default",
            "cluster/test_forms.py::test_a_live_cluster_stays_up",
        ),
        differs="S8",
    ),
    Rule(
        "19",
        "DaskExecutor's errors",
        "Arguments that contradict each other, and places that are not there.",
        (
            "cluster/test_bad_places.py::test_contradictory_arguments_are_refused",
            "cluster/test_bad_places.py::test_an_address_where_nothing_listens_is_named",
        ),
    ),
    Rule(
        "19",
        "default client",
        "Is left alone.",
        ("cluster/test_forms.py::test_a_live_client_stays_open_and_does_not_become_the_default",),
    ),
    Rule("19", "debug", "Lets Dask's own log through.", ()),
    Rule("19", "dashboard", "Its address is told.", ()),
    Rule("19", "performance report", "Is written, and can be read from the executor.", ()),
    Rule("19", "keys", "Grouped by task on the dashboard.", ()),
    Rule(
        "19",
        "resources",
        "Tags and options reach the scheduler.",
        (
            "core/test_task.py::test_resources_come_from_the_option_and_from_tags",
            "cluster/test_resources.py::test_a_task_run_that_no_worker_can_take_says_so_until_one_comes",
        ),
    ),
    Rule(
        "19",
        "cancellation",
        "Ends what runs, and no other run.",
        (
            "cluster/test_ends.py::test_cancel_leaves_other_runs_on_the_same_cluster_alone",
            "contract/test_contract_runs.py::test_a_cancelled_run_ends_cancelled_and_the_next_one_works",
        ),
    ),
    Rule("19", "workers come and go", "Is told, unless the cluster adapts.", ()),
    Rule(
        "19",
        "CLI run",
        "A file or a module, one of several flows, parameters, context.",
        (
            "cli/test_program.py::test_a_flow_of_a_file_runs_with_typed_parameters",
            "cli/test_program.py::test_a_module_is_run_by_its_name",
            "cli/test_loading.py::test_of_several_flows_one_must_be_chosen_by_its_name_or_its_variables",
            "cli/test_parameters.py::test_texts_are_read_by_the_parameters_type",
            "cli/test_parameters.py::test_what_is_typed_goes_before_the_file",
            "cli/test_settings.py::test_context_is_json_or_text",
        ),
    ),
    Rule("19", "CLI quiet", "Logs and progress may be left out.", ()),
    Rule(
        "19",
        "CLI schedule",
        "Runs of a schedule.",
        ("cli/test_serve.py::test_it_runs_at_each_start_and_ends_with_the_schedule",),
    ),
    Rule(
        "19",
        "CLI exit status",
        "What the flow came to.",
        (
            "cli/test_main.py::test_the_exit_status_is_what_the_flow_came_to",
            "cli/test_program.py::test_a_failed_flow_shows_failures_first_with_the_users_lines_and_exits_with_1",
        ),
    ),
    Rule("19", "loading_flow", "A flow.run in a file that is being read runs nothing.", ()),
    Rule(
        "19",
        "CLI version, config, diagnostics",
        "Tell of the machine.",
        (
            "cli/test_program.py::test_the_version_is_the_packages",
            "cli/test_settings.py::test_settings_are_shown_as_toml_with_their_sources",
        ),
    ),
    Rule("19", "visualize", "A picture of the flow, by its states.", ()),
    Rule(
        "19",
        "cloudpickle",
        "Flows, states and executors survive it.",
        (
            "core/test_graph.py::test_a_flow_survives_pickling",
            "states/test_state.py::test_it_survives_pickling",
        ),
    ),
)
