"""What surrounds a piece of code: the flow being built, or the task run being run. Knows names and values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final, overload

from prefectlite.core import surroundings  # noqa: F401  # states ask it where they are made
from prefectlite.core.layers import current_layer, own_layer, pop, push, value_in
from prefectlite.core.standing import STANDING, beneath, copied, held, taken_in
from prefectlite.errors import ContextError, DefinitionTypeError
from prefectlite.kinds import shown
from prefectlite.moments import given_out


class Context(MutableMapping[str, Any]):
    """What surrounds the code that asks: a dict whose items are attributes too.

    ``context.parameters``, ``context["map_index"]`` and ``context.get("resume")`` read; ``context.day = 3``,
    ``context["day"] = 3`` and what else changes a dict set a value. In the body of a task it lasts until the
    body ends, in a ``with context(day=3):`` block until the block ends, in a script or a notebook as long as
    that, and everywhere for the flow runs that begin meanwhile, of which each takes a copy. No task run sees
    what another one sets.

    Everywhere it holds ``config``, the settings, and ``secrets``, those that ``Secret`` finds; what is set
    there holds for flow runs and secrets, as long as other values: ``context.secrets["PW"] = "..."``, ``with
    context(config={"logging": {"level": "DEBUG"}})``. Outside of flow runs, ``config`` is
    ``prefectlite.config`` unless a block has settings of its own, and what the configuration says under
    ``[context]`` is there too. Where no task has its own, ``logger`` is ``get_logger()``, as in handlers of
    flows. Inside a task body it holds

    - of the flow run: ``flow_name``, ``flow_id`` (the same), ``flow_run_id``, ``flow_run_name``,
      ``parameters``, ``scheduled_start_time``, ``date``, ``today``, ``yesterday``, ``tomorrow`` (and the
      same three with ``_nodash``), ``secrets``, ``config`` (the settings that it was started with),
      ``checkpointing`` (True) and ``caches`` (empty) unless they are given, and whatever was given to
      ``flow.run(context={...})`` or set under ``[context]`` in the configuration; a ``date`` given there
      decides what ``today`` and its like are;
    - of the task run: ``task_name``, ``task_full_name``, ``task_slug``, ``task_id`` (the same),
      ``task_run_id``, ``task_tags``, ``map_index``, ``task_run_count`` (``attempt`` is the same),
      ``idempotency_key``, ``time_left()`` (seconds), ``upstream_states`` (by slug and by argument name),
      ``logger``; ``task_run_name``, where the task says one; once a pause is over, ``resume``; from the
      second iteration of a loop on, ``task_loop_count`` and ``task_loop_result``.

    What a flow run is given goes before some of it, as in Prefect 1. ``parameters`` go before defaults. With
    ``resume``, nothing waits for approval; with ``checkpointing=False``, nothing is stored where a result
    says; ``caches`` are lists of ``Cached`` states by ``cache_key`` or task name; ``map_index`` is that of
    runs that are no map's children; loops count on from ``task_loop_count``. Names stay those of the run.

    ``date`` and ``scheduled_start_time`` are pendulum's: ``context.date.subtract(days=1)``. While a flow is
    built it holds ``flow``.

    Examples
    --------
    >>> with context(city="Bergen"):
    ...     context.city
    ...     context.rain = True
    ...     context["rain"]
    'Bergen'
    True
    >>> "rain" in context
    False
    """

    __slots__ = ()

    def __call__(self, *others: Mapping[str, Any], **values: Any) -> Block:
        """Return a block in which the context holds more.

        Parameters
        ----------
        *others : mapping of str to object
            Values by name.
        **values : object
            More of them.

        Returns
        -------
        Block
            To be used in a ``with`` statement; it yields the context.

        Raises
        ------
        ContextError
            When one of ``others``, ``config`` or ``secrets`` has no names.
        ConfigError
            When there is no such setting in ``config``, or its value does not fit.
        """
        merged: dict[str, Any] = {}
        for other in others:
            merged.update(_named(other, "context"))
        merged.update(values)
        for name in STANDING.keys() & merged.keys():
            merged[name] = taken_in(name, merged[name])
        return Block(merged)

    def __getitem__(self, name: str) -> Any:
        """Return the value of that name."""
        try:
            found = _value(name, _MISSING)
        except TypeError:  # it cannot be a name
            found = _MISSING
        if found is _MISSING:
            raise KeyError(self._lacks(name))
        return found

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a value, until the block or body ends."""
        if name in STANDING:
            value = taken_in(name, value)
        layer = own_layer()
        layer.values[name] = value
        layer.given.add(name)

    def __delitem__(self, name: str) -> None:
        """Remove a value, until the block or body ends; what the settings say stays."""
        if name not in self:
            raise KeyError(self._lacks(name))
        layer = own_layer()
        layer.values.pop(name, None)
        layer.given.discard(name)

    def clear(self) -> None:
        """Remove all values, until the block or body ends; what the settings say stays."""
        layer = own_layer()
        layer.values.clear()
        layer.given.clear()

    def setdefault(self, name: str, default: Any = None, /) -> Any:
        """Return the value of that name, which is set if there is none; as if there never were empty secrets.

        Parameters
        ----------
        name : str
            Whose.
        default : object
            What it is set to.

        Returns
        -------
        object
            The value.
        """
        if name not in self or (name == "secrets" and not self[name]):
            self[name] = default
        return self[name]

    def update(  # type: ignore[override]  # without the overloads for each kind of dict
        self, other: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **values: Any
    ) -> None:
        """Set values, until the block or body ends.

        Parameters
        ----------
        other : mapping of str to object, or iterable of pairs
            Values by name.
        **values : object
            More of them.

        Raises
        ------
        ContextError
            When ``other`` has no names.
        """
        super().update(_named(other, "context.update"), **values)

    def __contains__(self, name: object) -> bool:
        """Return whether a name is visible."""
        return name in current_layer().values or name in STANDING or name in beneath()

    @overload
    def get(self, name: str, /) -> Any | None: ...

    @overload
    def get(self, name: str, /, default: Any) -> Any: ...

    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value of that name, or another one.

        Parameters
        ----------
        name : str
            Whose.
        default : object
            What is returned if the name is not visible.

        Returns
        -------
        object
            The value.
        """
        return _value(name, default)

    def __getattr__(self, name: str) -> Any:
        """Return the value of that name."""
        found = _value(name, _MISSING)
        if found is _MISSING:
            raise AttributeError(self._lacks(name))
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a value, as ``context[name] = value`` does."""
        if hasattr(type(self), name):
            raise AttributeError(
                f"The context's {name!r} cannot be set as an attribute, since that is something it does; "
                f"write context[{name!r}] = ..., and read it so."
            )
        self[name] = value

    def __delattr__(self, name: str) -> None:
        """Remove a value, as ``del context[name]`` does."""
        if name not in self:
            raise AttributeError(self._lacks(name))
        del self[name]

    def _lacks(self, name: object) -> str:
        return (
            f"The context holds no {name!r} here; it holds {', '.join(sorted(map(str, self)))}. "
            "Most names exist only while a task runs; "
            f"context.get({name!r}) gives None instead of this error."
        )

    def __iter__(self) -> Iterator[str]:
        """Return the names that are visible."""
        return iter(dict.fromkeys((*current_layer().values, *STANDING, *beneath())))

    def __len__(self) -> int:
        """Return how many names are visible."""
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Return the visible names, not their values."""
        return f"<Context: {', '.join(map(str, self))}>"

    def __reduce__(self) -> str:
        """Pickle as a reference: a function that reads the context reads the one where it runs."""
        return "context"

    def copy(self) -> dict[str, Any]:
        """Return a copy of what is visible, as ``to_dict`` does.

        Returns
        -------
        dict
            Values by name.
        """
        return self.to_dict()

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of what is visible.

        Returns
        -------
        dict
            Values by name.
        """
        return {name: copied(name) if name in STANDING else _value(name, None) for name in self}


