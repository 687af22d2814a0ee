"""The page for people who come from Prefect 1: its tables are complete, and what they say is so."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

import prefectlite
from prefectlite import Flow, Task
from prefectlite.core.options import OptionArgs
from prefectlite.states import State
from tests.contract.inventory import SEMANTICS
from tests.docs.pages import FENCE, ROOT
from tests.docs.test_readme import run_script

PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
MOVES, DIFFERENT, OUT = "Where the names are", "What is different", "What is out, and why"

#: What Prefect Core 1.4.1 offered to authors of flows, by module: its ``__all__`` where it has one.
OFFERED = {
    "prefect": "Client Flow Parameter Task api apply_map case config context flatten mapped models plugins "
    "resource_manager tags task unmapped agent artifacts backend core engine exceptions executors schedules "
    "serialization storage tasks triggers utilities",
    "prefect.core": "Edge Flow Parameter Task",
    "prefect.core.edge": "Edge",
    "prefect.core.flow": "Flow",
    "prefect.core.task": "Task",
    "prefect.core.parameter": "DateTimeParameter Parameter no_default",
    "prefect.engine": "FlowRunner TaskRunner cache_validators cloud executors result results serializers signals state",
    "prefect.engine.cloud": "CloudFlowRunner CloudTaskRunner",
    "prefect.engine.executors": "DaskExecutor Executor LocalDaskExecutor LocalExecutor",
    "prefect.engine.executors.dask": "DaskExecutor LocalDaskExecutor",
    "prefect.engine.executors.local": "LocalExecutor",
    "prefect.engine.flow_runner": "FlowRunner",
    "prefect.engine.task_runner": "TaskRunner",
    "prefect.engine.cache_validators": "all_inputs all_parameters duration_only never_use partial_inputs_only "
    "partial_parameters_only",
    "prefect.engine.result": "NoResult NoResultType Result",
    "prefect.engine.result.base": "NoResult NoResultType Result",
    "prefect.engine.results": "AzureResult ConstantResult GCSResult LocalResult PrefectResult S3Result SecretResult",
    "prefect.engine.results.constant_result": "ConstantResult",
    "prefect.engine.results.local_result": "LocalResult",
    "prefect.engine.results.prefect_result": "PrefectResult",
    "prefect.engine.results.secret_result": "SecretResult",
    "prefect.engine.serializers": "CompressedSerializer DateTimeSerializer JSONSerializer PandasSerializer "
    "PickleSerializer Serializer",
    "prefect.engine.signals": "ENDRUN FAIL LOOP PAUSE RETRY SKIP SUCCESS TRIGGERFAIL VALIDATIONFAIL "
    "PrefectStateSignal signal_from_state",
    "prefect.exceptions": "AuthorizationError ClientError FlowStorageError ObjectNotFoundError PrefectException PrefectSignal "
    "TaskTimeoutSignal VersionLockMismatchSignal",
    "prefect.engine.state": "Cached Cancelled Cancelling ClientFailed Failed Finished Looped Mapped Paused Pending "
    "Queued Resume Retrying Running Scheduled Skipped State Submitted Success TimedOut TriggerFailed ValidationFailed",
    "prefect.executors": "DaskExecutor Executor LocalDaskExecutor LocalExecutor",
    "prefect.executors.base": "Executor",
    "prefect.executors.dask": "DaskExecutor LocalDaskExecutor",
    "prefect.executors.local": "LocalExecutor",
    "prefect.triggers": "all_failed all_finished all_successful always_run any_failed any_successful manual_only "
    "not_all_skipped some_failed some_successful",
    "prefect.schedules": "CronSchedule IntervalSchedule RRuleSchedule Schedule adjustments clocks filters",
    "prefect.schedules.schedules": "CronSchedule IntervalSchedule RRuleSchedule Schedule",
    "prefect.schedules.adjustments": "add next_weekday",
    "prefect.schedules.clocks": "Clock ClockEvent CronClock DatesClock IntervalClock RRuleClock",
    "prefect.schedules.filters": "at_time between_dates between_datetimes between_times is_day_of_week is_month_end "
    "is_month_start is_weekday is_weekend on_date on_datetime",
    "prefect.tasks.control_flow": "FilterTask case ifelse merge switch",
    "prefect.tasks": "Task",
    "prefect.tasks.control_flow.case": "case",
    "prefect.tasks.control_flow.conditional": "ifelse merge switch",
    "prefect.tasks.control_flow.filter": "FilterTask",
    "prefect.tasks.core.collections": "Dict List Set Tuple",
    "prefect.tasks.core.constants": "Constant",
    "prefect.tasks.core.function": "FunctionTask",
    "prefect.tasks.core.operators": "Add And Div Equal FloorDiv GetAttr GetItem GreaterThan GreaterThanOrEqual "
    "LessThan LessThanOrEqual Mod Mul Not NotEqual Or Pow Sub",
    "prefect.tasks.core.resource_manager": "ResourceManager resource_manager",
    "prefect.tasks.secrets": "EnvVarSecret PrefectSecret SecretBase",
    "prefect.tasks.secrets.base": "PrefectSecret SecretBase",
    "prefect.tasks.secrets.env_var": "EnvVarSecret",
    "prefect.tasks.shell": "ShellTask",
    "prefect.tasks.templates": "JinjaTemplate StringFormatter",
    "prefect.tasks.templates.strings": "StringFormatter",
    "prefect.tasks.files": "Copy Glob Move Remove Unzip Zip",
    "prefect.tasks.files.compression": "Unzip Zip",
    "prefect.tasks.files.operations": "Copy Glob Move Remove",
    "prefect.tasks.notifications": "EmailTask PushbulletTask SlackTask",
    "prefect.tasks.prefect": "CancelFlowRun RenameFlowRun StartFlowRun create_flow_run get_task_run_result "
    "wait_for_flow_run",
    "prefect.client": "Client Secret",
    "prefect.client.secrets": "Secret",
    "prefect.utilities": "agent aws backend collections configuration context datetimes debug diagnostics edges executors "
    "filesystems gcp git graphql importtools kubernetes logging notifications plugins serialization storage tasks",
    "prefect.utilities.collections": "CompoundKey DotDict as_nested_dict dict_to_flatdict flatdict_to_dict flatten_seq "
    "merge_dicts",
    "prefect.utilities.configuration": "set_temporary_config",
    "prefect.utilities.context": "Context context",
    "prefect.utilities.datetimes": "retry_delay",
    "prefect.utilities.debug": "is_serializable raise_on_exception",
    "prefect.utilities.diagnostics": "config_overrides diagnostic_info environment_variables flow_information "
    "system_information",
    "prefect.utilities.edges": "EdgeAnnotation flatten mapped unmapped",
    "prefect.utilities.importtools": "import_object",
    "prefect.utilities.logging": "get_logger",
    "prefect.utilities.notifications": "callback_factory gmail_notifier jira_notifier slack_message_formatter "
    "slack_notifier snowflake_logger snowflake_message_formatter",
    "prefect.utilities.notifications.notifications": "callback_factory gmail_notifier slack_notifier",
    "prefect.utilities.serialization": "from_qualified_name to_qualified_name",
    "prefect.utilities.tasks": "apply_map as_task defaults_from_attrs pause_task tags task",
}
#: The options and methods of its classes.
OPTIONS = {
    "@task": "name slug tags max_retries retry_delay retry_on timeout trigger skip_on_upstream_skip cache_for "
    "cache_validator cache_key checkpoint result target state_handlers on_failure log_stdout task_run_name nout",
    "Flow": "name schedule executor run_config storage tasks edges reference_tasks state_handlers on_failure "
    "validate result terminal_state_handler",
}
MEMBERS = {
    "Flow": "add_edge add_task all_downstream_edges all_upstream_edges chain constants copy diagnostics "
    "downstream_tasks edges edges_from edges_to get_tasks load logger parameters reference_tasks register replace "
    "root_tasks run run_agent save serialize serialized_hash set_dependencies set_reference_tasks slugs "
    "sorted_tasks tasks terminal_tasks update upstream_tasks validate visualize",
    "Task": "bind copy inputs is_equal is_not_equal logger map not_ or_ outputs pipe run serialize "
    "set_dependencies set_downstream set_upstream",
    "State": "cached_inputs children color context deserialize is_cached is_failed is_finished is_looped is_mapped "
    "is_meta_state is_pending is_queued is_retrying is_running is_scheduled is_skipped is_submitted "
    "is_successful load_result message parents result serialize",
}


def rows(title: str) -> Iterator[list[str]]:
    """Return the cells of a section's rows, without the heads of its tables."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert section, title
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("|---") and not after.startswith("|---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def moves() -> dict[tuple[str, str], tuple[str, str]]:
    """Return module and name here of those that there were, from the first table."""
    found = {}
    for row in rows(MOVES):
        if len(row) == 3:
            [old], names, [new] = map(quoted, row)
            for name in names:
                before, _, after = name.partition(" → ")
                found[old, before] = new, after or before
    return found


def renamed(source: str) -> str:
    """Return Python of Prefect 1 with the package's name changed."""
    return re.sub(r"\bprefect\b", "prefectlite", source)


def named_in(*titles: str) -> set[str]:
    """Return what the first cells of tables name, without their values: ``Flow(storage)``, ``@task(target)``."""
    return {name.replace("=...", "") for title in titles for row in rows(title) for name in quoted(row[0])}


@pytest.mark.parametrize("module", sorted({new for new, _ in moves().values()}))
def test_each_name_is_where_the_table_says(module: str) -> None:
    home = importlib.import_module(module)

    assert [name for new, name in moves().values() if new == module and not hasattr(home, name)] == []


@pytest.mark.parametrize("module", OFFERED)
def test_each_name_is_at_its_former_path_too(module: str) -> None:
    names = {
        before: getattr(importlib.import_module(new), after)
        for (old, before), (new, after) in moves().items()
        if old == module
    }

    assert all(
        getattr(importlib.import_module(renamed(module)), name) is found for name, found in names.items()
    )


@pytest.mark.parametrize("module", OFFERED)
def test_each_name_of_prefect_1_is_in_a_table(module: str) -> None:
    left = named_in(OUT)
    moved = moves()

    missing = [
        name
        for name in OFFERED[module].split()
        if (module, name) not in moved and not {name, module, f"{module}.{name}"} & left
    ]

    assert missing == []


def test_the_table_names_nothing_that_prefect_1_did_not_offer() -> None:
    offered = {(module, name) for module, names in OFFERED.items() for name in names.split()}

    assert moves().keys() - offered == set()


@pytest.mark.parametrize(
    ("owner", "taken"),
    [("@task", {*OptionArgs.__annotations__, "name"}), ("Flow", set(Flow.__init__.__annotations__))],
)
def test_each_option_of_prefect_1_is_there_or_in_a_table(owner: str, taken: set[str]) -> None:
    left = named_in(OUT)

    offered = set(OPTIONS[owner].split())

    assert offered - taken == {name for name in offered if f"{owner}({name})" in left}


@pytest.mark.parametrize("owner", [Flow, Task, State], ids=lambda owner: owner.__name__)
def test_each_method_of_prefect_1_is_there_or_in_a_table(owner: type[Any]) -> None:
    left = named_in(OUT)
    instance = owner("f")

    offered = set(MEMBERS[owner.__name__].split())

    assert {name for name in offered if not hasattr(instance, name)} == {
        name for name in offered if f"{owner.__name__}.{name}" in left
    }


def test_what_is_said_to_be_missing_is_missing() -> None:
    there = {*prefectlite.__all__, *prefectlite.states.__all__, *(name for _, name in moves().values())}
    names = named_in(OUT)

    assert {name for name in names if name.startswith("prefect.") and is_found(renamed(name))} == set()
    assert {name.rpartition(".")[2] for name in names if not name.startswith("prefect.")} & there == set()


@pytest.mark.parametrize(
    "name",
    [
        *sorted(name for name in named_in(OUT) if re.fullmatch(r"prefect(\.[a-z_]+)+", name)),
        *("prefect.tasks.snowflake", "prefect.storage.github", "prefect.tasks.aws.s3"),
    ],
)
def test_a_module_that_is_out_says_what_there_is_instead(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'prefectlite\.[a-z_.]+': .+; .+"):
        importlib.import_module(renamed(name))


@pytest.mark.parametrize(
    "name",
    [
        *("prefect.Client", "prefect.storage", "prefect.run_configs", "prefect.client.Client"),
        *("prefect.engine.TaskRunner", "prefect.engine.flow_runner", "prefect.engine.results.S3Result"),
        *("prefect.tasks.aws", "prefect.utilities.graphql", "prefect.utilities.notifications.jira_notifier"),
    ],
)
def test_a_name_that_is_out_says_what_there_is_instead_wherever_it_is_asked_for(name: str) -> None:
    package, _, last = renamed(name).rpartition(".")
    with pytest.raises(ImportError, match=rf"^No module named '{package}\.{last}': .+; .+"):
        exec(f"from {package} import {last}")
    room = importlib.import_module(package)
    assert not hasattr(room, last)
    assert importlib.util.find_spec(renamed(name)) is None


@pytest.mark.parametrize("name", ["prefect.Client", "prefect.engine.TaskRunner", "prefect.tasks.aws"])
def test_an_attribute_that_is_out_says_what_there_is_instead(name: str) -> None:
    package, _, last = renamed(name).rpartition(".")
    with pytest.raises(AttributeError, match=rf"has no attribute '{last}': .+; .+; its names are "):
        getattr(importlib.import_module(package), last)


@pytest.mark.parametrize("name", ["prefectlite.tusks", "prefectlite.tasks.control_flow.swich"])
def test_a_name_that_is_misspelt_is_only_not_found(name: str) -> None:
    package, _, last = name.rpartition(".")
    with pytest.raises(ImportError, match=rf"^cannot import name '{last}' from '{package}'"):
        exec(f"from {package} import {last}")


def test_a_module_that_prefect_1_did_not_have_either_is_only_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'prefectlite.stores'$"):
        importlib.import_module("prefectlite.stores")
    assert importlib.util.find_spec("prefectlite.stores") is None


@pytest.mark.parametrize("name", ["prefectlite.storage", "elsewhere"])
def test_whoever_asks_the_finders_himself_is_told_of_no_module(name: str) -> None:
    code = f"""
import sys
import prefectlite

for finder in sys.meta_path:
    print(finder.find_spec({name!r}, prefectlite.__path__))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, set(done.stdout.split())) == (0, {"None"}), done.stderr


def is_found(path: str) -> bool:
    try:
        resolve_name(path)
    except (AttributeError, ImportError, ValueError):
        return False
    return True


def test_the_two_ways_to_write_the_example_differ_in_imports_that_the_table_maps() -> None:
    before = re.search(r"^```py\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    after = FENCE.search(PAGE)
    assert before is not None
    assert after is not None
    moved = moves()

    mapped = [moved[name] for name in imported(before[1])]

    assert mapped == imported(after[1])


def test_of_the_first_way_the_package_has_to_be_renamed_and_no_more() -> None:
    before = re.search(r"^```py\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert before is not None

    exec(renamed(before[1]), {})


def imported(source: str) -> list[tuple[str, str]]:
    return [
        (str(line.module), alias.name)
        for line in ast.parse(source).body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    ]


def test_each_row_of_differences_says_what_was_and_what_is() -> None:
    told = list(rows(DIFFERENT))

    assert len(told) > 20
    assert all(len(row) == 4 and row[1] and row[2] for row in told)


@pytest.mark.parametrize(
    ("title", "others"),
    [(DIFFERENT, {"mended"}), (OUT, {"server", "vendor"})],
)
def test_each_difference_says_what_decides_it(title: str, others: set[str]) -> None:
    odd = [row for row in rows(title) if not set(row[-1].split(", ")) <= {*SEMANTICS, *others}]

    assert odd == []


def test_the_python_of_the_page_runs_as_a_script(tmp_path: Path) -> None:
    done = run_script(PAGE, tmp_path)

    assert done.returncode == 0, done.stderr
