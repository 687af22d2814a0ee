"""The settings there are: names, types, limits, defaults, words. Knows no file and no variable."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_type_hints

from prefectlite.masking import Secrets
from prefectlite.settings.texts import meaning

Level: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _setting(default: Any, *, check: Callable[[Any], Any] | None = None, **limits: Any) -> Any:
    return field(default=default, metadata={"check": check, "limits": limits})


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _place(value: object) -> object:
    if isinstance(value, str) and value not in _PLACES and not any(mark in value for mark in ":/."):
        raise ValueError(
            f"it is none of {', '.join(_PLACES)}, no address (tcp://host:8786), no scheduler file and no "
            "class of a cluster (dask_jobqueue.SLURMCluster) or executor (shop.executors.PoolExecutor)"
        )
    return value


def _import_string(value: object) -> object:
    """Return what names a class; none where a text is empty, as it is by default in Prefect 1."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return value or None


def _seconds(value: object) -> object:
    """Return seconds; none for False, which is how TOML and Prefect 1 say it."""
    if value is False or (isinstance(value, str) and value.lower() in ("false", "none", "")):
        return None
    return value.total_seconds() if isinstance(value, timedelta) else value


def _names(value: object) -> object:
    return meaning(value) if isinstance(value, str) else value


def _line_format(value: object) -> object:
    if isinstance(value, str):
        import logging

        logging.Formatter(value)  # raises ValueError, and says why
    return value


#: The folder of prefectlite's own files.
HOME: Final = "~/.prefectlite"
#: The words that name a place to run.
_PLACES: Final = ("dask", "local", "threads", "processes")


@dataclass(frozen=True, slots=True)
class ResultSettings:
    """Which results are kept where.

    Parameters
    ----------
    inline_limit : int
        Up to how many pickled bytes a result comes with its task's report, so that it can be read when the
        cluster is gone.
    keep_limit : int
        How many bytes of larger results stay readable after a flow run's end, as long as its state is held.
    dir : str or None
        The folder where values are stored of tasks with ``cache_for`` or ``target`` that name no other; by
        default ``results`` in ``home_dir``. All workers must reach it.
    """

    inline_limit: int = _setting(8192, ge=0)
    keep_limit: int = _setting(1024**3, ge=0)
    dir: str | None = _setting(None, min_length=1)


