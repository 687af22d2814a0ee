"""The settings there are: names, types, limits, defaults, words. Knows no file and no variable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_type_hints

from prefectlite.masking import Secrets

Level: TypeAlias = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def _setting(default: Any, *, check: Callable[[Any], Any] | None = None, **limits: Any) -> Any:
    return field(default=default, metadata={"check": check, "limits": limits})


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _place(value: object) -> object:
    if isinstance(value, str) and value not in _PLACES and not any(mark in value for mark in ":/."):
        raise ValueError(
            f"it is none of {', '.join(_PLACES)}, no address (tcp://host:8786), no scheduler file and no "
            "cluster class (dask_jobqueue.SLURMCluster)"
        )
    return value


def _line_format(value: object) -> object:
    if isinstance(value, str):
        import logging

        logging.Formatter(value)  # raises ValueError, and says why
    return value


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
        default ``~/.prefectlite/results``. All workers must reach it.
    """

    inline_limit: int = _setting(8192, ge=0)
    keep_limit: int = _setting(1024**3, ge=0)
    dir: str | None = _setting(None, min_length=1)


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """How the log lines of task bodies look where a program has not set up logging itself.

    Parameters
    ----------
    level : {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        The lowest level of the tasks' log records that are brought to the program; also without logging set
        up.
    format : str
        A line, as in ``logging``; ``flow_name``, ``flow_run_id``, ``task_name``, ``task_slug``,
        ``task_run_id``, ``task_run``, ``attempt`` and ``where`` can be used.
    datefmt : str
        A moment, as in ``time.strftime``.
    """

    level: Level = _setting("INFO", check=_upper)  # noqa: RUF009  # it is a field
    format: str = _setting(
        "%(asctime)s %(levelname)-7s %(flow_name)s · %(task_run)s · attempt %(attempt)d | %(message)s",
        check=_line_format,
    )
    datefmt: str = _setting("%H:%M:%S")


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
    retry_delay: float | None = _setting(None, ge=0, allow_inf_nan=False)
    timeout: float | None = _setting(None, gt=0, allow_inf_nan=False)
    map_lengths: Literal["equal", "shortest"] = _setting("equal")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one moment; an immutable value.

    Parameters
    ----------
    executor : str
        Where a flow runs that does not say: "dask" (the active client, else a local cluster), "local" (this
        process), "threads" or "processes" (a local cluster of those), or what DaskExecutor takes as a text:
        an address, a scheduler file, the import string of a cluster class.
    n_workers : int or None
        How many workers a local cluster has that is started for a flow run; by default Dask decides.
    bundle_size : int or "auto"
        How many task runs may travel as one Dask task; 1 lets each travel alone.
    stall_timeout : float
        For how many seconds a task run may lack its inputs on a worker that has a thread for it, before
        another worker gets it, and again before it is given up.
    progress : bool
        Whether flow.run shows in the terminal how far it is.
    results : ResultSettings
        Which results are kept where.
    logging : LoggingSettings
        How log lines look.
    tasks : TaskSettings
        What tasks do that do not say otherwise.
    context : mapping of str to object
        What the context of every flow run holds beside what prefectlite puts there.
    secrets : Secrets
        Secrets by name; ``[context.secrets]`` in the file.
    """

    executor: str = _setting("dask", check=_place, min_length=1)
    n_workers: int | None = _setting(None, ge=1)
    bundle_size: int | Literal["auto"] = _setting("auto", ge=1)
    stall_timeout: float = _setting(60.0, gt=0)
    progress: bool = _setting(False)
    results: ResultSettings = field(default_factory=ResultSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    tasks: TaskSettings = field(default_factory=TaskSettings)
    context: Mapping[str, Any] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=lambda: Secrets({}))

    def to_travel(self) -> Settings:
        """Return the settings without secrets, which travel on their own.

        Returns
        -------
        Settings
            For ``context.config``.
        """
        return replace(self, secrets=Secrets({}))


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


@lru_cache(maxsize=1)
def sections() -> frozenset[str]:
    """Return the names of the tables in the file.

    Returns
    -------
    frozenset of str
        ``results``, ``context.secrets`` and the like.
    """
    return frozenset({"context", "context.secrets", *(key.rpartition(".")[0] for key in known())} - {""})


def mend(key: str) -> str:
    """Return what to do about a setting that there is not.

    Parameters
    ----------
    key : str
        What was written.

    Returns
    -------
    str
        The nearest one, or to take it out.
    """
    names = {name: whole for whole in known() for name in (whole, whole.rpartition(".")[2])}
    close = get_close_matches(key, names, n=1)
    return f"did you mean {names[close[0]]}?" if close else "take it out."
