"""The program ``prefectlite``: its options, and what it says when they do not fit. Knows no task."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
from prefectlite.cli.texts import CONFIG_HELP, DESCRIBE_HELP, DIAGNOSTICS_HELP, RUN_HELP, SERVE_HELP
from prefectlite.cli.tls import tls_command
from prefectlite.driver.approval import Prompt, is_attended
from prefectlite.driver.run import Run
from prefectlite.driver.service import Service
from prefectlite.driver.timetable import CATCH_UP, CatchUp
from prefectlite.executors.default import place_for
from prefectlite.flow import Flow
from prefectlite.masking import mask
from prefectlite.schedules.events import ClockEvent
from prefectlite.settings import told
from prefectlite.states.state import State, Success
from prefectlite.views.counts import class_named
from prefectlite.views.describe import description, description_lines, machine
from prefectlite.views.lines import FailureDisplay, LineDisplay
from prefectlite.views.printable import hanging, label, printable
from prefectlite.views.progress import Progress
from prefectlite.views.terminal import terminal_progress

SUCCESS: Final = 0
FAILED: Final = 1
UNFINISHED: Final = 75
INTERRUPTED: Final = 130

_CENSUS: Final = "prefectlite.examples.census"
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


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
        click.option(
            "--flow", "-n", "--name", "flow_name", metavar="NAME", help="Which flow, where there are several."
        ),
        click.option("-m", "module", metavar="MODULE", help="Take the flow from a module instead of a file."),
        click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE]"),
    ):
        command = decorate(command)
    return command


@program.command("describe", help=DESCRIBE_HELP)
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


@program.command("run", help=RUN_HELP)
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
@click.option("--no-logs", is_flag=True, help="Do not show what tasks log and print.")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but results, and what failed.")
@click.option(
    "--no-wait", is_flag=True, help="Do not ask about paused tasks; by default a terminal is asked."
)
@click.option("--schedule", is_flag=True, help="Run at the times of the flow's schedule: prefectlite serve.")
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
    no_logs: bool,
    quiet: bool,
    no_wait: bool,
    schedule: bool,
    debug: bool,
) -> int:
    """Run a flow; the exit status is what it came to."""
    place = Place(address, scheduler_file, workers, local, security)
    place.check()
    show = partial(_progress, moves=not schedule and not local, logs=not no_logs, quiet=quiet)
    with mended(debug):
        flow = _flow(file, module, flow_name)
        parameters = gather(flow.parameters(), typed, param_file)
        surroundings = context_from(named)
        if schedule:
            return _serve(flow, parameters, place, _level(log_level), surroundings, show)
        may_ask = is_attended() and not no_wait
        return _run(flow, parameters, place, _level(log_level), surroundings, show, may_ask)


@program.command("config", help=CONFIG_HELP)
def config_command() -> int:
    """Show the settings and where each comes from."""
    with mended(False):
        click.echo(settings_text(told()), nl=False)
    return SUCCESS


program.add_command(tls_command)


@program.command("version")
def version_command() -> int:
    """Print the version."""
    click.echo(__version__)
    return SUCCESS


@program.command("diagnostics", help=DIAGNOSTICS_HELP)
def diagnostics_command() -> int:
    """Print what a report of a bug should say."""
    with mended(False):
        sources = {one.key: one.source for one in told() if one.source != "default"}
        click.echo(json.dumps({**machine(), "settings": sources}, indent=2))
    return SUCCESS


# A service has nobody to ask about paused tasks.
@program.command(
    "serve",
    help=SERVE_HELP,
    params=[one for one in run_command.params if one.name not in ("no_wait", "schedule")],
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
    no_logs: bool,
    quiet: bool,
    debug: bool,
    catch_up: CatchUp,
    max_instances: int,
) -> int:
    """Run a flow at the times of its schedule; the exit status is 1 if a run failed."""
    place = Place(address, scheduler_file, workers, local, security)
    place.check()
    if file is None and module is None:
        raise click.UsageError("Give the FILE that holds the flow, or its module with -m.")
    show = partial(_progress, moves=False, logs=not no_logs, quiet=quiet)
    with mended(debug):
        flow = _flow(file, module, flow_name)
        parameters = gather(flow.parameters(), typed, param_file)
        surroundings = context_from(named)
        return _serve(flow, parameters, place, _level(log_level), surroundings, show, catch_up, max_instances)


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


def _progress(*, moves: bool, logs: bool, quiet: bool) -> Progress:
    # Where the tasks run in this process, the terminal is theirs (pdb, input), so nothing may move there.
    if quiet:
        return Progress(FailureDisplay(sys.stderr), logs=False)
    return terminal_progress(logs=logs) if moves else Progress(LineDisplay(sys.stderr), logs=logs)


def _level(name: str | None) -> int | None:
    return None if name is None else int(getattr(logging, name.upper()))


def _serve(
    flow: Flow,
    parameters: dict[str, Any],
    place: Place,
    log_level: int | None,
    context: dict[str, Any],
    show: Callable[[], Progress],
    catch_up: CatchUp = "skip",
    max_instances: int = 1,
) -> int:
    logging.getLogger("distributed.batched").setLevel(logging.ERROR)
    executor = place_for(place.executor() or flow.executor, flow.name)
    # A service manager's polite request is a Ctrl-C.
    former = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))

    def make_run(given: Mapping[str, Any], start: ClockEvent | None) -> Run:
        return Run(
            flow,
            given,
            executor,
            observers=(show(),),
            log_level=log_level,
            start=start,
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
    show: Callable[[], Progress],
    may_ask: bool,
) -> int:
    # Dask's scheduler tells of each connection that closes while it stops, which is no news after Ctrl-C.
    logging.getLogger("distributed.batched").setLevel(logging.ERROR)
    executor = place_for(place.executor() or flow.executor, flow.name)
    with show() as progress:
        ask = Prompt(aside=progress.aside) if may_ask else None
        run = Run(
            flow, parameters, executor, observers=(progress,), log_level=log_level, context=context, ask=ask
        )
        state = run.drive()
    tasks = [(flow.slugs[task], state.result[task]) for task in flow.reference_tasks()]
    click.echo(results_text(tasks), nl=False)
    return status_of(state)
