"""The program ``prefectlite``: its options, and what it says when they do not fit. Knows no task."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from prefectlite import __version__
from prefectlite.cli.loading import load_file, load_module, pick_flow
from prefectlite.cli.mending import mended, where_it_arose
from prefectlite.cli.parameters import context_from, gather
from prefectlite.cli.places import Place
from prefectlite.cli.results import results_text
from prefectlite.cli.settings import settings_text
from prefectlite.cli.tls import tls_command
from prefectlite.driver.approval import Prompt, is_attended
from prefectlite.driver.run import Run
from prefectlite.driver.service import Service
from prefectlite.driver.timetable import CATCH_UP, CatchUp
from prefectlite.executors.default import default_executor
from prefectlite.flow import Flow
from prefectlite.masking import mask
from prefectlite.settings import told
from prefectlite.settings.sources import DEFAULT_FILE, FILE_VARIABLE
from prefectlite.states.state import State, Success
from prefectlite.views.counts import class_named
from prefectlite.views.describe import description, description_lines
from prefectlite.views.lines import LineDisplay
from prefectlite.views.printable import hanging, label, printable
from prefectlite.views.progress import Progress
from prefectlite.views.terminal import terminal_progress

SUCCESS: Final = 0
FAILED: Final = 1
UNFINISHED: Final = 75
INTERRUPTED: Final = 130

_CENSUS: Final = "prefectlite.examples.census"
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")

_RUN_HELP: Final = """Run a flow and show how it goes.

    FILE is a Python file that holds a flow at its top level. Without FILE and without -m, the flow that
    ships with prefectlite runs: a census of the Python code on this machine.

    \b
    Examples:
      prefectlite run                                the census, on a local cluster
      prefectlite run -p limit=200 --local           200 files of it, in this process
      prefectlite run etl.py -p date=2026-11-22      the flow in etl.py
      prefectlite run etl.py --flow nightly          one of several flows in a file
      prefectlite run -m shop.flows --param-file p.json
      prefectlite run etl.py --workers 8             a local cluster with 8 processes
      prefectlite run etl.py --address tcp://10.0.0.5:8786
      prefectlite run etl.py --scheduler-file /shared/scheduler.json
      prefectlite run etl.py --address tls://10.0.0.5:8786 --security ~/cluster-tls

    \b
    Exit status:
      0    the flow succeeded
      1    the flow failed
      2    it could not be run as asked: option, parameter, file or address
      75   it is unfinished: some of its tasks wait for approval
      130  it was interrupted by Ctrl-C
    """


_DESCRIBE_HELP: Final = """Show what a flow consists of: its parameters, tasks and edges; nothing runs.

    FILE, -m and --flow are those of `prefectlite run`.

    \b
    Examples:
      prefectlite describe etl.py
      prefectlite describe -m shop.flows --flow nightly
      prefectlite describe etl.py --json | jq .parameters     the JSON schema of the parameters
    """

_CONFIG_HELP: Final = f"""Show each setting, its value, and where that comes from.

    A value comes from the first of these that names it: an argument in code or on the command line, an
    environment variable (PREFECTLITE_RESULTS_INLINE_LIMIT for results.inline_limit), the configuration file
    ({DEFAULT_FILE}, or the one that {FILE_VARIABLE} names), the default. What is printed is TOML, fit for
    that file; the values of secrets are masked.
    """

_SERVE_HELP: Final = """Run a flow at the times of its schedule, until there are no more or until Ctrl-C.

    FILE, -m and the other options are those of `prefectlite run`; the flow needs a schedule.

    \b
    Examples:
      prefectlite serve etl.py                       as the flow in etl.py says
      prefectlite serve etl.py -p city=Bergen --local
      prefectlite serve etl.py --catch-up latest     run at once if a start passed while a run went on
      prefectlite serve etl.py --max-instances 3     let runs overlap

    \b
    Exit status:
      0    the schedule is over, and every run succeeded
      1    the schedule is over, and some run did not succeed
      2    it could not be served as asked: option, parameter, file, schedule
      130  it was ended by Ctrl-C or SIGTERM
    """


@click.group(
    help="Run flows of Python functions, on Dask or in one process.",
    epilog="Start with: prefectlite run --help",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Hold the commands."""


