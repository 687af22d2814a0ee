"""What surrounds a body: its context, and whose lines it logs. Both are made when somebody looks.

Most bodies look at neither, and there may be a thousand of them in five milliseconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol

from prefectlite.core.facts import own_facts, shared_facts
from prefectlite.core.given_context import PER_RUN
from prefectlite.core.keeping import Keeping
from prefectlite.core.layers import Later, LazyLayer, current_layer, enter_layer, push, value_in
from prefectlite.core.loggers import run_logger
from prefectlite.lowering.spec import Upstream
from prefectlite.results.location import Location, filled_in
from prefectlite.states.keys import RunKey
from prefectlite.worker.beginnings import HEARERS, announce
from prefectlite.worker.here import Here
from prefectlite.worker.labels import current, record_labels
from prefectlite.worker.logs import Capture, named_of_context
from prefectlite.worker.opened import OpenFlow, OpenTask
from prefectlite.worker.prints import captured
from prefectlite.worker.upstreams import UpstreamStates

#: When a body's time is over, by the monotonic clock; None where it has no limit.
until: Final[ContextVar[float | None]] = ContextVar("prefectlite.until", default=None)


class Kind:
    """What attempts have in common that run one after the other; one that travels alone is its only one.

    Parameters
    ----------
    flow : OpenFlow
        The flow run's facts.
    task : OpenTask
        The task.
    here : Here
        Where they run.
    loop, attempt : int
        Counted from 1.
    drop_value : bool
        Whether nobody reads the values.
    measure : tuple of str
        As in ``Spec``.
    """

    __slots__ = (
        "_shared", "apart", "attempt", "drop_value", "drops_kept", "flow", "here", "inline_limit", "keeping",
        "loop", "measure", "run", "task",
    )  # fmt: skip

    def __init__(
        self,
        flow: OpenFlow,
        task: OpenTask,
        here: Here,
        loop: int,
        attempt: int,
        drop_value: bool,
        measure: tuple[str, ...],
    ) -> None:
        self.flow = flow
        self.task = task
        self.here = here
        self.loop = loop
        self.attempt = attempt
        envelope = task.envelope
        #: What is stored of the values, and looked for before the body; None where nothing is.
        self.keeping: Keeping | None = envelope.keeping if here.keeps else None
        # A value that is stored is dropped after that, and not where it is made.
        self.drop_value = drop_value and self.keeping is None
        self.drops_kept = drop_value and self.keeping is not None
        self.measure = measure
        #: Up to how many pickled bytes a result rides in its report; below zero when none does.
        self.inline_limit = -1 if envelope.is_secret else flow.facts.inline_limit
        #: The body; called with keyword arguments, inside a context that was entered.
        self.run: Callable[..., Any] = envelope.run
        if envelope.run_name is not None:
            self.run = _Named(envelope.run_name, envelope.run)
        if envelope.log_stdout and here.sink is not None:
            self.run = _Printing(self.run)
        #: Runs an attempt in a process of its own; None where bodies run in this one.
        self.apart = here.apart if envelope.isolate or envelope.timeout is not None else None
        self._shared: dict[str, Any] | None = None

    @property
    def shared(self) -> dict[str, Any]:
        """What the contexts of all its attempts hold alike; to be copied."""
        found = self._shared
        if found is None:
            envelope = self.task.envelope
            found = self._shared = {
                **self.flow.context,
                **envelope.context,
                **shared_facts(envelope.name, envelope.tags, self.attempt),
                "time_left": time_left,
            }
        return found


class Kinds(dict[tuple[int, int, bool, tuple[str, ...]], Kind]):
    """The kinds of a task's attempts by what they differ in, made when they are asked for.

    Parameters
    ----------
    flow : OpenFlow
        The flow run's facts.
    task : OpenTask
        The task.
    here : Here
        Where the attempts run.
    """

    __slots__ = ("_flow", "_here", "_task")

    def __init__(self, flow: OpenFlow, task: OpenTask, here: Here) -> None:
        self._flow = flow
        self._task = task
        self._here = here

    def __missing__(self, key: tuple[int, int, bool, tuple[str, ...]]) -> Kind:
        """Make a kind: loop, attempt, whether values are dropped, and what is measured."""
        made = self[key] = Kind(self._flow, self._task, self._here, *key)
        return made


def names_in(
    context: dict[str, Any], arguments: Mapping[str, Any], run_name: Location | None
) -> dict[str, Any]:
    """Return what a template may name, the run's own name included.

    Parameters
    ----------
    context : dict
        What the context of an attempt holds.
    arguments : mapping of str to object
        The body's; they go before it, and it goes before the flow's parameters.
    run_name : str, callable or None
        What the run is called: a template itself, or a function.

    Returns
    -------
    dict
        Values by name.

    Raises
    ------
    ResultError
        When the run's name cannot be told.
    """
    names = {**context["parameters"], **context, "logger": value_in(context, "logger"), **arguments}
    if run_name is not None:
        names["task_run_name"] = filled_in(run_name, names, "task_run_name")
    return names


class Told(Protocol):
    """What tells of what is around an attempt: whose it is, its direct upstreams, and what went before it."""

    @property
    def slug(self) -> str:
        """The task's slug."""
        ...

    def beside(self) -> dict[str, Any]:
        """Return what the context holds that other attempts do not see."""
        ...

    def upstreams(self, index: int | None) -> tuple[Sequence[Upstream], Sequence[Any]]:
        """Return what the spec says of each, and what was passed by position, for the child ``index``."""
        ...


