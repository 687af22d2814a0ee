"""Results without a store: a constant, a text, a secret, the value of a state. Knows no file and no task."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, Self, runtime_checkable

from prefectlite.errors import ResultError
from prefectlite.kinds import check_kind
from prefectlite.masking import hide
from prefectlite.results.formats import DateTimeSerializer, JSONSerializer
from prefectlite.results.location import Location
from prefectlite.results.result import Result
from prefectlite.states.holders import RESULT_MAKER
from prefectlite.states.report import ResultRef
from prefectlite.states.value import NO_RESULT, StateValue


class ConstantResult(Result):
    """A value that is always there, and stored nowhere.

    Parameters
    ----------
    value : object
        The value.
    location : str, callable or None
        Not looked at.

    Examples
    --------
    >>> ConstantResult(value=5).read("anywhere").value
    5
    """

    def __init__(self, value: Any = None, location: Location | None = None) -> None:
        super().__init__(value, location)

    def read(self, location: str) -> Self:
        """Return the constant.

        Parameters
        ----------
        location : str
            Not looked at.

        Returns
        -------
        Result
            Itself.
        """
        return self

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Refuse.

        Parameters
        ----------
        value : object
            Not looked at.
        **kwargs : object
            Not looked at.

        Returns
        -------
        Result
            Never.

        Raises
        ------
        ResultError
            Always: a constant is not stored.
        """
        raise ResultError("A ConstantResult cannot be written; use LocalResult(dir=...) to store values.")

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return True: a constant is always there.

        Parameters
        ----------
        location : str or callable
            Not looked at.
        **kwargs : object
            Not looked at.

        Returns
        -------
        bool
            True.
        """
        return True


class PrefectResult(Result):
    """A small value whose location is its own text: it is stored wherever the location is written down.

    Parameters
    ----------
    value : object
        The value.
    location : str or None
        The text.
    serializer : JSONSerializer or DateTimeSerializer, or None
        How the value becomes a text; by default, JSON.

    Raises
    ------
    DefinitionTypeError
        When location or serializer is something else.

    Examples
    --------
    >>> PrefectResult().write([1, None]).location
    '[1, null]'
    >>> PrefectResult().read("[1, null]").value
    [1, None]
    """

    def __init__(
        self,
        value: Any = None,
        location: str | None = None,
        serializer: JSONSerializer | DateTimeSerializer | None = None,
    ) -> None:
        given = JSONSerializer() if serializer is None else serializer
        kinds, mend = JSONSerializer | DateTimeSerializer, "give JSONSerializer() or DateTimeSerializer()."
        check_kind(type(self).__name__, "serializer", given, kinds, mend)
        super().__init__(value, location, given)

    def read(self, location: str) -> Self:
        """Read a value.

        Parameters
        ----------
        location : str
            Its text.

        Returns
        -------
        Result
            A copy, with that value and location.

        Raises
        ------
        ResultError
            When it is no such text.
        """
        try:
            value = self.serializer.deserialize(location.encode())
        except (TypeError, ValueError, AttributeError) as error:
            raise ResultError(
                f"The location {location!r} of a PrefectResult is nothing that {self.serializer!r} reads: "
                f"{error}; give one that write returned, such as '[1, null]'."
            ) from error
        return self._found(value, location)

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Write a value as a text.

        Parameters
        ----------
        value : object
            The value.
        **kwargs : object
            Not looked at.

        Returns
        -------
        Result
            A copy, with that value and, as its location, its text.

        Raises
        ------
        TypeError
            When there is none for it.
        """
        return self._found(value, self.serializer.serialize(value).decode())

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return whether a location is the text of a value.

        Parameters
        ----------
        location : str or callable
            The text, or what it is made by.
        **kwargs : object
            What it is made from.

        Returns
        -------
        bool
            Whether it can be read.
        """
        try:
            self.read(location(**kwargs) if callable(location) else location)
        except ValueError:
            return False
        return True


@runtime_checkable
class SecretSource(Protocol):
    """What looks a secret up: a ``Secret``, an ``EnvVarSecret``, or what has name and ``run`` as they."""

    @property
    def name(self) -> str:
        """The secret's name."""
        ...

    @property
    def run(self) -> Callable[..., Any]:
        """Looks up the secret of that name; another one if it is called with ``name=``."""
        ...