def of_a_flow(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say which flow is meant.

    Parameters
    ----------
    command : callable
        The command.

    Returns
    -------
    callable
        The same.
    """
    for decorate in (
        click.option("--debug", is_flag=True, help="Show where in prefectlite an error arose."),
        click.option("--flow", "flow_name", metavar="NAME", help="Which flow, where there are several."),
        click.option("-m", "module", metavar="MODULE", help="Take the flow from a module instead of a file."),
        click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]"),
    ):
        command = decorate(command)
    return command


@program.command("describe", help=_DESCRIBE_HELP)
@of_a_flow
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def describe_command(
    file: Path | None, module: str | None, flow_name: str | None, as_json: bool, debug: bool
) -> int:
    """Show a flow."""
    with mended(debug):
        flow = _flow(file, module, flow_name)
        told = json.dumps(description(flow), indent=2) if as_json else "\n".join(description_lines(flow))
        click.echo(told)
    return SUCCESS


@program.command("run", help=_RUN_HELP)
@of_a_flow
@click.option(
    "-p",
    "--param",
    "typed",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; read as the flow's Parameter says, lists and objects as JSON. May be repeated.",
)
@click.option(
    "--param-file",
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="A JSON file with parameters; -p goes first.",
)
@click.option(
    "--context",
    "named",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value for the context of its tasks, as JSON or text (date=2026-11-22). May be repeated.",
)
@click.option("--address", metavar="URL", help="A Dask scheduler that runs already, tcp://host:8786.")
@click.option(
    "--scheduler-file",
    type=click.Path(path_type=Path),
    metavar="JSON",
    help="The file that `dask scheduler` wrote.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start a local cluster with N worker processes.",
)
@click.option(
    "--security",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Certificates for a cluster with a tls:// address, made by `prefectlite tls`.",
)
@click.option("--local", is_flag=True, help="Run in this process, one task at a time, so that pdb works.")
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default=None,
    help="The lowest level of the tasks' log records that show; by default the setting logging.level.",
)
@click.option(
    "--no-wait", is_flag=True, help="Do not ask about paused tasks; by default a terminal is asked."
)
def run_command(
    file: Path | None,
    module: str | None,
    flow_name: str | None,
    typed: tuple[str, ...],
    param_file: Path | None,
    named: tuple[str, ...],
    address: str | None,
    scheduler_file: Path | None,
    workers: int | None,
    security: Path | None,
    local: bool,
    log_level: str | None,
    no_wait: bool,
    debug: bool,
) -> int:
    """Run a flow; the exit status is what it came to."""
    place = Place(address, scheduler_file, workers, local, security)
    place.check()
    with mended(debug):
        flow = _flow(file, module, flow_name)
        parameters = gather(flow.parameters(), typed, param_file)
        may_ask = is_attended() and not no_wait
        return _run(flow, parameters, place, _level(log_level), context_from(named), may_ask)


@program.command("config", help=_CONFIG_HELP)
def config_command() -> int:
    """Show the settings and where each comes from."""
    with mended(False):
        click.echo(settings_text(told()), nl=False)
    return SUCCESS


program.add_command(tls_command)


# A service has nobody to ask about paused tasks.
@program.command(
    "serve", help=_SERVE_HELP, params=[one for one in run_command.params if one.name != "no_wait"]
)
@click.option(
    "--catch-up",
    type=click.Choice(CATCH_UP),
    default="skip",
    show_default=True,
    help="What becomes of starts that pass while a run goes on.",
)
@click.option(
    "--max-instances",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many runs may go on at the same time.",
)
def serve_command(
    file: Path | None,
    module: str | None,
    flow_name: str | None,
    typed: tuple[str, ...],
    param_file: Path | None,
    named: tuple[str, ...],
    address: str | None,
    scheduler_file: Path | None,
    workers: int | None,
    security: Path | None,
    local: bool,
    log_level: str | None,
    debug: bool,
    catch_up: CatchUp,
    max_instances: int,
) -> int:
    """Run a flow at the times of its schedule; the exit status is 1 if a run failed."""
    place = Place(address, scheduler_file, workers, local, security)
    place.check()
    if file is None and module is None:
        raise click.UsageError("Give the FILE that holds the flow, or its module with -m.")
    with mended(debug):
        flow = _flow(file, module, flow_name)
        parameters = gather(flow.parameters(), typed, param_file)
        told_context = context_from(named)
        return _serve(flow, parameters, place, _level(log_level), told_context, catch_up, max_instances)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str or None
        What was typed behind its name; by default, what this process was started with.

    Returns
    -------
    int
        The exit status.
    """
    typed = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = program.main(args=typed, prog_name="prefectlite", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:
        if "--debug" in typed:
            click.echo(where_it_arose(), err=True)
        click.echo(
            f"Error: prefectlite itself failed: {type(error).__name__}: {printable(mask(str(error)))}; "
            "the same command with --debug shows where.",
            err=True,
        )
        return FAILED
    return status if isinstance(status, int) else SUCCESS


def status_of(state: State) -> int:
    """Return the exit status for a flow run.

    Parameters
    ----------
    state : State
        How the flow run ended.

    Returns
    -------
    int
        0 for success, 1 for failure, 75 for a run that is not over, 130 for a cancelled one.
    """
    if not state.is_finished():
        return UNFINISHED
    if state.is_cancelled():
        return INTERRUPTED
    return SUCCESS if state.is_successful() else FAILED


def _flow(file: Path | None, module: str | None, flow_name: str | None) -> Flow:
    if file is not None and module is not None:
        raise click.UsageError(f"FILE ({file}) and -m ({module}) exclude each other; give one of them.")
    return pick_flow(load_file(file) if file is not None else load_module(module or _CENSUS), flow_name)


def _level(name: str | None) -> int | None:
    return None if name is None else int(getattr(logging, name.upper()))


def _serve(
    flow: Flow,
    parameters: dict[str, Any],
    place: Place,
    log_level: int | None,
    context: dict[str, Any],
    catch_up: CatchUp,
    max_instances: int,
) -> int:
    logging.getLogger("distributed.batched").setLevel(logging.ERROR)
    executor = place.executor() or flow.executor or default_executor()
    # A service manager's polite request is a Ctrl-C.
    former = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))

    def make_run(given: Mapping[str, Any], moment: datetime | None) -> Run:
        progress = Progress(LineDisplay(sys.stderr))
        return Run(
            flow,
            given,
            executor,
            observers=(progress,),
            log_level=log_level,
            scheduled_start_time=moment,
            context=context,
        )

    service = Service(
        flow,
        parameters,
        make_run,
        catch_up=catch_up,
        max_instances=max_instances,
        tell=lambda text: click.echo(f"{label(flow.name)}: {hanging(text)}", err=True),
    )
    try:
        ended = service.serve()
    finally:
        signal.signal(signal.SIGTERM, former)
    return SUCCESS if all(issubclass(class_named(name), Success) for name in ended) else FAILED


def _run(
    flow: Flow,
    parameters: dict[str, Any],
    place: Place,
    log_level: int | None,
    context: dict[str, Any],
    may_ask: bool,
) -> int:
    # Dask's scheduler tells of each connection that closes while it stops, which is no news after Ctrl-C.
    logging.getLogger("distributed.batched").setLevel(logging.ERROR)
    executor = place.executor() or flow.executor or default_executor()
    # In this process the terminal belongs to the tasks' code (pdb, input), so nothing may move there.
    progress = Progress(LineDisplay(sys.stderr)) if place.local else terminal_progress()
    with progress:
        ask = Prompt(aside=progress.aside) if may_ask else None
        run = Run(
            flow, parameters, executor, observers=(progress,), log_level=log_level, context=context, ask=ask
        )
        state = run.drive()
    tasks = [(flow.slugs[task], state.result[task]) for task in flow.reference_tasks()]
    click.echo(results_text(tasks), nl=False)
    return status_of(state)