class Block:
    """Values that ``context`` shows inside a ``with`` statement.

    Parameters
    ----------
    values : mapping of str to object
        What to add to what surrounds the statement.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __enter__(self) -> Context:
        """Show the values."""
        push(self._values, given=True)
        return context

    def __exit__(self, *exc: object) -> None:
        """Show again what was shown before."""
        pop()


context: Final = Context()


_MISSING: Final = object()


def _value(name: str, default: Any) -> Any:
    if name in STANDING:
        return held(name)
    values = current_layer().values
    return given_out(name, value_in(values, name)) if name in values else beneath().get(name, default)


def _named(given: Any, what: str) -> dict[str, Any]:
    try:
        return dict(given)
    except (TypeError, ValueError):
        raise ContextError(
            f"{what}(...) was given {given!r}, which has no names; write {what}(name=value), or give a dict."
        ) from None


@contextmanager
def tags(*names: str) -> Iterator[None]:
    """Give tags to every task that is made or called inside a block.

    Parameters
    ----------
    *names : str
        The tags; blocks inside each other add up.

    Yields
    ------
    None
        Nothing.
    """
    given = as_tags(names, "tags(...)")
    push({"tags": given.union(current_layer().values.get("tags", ()))})
    try:
        yield
    finally:
        pop()


@contextmanager
def raise_on_exception() -> Iterator[None]:
    """Let ``flow.run`` raise the first exception of user code, inside a block; for debugging.

    The flow run is cancelled then, and its other states are lost. Signals make states, as ever: what is
    skipped, also by ``case``, and what fails by ``FAIL`` or by a trigger's word, ends nothing.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> from prefectlite import Flow, LocalExecutor, raise_on_exception, task
    >>> with Flow("careless") as flow:
    ...     divided = task(lambda: 1 / 0)()
    >>> with raise_on_exception():
    ...     flow.run(executor=LocalExecutor())
    Traceback (most recent call last):
    ZeroDivisionError: division by zero
    """
    push({"raise_on_exception": True})
    try:
        yield
    finally:
        pop()


def raises_on_exception() -> bool:
    """Return whether this code is inside ``with raise_on_exception()``.

    Returns
    -------
    bool
        False in a task's body, whatever surrounds its flow run.
    """
    return bool(current_layer().values.get("raise_on_exception"))


def as_tags(names: Iterable[str] | None, owner: str) -> frozenset[str]:
    """Return tags as a set.

    Parameters
    ----------
    names : iterable of str or None
        What the user gave.
    owner : str
        Whose they are, for the error.

    Returns
    -------
    frozenset of str
        The tags.

    Raises
    ------
    DefinitionTypeError
        When it is one text, or holds something that is no text.
    """
    if names is None:
        return frozenset()
    if not isinstance(names, str) and isinstance(names, Iterable):
        found = tuple(names)
        if all(isinstance(name, str) for name in found):
            return frozenset(found)
    raise DefinitionTypeError(
        f"{owner} has tags={shown(names)}, but tags are a list of texts; write tags=['nightly', 'gpu']."
    )


def idempotency_key(task_run_id: str) -> str:
    """Return a text that is the same for all attempts of one task run and differs from all others.

    Parameters
    ----------
    task_run_id : str
        The flow run's identity and the task run's name.

    Returns
    -------
    str
        32 hexadecimal digits, to be handed to external systems that drop doubled requests.

    Examples
    --------
    >>> idempotency_key("f3a1/charge-1[7]")
    'ba99a8961c29280f5b92027de75eb11c'
    """
    return blake2b(task_run_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