@dataclass(frozen=True, slots=True)
class DaskSettings:
    """Where a DaskExecutor runs that does not say, and finds no active client.

    Parameters
    ----------
    address : str or None
        The scheduler that it connects to; by default, it starts a cluster.
    cluster_class : str or None
        The import string of the class of the cluster that it starts; by default, Dask's LocalCluster.
    """

    address: str | None = _setting(None, check=_import_string)
    cluster_class: str | None = _setting(None, check=_import_string)


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What flows do that do not say otherwise.

    Parameters
    ----------
    run_on_schedule : bool
        Whether flow.run follows a flow's schedule.
    """

    run_on_schedule: bool = _setting(True)


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """How the log lines of task bodies look where a program has not set up logging itself.

    Parameters
    ----------
    level : {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        The lowest level of the tasks' log records that are brought to the program; also without logging set
        up.
    log_attributes : tuple of str
        What of the context each of these records bears, too, for the format.
    format : str
        A line, as in ``logging``; ``who``, ``flow_name``, ``flow_run_id``, ``task_name``, ``task_slug``,
        ``task_run_id``, ``task_run``, ``attempt`` and ``where`` can be used.
    datefmt : str
        A moment, as in ``time.strftime``.
    runs_per_second : float
        Of how many task runs a second it is logged at INFO, on average, that they begin and end; by default,
        of all. With a number, ten seconds' worth may come at once, and the numbers tell of the rest; 0 for
        none and nothing of the flow run.
    """

    level: Level = _setting("INFO", check=_upper)  # noqa: RUF009  # it is a field
    log_attributes: tuple[str, ...] = _setting((), check=_names)
    format: str = _setting("%(asctime)s %(levelname)-7s %(who)s | %(message)s", check=_line_format)
    datefmt: str = _setting("%H:%M:%S")
    runs_per_second: float = _setting(math.inf, ge=0)


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What tasks do that do not say otherwise.

    Parameters
    ----------
    max_retries : int
        How many attempts may follow a failed first one.
    retry_delay : float or None
        How long to wait before the next attempt, in seconds, for tasks that are tried again.
    timeout : float or None
        How long an attempt may take, in seconds.
    map_lengths : {"equal", "shortest"}
        What a map over inputs of unequal length does: fail, or stop at the shortest.
    """

    max_retries: int = _setting(0, ge=0)
    retry_delay: float | None = _setting(None, check=_seconds, ge=0, allow_inf_nan=False)
    timeout: float | None = _setting(None, check=_seconds, gt=0, allow_inf_nan=False)
    map_lengths: Literal["equal", "shortest"] = _setting("equal")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one moment; an immutable value.

    Parameters
    ----------
    executor : str
        Where a flow runs that does not say: "dask" (the active client, else a local cluster), "local" (this
        process), "threads" or "processes" (a local cluster of those), what DaskExecutor takes as a text (an
        address, a scheduler file, the import string of a cluster class), or that of a class of executors.
    n_workers : int or None
        How many workers a local cluster has that is started for a flow run; by default Dask decides.
    bundle_size : int or "auto"
        How many task runs may travel as one Dask task; 1 lets each travel alone.
    stall_timeout : float
        For how many seconds a task run may lack its inputs on a worker that has a thread for it, before
        another worker gets it, and again before it is given up.
    progress : bool
        Whether flow.run shows in the terminal how far it is.
    debug : bool
        Whether a local cluster of a DaskExecutor that does not say tells of Dask's own warnings.
    home_dir : str
        The folder of prefectlite's own files, in which results are stored that go nowhere else.
    results : ResultSettings
        Which results are kept where.
    logging : LoggingSettings
        How log lines look.
    tasks : TaskSettings
        What tasks do that do not say otherwise.
    flows : FlowSettings
        What flows do that do not say otherwise.
    dask : DaskSettings
        Where a DaskExecutor runs that does not say.
    context : mapping of str to object
        What the context of every flow run holds beside what prefectlite puts there.
    secrets : Secrets
        Secrets by name; ``[context.secrets]`` in the file.
    other : mapping of str to object
        What is no setting of ours, by key: a person's own, and what Prefect 1 had and changes nothing here.
    """

    executor: str = _setting("dask", check=_place, min_length=1)
    n_workers: int | None = _setting(None, ge=1)
    bundle_size: int | Literal["auto"] = _setting("auto", ge=1)
    stall_timeout: float = _setting(60.0, gt=0)
    progress: bool = _setting(False)
    debug: bool = _setting(False)
    home_dir: str = _setting(HOME, min_length=1)
    results: ResultSettings = field(default_factory=ResultSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    flows: FlowSettings = field(default_factory=FlowSettings)
    dask: DaskSettings = field(default_factory=DaskSettings)
    context: Mapping[str, Any] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=lambda: Secrets({}))
    other: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Known(NamedTuple):
    """What is known of a setting beforehand.

    Parameters
    ----------
    kind : object
        Its type, as an annotation.
    default : object
        Its value when nobody says one.
    check : callable or None
        Changes a value before it is checked by type; raises ``ValueError`` when it cannot be.
    limits : mapping of str to object
        As of pydantic's ``Field``.
    description : str
        What it says, in a sentence.
    """

    kind: Any
    default: Any
    check: Callable[[Any], Any] | None
    limits: Mapping[str, Any]
    description: str


@lru_cache(maxsize=1)
def known() -> dict[str, Known]:
    """Return what is known of each setting.

    Returns
    -------
    dict
        By key: ``results.inline_limit``.
    """
    return dict(_walk(Settings, ""))


def _walk(section: Any, prefix: str) -> Iterator[tuple[str, Known]]:
    hints = get_type_hints(section)
    texts = _descriptions(section)
    for one in fields(section):
        kind = hints[one.name]
        if is_dataclass(kind):
            yield from _walk(kind, f"{prefix}{one.name}.")
        elif one.metadata:
            told = one.metadata
            text = texts.get(one.name, "")  # without docstrings (python -OO) there are none
            yield f"{prefix}{one.name}", Known(kind, one.default, told["check"], told["limits"], text)


def _descriptions(section: Any) -> dict[str, str]:
    """Return what a class's docstring says of each of its parameters."""
    _, _, listed = (inspect.getdoc(section) or "").partition("----------\n")
    found: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if line.startswith(" "):
            found[name] = f"{found[name]} {line.strip()}".lstrip().replace("``", "")
        else:
            name = line.partition(" :")[0]
            found[name] = ""
    return found
