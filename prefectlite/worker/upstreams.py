"""What a body reads of its direct upstreams. Knows states; knows no values and no plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefectlite.core.surroundings import surroundings
from prefectlite.lowering.spec import Upstream
from prefectlite.lowering.wrappers import Noted, NotedDone
from prefectlite.states.report import Report
from prefectlite.states.state import Mapped, State, Success
from prefectlite.worker.wire import noted

_RETURNED = "The body returned."


class UpstreamStates(Mapping[str, State]):
    """The states of a run's direct upstreams, without their values, by slug and by argument name.

    Where an argument has the name of another upstream's slug, the argument counts. A plain success has its
    times (``started``, ``ended``, seconds since the epoch) and its ``task_run_count`` in its ``context``; a
    map that is read whole has ``counts`` of its children's states there.

    Parameters
    ----------
    upstreams : sequence of Upstream
        What the spec says of each.
    values : sequence
        What was passed by position.
    """

    def __init__(self, upstreams: Sequence[Upstream], values: Sequence[Any]) -> None:
        self._upstreams = upstreams
        self._values = values
        self._states: dict[str, State] | None = None

    def __getitem__(self, name: str) -> State:
        """Return the state of the upstream with that slug, or behind that argument."""
        try:
            return self._read()[name]
        except KeyError:
            names = ", ".join(self._read()) or "none"
            raise KeyError(f"{name!r} is no direct upstream's slug or argument; there are: {names}") from None

    def __iter__(self) -> Iterator[str]:
        """Return slugs, then argument names."""
        return iter(self._read())

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._read())

    def __repr__(self) -> str:
        """Return names and states."""
        return f"<UpstreamStates {self._read()!r}>"

    def told(self) -> list[Upstream]:
        """Return what is known, without anything that was passed by position.

        Returns
        -------
        list of Upstream
            What says the same to another ``UpstreamStates``.
        """
        with surroundings({}):  # they are not of the task that looks
            return [
                (slug, argument, self._state(fact) if isinstance(fact, int) else fact)
                for slug, argument, fact in self._upstreams
            ]

    def _read(self) -> dict[str, State]:
        # Most bodies never look.
        if self._states is None:
            with surroundings({}):  # as above
                told = [(slug, argument, self._state(fact)) for slug, argument, fact in self._upstreams]
            states = {slug: state for slug, _, state in told}
            states.update({argument: state for _, argument, state in told if argument is not None})
            self._states = states
            self._values = ()  # whoever keeps the states must not keep the arguments
        return self._states

    def _state(self, fact: Any) -> State:
        if isinstance(fact, State):
            return fact
        if isinstance(fact, dict):
            text = ", ".join(f"{count} {name}" for name, count in fact.items())
            total = sum(fact.values())
            return Mapped(
                f"{total} children: {text or 'none'}.", context={"counts": fact}, n_map_states=total
            )
        if fact is None:
            return Success(_RETURNED)
        told = self._values[fact]
        times = {"started": told.started, "ended": told.ended, "task_run_count": told.attempt}
        if not isinstance(told, Noted | NotedDone):
            return Success(_RETURNED, context=times)
        success = noted(Report(None, told.started, told.ended), told.told).success
        if success is None:  # the body ordered it, and that is all
            return Success(_RETURNED, context=times)
        return success.replace(context={**success.context, **times})