class SecretResult(Result):
    """A secret, which is looked up whenever it is read, and stored nowhere.

    Its location is the secret's name. Texts that prefectlite writes from then on where it was read show a
    mask in its place, as with the secret itself.

    Parameters
    ----------
    secret_task : SecretSource
        What looks it up: ``Secret("DB_PASSWORD")``.
    location : str, callable or None
        The name of the secret, as of ``Result``; by default, that of ``secret_task``.

    Raises
    ------
    TypeError
        When ``secret_task`` cannot be run, or has no name.

    Examples
    --------
    >>> from prefectlite import Secret, set_temporary_config
    >>> result = SecretResult(Secret("DB_PASSWORD"))
    >>> with set_temporary_config({"context.secrets.DB_PASSWORD": "correct horse"}):
    ...     len(result.read("DB_PASSWORD").value)
    13
    """

    def __init__(self, secret_task: SecretSource, location: Location | None = None) -> None:
        if not isinstance(secret_task, SecretSource):
            raise TypeError(
                f"SecretResult was given {secret_task!r}, which has no name or no run(); pass the task that "
                "looks the secret up, as in SecretResult(Secret('DB_PASSWORD'))."
            )
        self.secret_task = secret_task
        super().__init__(location=secret_task.name if location is None else location)

    def read(self, location: str) -> Self:
        """Look the secret up.

        Parameters
        ----------
        location : str
            Its name.

        Returns
        -------
        Result
            A copy, with the secret as its value.

        Raises
        ------
        SecretError
            When there is none of that name.
        """
        # A class of the user's own may know one secret alone, and take no name.
        run = self.secret_task.run
        value = run() if location == self.secret_task.name else run(name=location)
        hide(value)
        return self._found(value, location)

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Refuse.

        Parameters
        ----------
        value : object
            Not looked at.
        **kwargs : object
            Not looked at.

        Returns
        -------
        Result
            Never.

        Raises
        ------
        ResultError
            Always: a secret is never stored. It is a ``ValueError``.
        """
        raise ResultError(
            f"A SecretResult cannot be written, since a secret is never stored; put {self.location!r} where "
            "its task looks it up, or use LocalResult(dir=...) for what is no secret."
        )

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return whether there is a secret of that name here.

        Parameters
        ----------
        location : str or callable
            Its name, or what it is made by.
        **kwargs : object
            What the name is made from.

        Returns
        -------
        bool
            Whether it can be looked up now.
        """
        wanted = self.copy()
        wanted.location = location
        try:
            self.read(wanted.named(**kwargs))
        except (LookupError, ValueError):
            return False
        return True


@runtime_checkable
class ResultSource(Protocol):
    """A source of values that knows where and how it stored them."""

    def result_for(self, ref: ResultRef) -> Result | None:
        """Return the ``Result`` by which the value was stored that ``ref`` names; None if by none."""
        ...


class _OfState(Result):
    """What ``state._result`` is: the ``Result`` of the task, whose value is fetched when it is looked at.

    It is equal to that one with value and location, and pickled and copied as it.
    """

    _state: StateValue
    _plain: Result

    def __getattr__(self, name: str) -> Any:
        """Fetch the value."""
        if name != "value":
            raise AttributeError(f"a Result has no attribute {name!r}")
        value = vars(self)["value"] = self._state.result
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: it is a part of its state."""
        raise AttributeError(
            f"The state that this Result is of is immutable, so its {name!r} cannot be set; make a changed "
            "copy with state.replace(result=...), or change a copy(...) of the Result."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy what it says."""
        return _itself, (_plain(self),)

    def __eq__(self, other: object) -> bool:
        """Compare what it says."""
        return _plain(self) == _plain(other)

    __hash__ = None  # as of others


def _of_state(state: StateValue) -> Result:
    ref, plain = state.result_ref, Result()
    if ref is not None:
        source: object = ref.source
        stored = source.result_for(ref) if isinstance(source, ResultSource) else None
        if stored is None and ref.given is not NO_RESULT and isinstance(ref.given, Result):
            plain = ref.given.copy()
        else:
            plain = plain if stored is None else stored.copy()
            plain.location = ref.location
    kind: Any = type(plain)
    found: Result = object.__new__(_class_of_state(kind))
    vars(found).update(vars(plain), _state=state, _plain=plain)
    del vars(found)["value"]
    return found


@cache
def _class_of_state(kind: type[Result]) -> type[Result]:
    """Return a class whose instances pass for those of another one; it has the same name."""
    return type(kind.__name__, (_OfState, kind), {})


def _plain(given: object) -> object:
    """Return the ``Result`` that one of a state passes for, with its value."""
    if not isinstance(given, _OfState):
        return given
    vars(given._plain)["value"] = given.value
    return given._plain


def _itself(plain: Result) -> Result:
    return plain


RESULT_MAKER.fill_in(_of_state)