class Around(LazyLayer):
    """What surrounds one attempt's body.

    Parameters
    ----------
    kind : Kind
        What it has in common with others.
    index : int or None
        The child's place in its map.
    told : Told
        Who knows of its upstreams and its past.
    began : float
        When the attempt did, in seconds since the epoch.
    """

    __slots__ = ("began", "index", "kind", "lines", "told")

    def __init__(self, kind: Kind, index: int | None, told: Told, began: float) -> None:
        self.kind = kind
        self.index = index
        self.told = told
        self.began = began
        #: Where the attempt's lines go; None until there is one.
        self.lines: Capture | None = None

    def enter(self) -> None:
        """Surround what runs from here on in this ``contextvars`` context."""
        enter_layer(self)
        if self.kind.here.sink is not None:
            current.set(self)

    def begin(self) -> None:
        """Tell that the body begins, if somebody in this process wants to know."""
        if HEARERS:
            announce(self.kind.flow.facts.run_id, self.key, self.kind.attempt, self.began)

    def leave(self) -> None:
        """Send what the body logged; called when it is over."""
        if self.lines is not None:
            self.lines.flush()

    @property
    def key(self) -> RunKey:
        """The task run."""
        return RunKey(self.told.slug, self.index, self.kind.loop)

    @property
    def level(self) -> int:
        """The lowest level of records to take."""
        return self.kind.flow.facts.log_level

    def capture(self) -> Capture:
        """Return where the attempt's lines go; it is made for the first of them.

        Returns
        -------
        Capture
            The only one.
        """
        found = self.lines
        if found is None:
            kind = self.kind
            sink = kind.here.sink
            assert sink is not None  # else nobody would ask
            self.begin()
            with _making:
                found = self.lines
                if found is None:
                    facts, text = kind.flow.facts, str(self.key)
                    found = self.lines = Capture(
                        facts.flow_name,
                        text,
                        kind.attempt,
                        kind.here.where,
                        facts.log_level,
                        sink,
                        kind.flow.log_attributes,
                        self.began,
                    )
        return found

    def labels(self) -> dict[str, object]:
        """Return what a log record is labelled with.

        Returns
        -------
        dict
            As records that come from elsewhere are.
        """
        kind, facts = self.kind, self.kind.flow.facts
        run = str(self.key)
        return {
            **record_labels(facts.flow_name, facts.run_id, kind.task.envelope.name, run, self.told.slug),
            "attempt": kind.attempt,
            "where": kind.here.where,
            **(named_of_context(kind.flow.log_attributes) or {}),
        }

    def fact(self, name: str) -> Any:
        """Return one value, without making all for what a state asks for.

        Parameters
        ----------
        name : str
            The value's.

        Returns
        -------
        object
            None if there is none of that name.
        """
        is_made = hasattr(self, "_values")
        found = None if is_made else self.kind.shared.get(name)
        return self.values.get(name) if found is None else found

    def given_before(self) -> set[str]:
        """Return what the flow run and its task were given, which shows in flow runs that the body begins.

        Returns
        -------
        set of str
            Names; those of what is this run's are not among them, nor settings: those of the process hold.
        """
        kind = self.kind
        return {*kind.flow.facts.context, *kind.task.envelope.context} - PER_RUN

    def make(self) -> dict[str, Any]:
        """Make what the context holds.

        Returns
        -------
        dict
            Values by name.
        """
        kind, told, index = self.kind, self.told, self.index
        facts = kind.flow.facts
        shared = kind.shared
        own = own_facts(self.key, facts.run_id, kind.task.envelope.name, shared)
        has_index, caches = own["map_index"] is not None, shared["caches"]
        return {
            **shared,
            **own,
            "logger": Later(run_logger, own["task_full_name"]) if has_index else kind.task.logger,
            # Each body's own: it may change them in place.
            "task_tags": set(shared["task_tags"]),
            "parameters": dict(shared.get("parameters", facts.parameters)),
            "caches": {name: list(found) for name, found in caches.items()} if caches else {},
            "upstream_states": UpstreamStates(*told.upstreams(index)),
            **told.beside(),
        }


def time_left() -> float:
    """Return how long the running body may still take.

    Returns
    -------
    float
        Seconds; infinity for a task without ``timeout``.
    """
    end = until.get()
    return math.inf if end is None else max(0.0, end - time.monotonic())


_making: Final = threading.Lock()


class _Named:
    """A body that finds in its context what its run is called."""

    __slots__ = ("_name", "_run")

    def __init__(self, name: Location, run: Callable[..., Any]) -> None:
        self._name = name
        self._run = run

    def __call__(self, /, **arguments: Any) -> Any:
        name = names_in(current_layer().values, arguments, self._name)["task_run_name"]
        # Ends with the attempt's own ``contextvars`` context.
        push({"task_run_name": name})
        return self._run(**arguments)


class _Printing:
    """A body whose prints become log lines."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run

    def __call__(self, /, **arguments: Mapping[str, Any]) -> Any:
        speaker = current.get()
        assert speaker is not None  # it was entered
        with captured(speaker.capture()):
            return self._run(**arguments)
