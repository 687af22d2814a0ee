"""Results without a store: a constant, a text, a secret, the value of a state. Knows no file and no task."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from typing import Any, Protocol, Self, runtime_checkable

from prefectlite.errors import ResultError
from prefectlite.masking import hide
from prefectlite.results.formats import JSONSerializer
from prefectlite.results.result import Location, Result
from prefectlite.states.holders import fill_in
from prefectlite.states.value import StateValue


class ConstantResult(Result):
    """A value that is always there, and stored nowhere.

    Parameters
    ----------
    value : object
        The value.

    Examples
    --------
    >>> ConstantResult(value=5).read("anywhere").value
    5
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)

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
    """A small value whose location is its own JSON text: it is stored wherever the location is written down.

    Parameters
    ----------
    value : object
        The value.
    location : str or None
        A JSON text.

    Examples
    --------
    >>> PrefectResult().write([1, None]).location
    '[1, null]'
    >>> PrefectResult().read("[1, null]").value
    [1, None]
    """

    def __init__(self, value: Any = None, location: str | None = None) -> None:
        super().__init__(value, location, JSONSerializer())

    def read(self, location: str) -> Self:
        """Read a value.

        Parameters
        ----------
        location : str
            Its JSON text.

        Returns
        -------
        Result
            A copy, with that value and location.

        Raises
        ------
        ResultError
            When it is no JSON text.
        """
        try:
            value = json.loads(location)
        except (TypeError, ValueError) as error:
            raise ResultError(
                f"The location {location!r} of a PrefectResult is no JSON text: {error}; give one that write "
                "returned, such as '[1, null]'."
            ) from error
        return self._found(value, location)

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Write a value as JSON.

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
            When JSON has no form for it.
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
            Whether it is JSON.
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


class StateResult(Result):
    """What ``state._result`` is: a Result whose value is fetched when it is looked at.

    It is equal to a plain ``Result`` of the same value and location, and pickled and copied as one.

    Parameters
    ----------
    state : State
        Whose value it is.
    """

    def __init__(self, state: StateValue) -> None:
        ref = state.result_ref
        super().__init__(location=None if ref is None else ref.location)
        self._state = state
        del self.value

    def __getattr__(self, name: str) -> Any:
        """Fetch the value."""
        if name != "value":
            raise AttributeError(f"a Result has no attribute {name!r}")
        self.value = self._state.result
        return self.value

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy what it says."""
        return Result, (self.value, self.location)

    def __eq__(self, other: object) -> bool:
        """Compare as a plain ``Result``."""
        return Result(self.value, self.location) == (copy(other) if isinstance(other, StateResult) else other)

    __hash__ = None  # as of others


fill_in(StateResult)
