"""A Result: where and how a task's value is stored. Knows stores and serializers; knows no tasks."""

from __future__ import annotations

import copy
import os
from abc import ABC
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from prefectlite.errors import DefinitionTypeError, ResultCorrupt, ResultError
from prefectlite.kinds import BYTES, shown
from prefectlite.masking import mask
from prefectlite.results.formats import PickleSerializer, Serializer, as_serializer
from prefectlite.results.location import Location, default_location, filled_in, folder_in
from prefectlite.results.store import FolderStore, Store, digest_of, folder_name
from prefectlite.settings import current
from prefectlite.settings.loggers import ClassLogger
from prefectlite.states.holders import AnyResult
from prefectlite.states.value import NoResultType


class Result(AnyResult, ABC):
    """Where a task's value is stored, in what form, and under what name.

    A subclass may define ``read``, ``write`` and ``exists`` itself; with a ``store``, all three are there.

    Parameters
    ----------
    value : object
        The value, of a result that was read or written.
    location : str, callable or None
        The name under which the value is stored: a template (``"{date:%Y}/{task_name}-{x}.pkl"``) of the
        task's inputs, the context and the flow's parameters, in this order of preference; or a function that
        takes them by name, which the attribute does not show. By default, a name of the task run's own.
    serializer : Serializer or None
        How the value becomes bytes; by default, pickle.
    store : Store or None
        What keeps the bytes.

    Raises
    ------
    DefinitionTypeError
        When location, serializer or store is something else.

    Examples
    --------
    >>> Result(location="{city}/{year}.pkl").format(city="Bergen", year=2026).location
    'Bergen/2026.pkl'
    """

    #: The logger of its class's own.
    logger = ClassLogger()
    # Of what was read or written last; a subclass need not call our __init__.
    _digest_of_bytes: str | None = None

    def __init__(
        self,
        value: Any = None,
        location: Location | None = None,
        serializer: Serializer | None = None,
        *,
        store: Store | None = None,
    ) -> None:
        name = type(self).__name__
        if location is not None and not isinstance(location, str) and not callable(location):
            raise DefinitionTypeError(
                f"{name} has location={location!r}; give a template such as '{{task_name}}-{{x}}.pkl', or a "
                "function that returns a location."
            )
        if not isinstance(store, Store | None):
            raise DefinitionTypeError(
                f"{name} has store={store!r}; give FolderStore('results'), or an object with read, write and "
                "exists."
            )
        self.value = value
        # As in Prefect 1, a function is none yet: it names the value while there is no other name.
        self.location: Location | None = None if callable(location) else location
        self.serializer = PickleSerializer() if serializer is None else as_serializer(serializer, name)
        # Not under names that a subclass could want for its own.
        self._store = store
        self._named_by = location if callable(location) else None

    def read(self, location: str) -> Self:
        """Read a value.

        Parameters
        ----------
        location : str
            Its name.

        Returns
        -------
        Result
            A copy, with that value and location.

        Raises
        ------
        NotImplementedError
            When there is neither a store nor a ``read`` of a subclass.
        ResultNotFound
            When there is nothing.
        ResultCorrupt
            When it is not what was written, not by such a serializer, or names a module that is missing here.
        """
        store, place = self._at(location, "read")
        content = store.read(place)
        try:
            value = self.serializer.deserialize(content)
        except ImportError as error:
            raise ResultCorrupt(
                f"What lies at {location!r} of {self._store!r} needs {error.name or 'a module'!r}, which "
                f"cannot be imported here ({type(error).__name__}: {error}); install it, or put its "
                "folder on PYTHONPATH."
            ) from error
        except Exception as error:
            raise ResultCorrupt(
                f"What lies at {location!r} of {self._store!r} is nothing that {self.serializer!r} reads "
                f"({type(error).__name__}: {error}); give the serializer that wrote it, or delete it."
            ) from error
        return self._found(value, location, content)

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Store a value.

        Parameters
        ----------
        value : object
            The value; None is one like any other.
        **kwargs : object
            What the location is made from.

        Returns
        -------
        Result
            A copy, with that value and its location.

        Raises
        ------
        NotImplementedError
            When there is neither a store nor a ``write`` of a subclass.
        ResultError
            When it cannot be stored there.
        """
        location = self.named(**kwargs)
        store, place = self._at(location, "write")
        content = self.serializer.serialize(value)
        store.write(place, content)
        return self._found(value, location, content)

    def exists(self, location: Location, /, **kwargs: Any) -> bool:
        """Return whether a value is stored.

        Parameters
        ----------
        location : str or callable
            Its name, or what it is made by.
        **kwargs : object
            What the name is made from.

        Returns
        -------
        bool
            Whether it is whole, only reading it tells.

        Raises
        ------
        NotImplementedError
            When there is neither a store nor an ``exists`` of a subclass.
        """
        store, place = self._at(self._filled_in(location, kwargs), "exists")
        return store.exists(place)

    def format(self, /, **kwargs: Any) -> Self:
        """Return a copy whose location is a name.

        Parameters
        ----------
        **kwargs : object
            What the name is made from.

        Returns
        -------
        Result
            The copy; without a location, that is one that no other run's value has.

        Raises
        ------
        ResultError
            When the template needs what is not there, or the function gives no text.
        """
        new = self.copy()
        new.location = self.named(**kwargs)
        return new

    def from_value(self, value: Any) -> Self:
        """Return a copy with another value.

        Parameters
        ----------
        value : object
            The value.

        Returns
        -------
        Result
            The copy.
        """
        new = self.copy()
        new.value = value
        return new

    def copy(self) -> Self:
        """Return a copy.

        Returns
        -------
        Result
            Of the same class; attributes are shared.
        """
        new = copy.copy(self)
        new._digest_of_bytes = None
        return new

    def named(self, /, **kwargs: Any) -> str:
        """Return under which name a value is stored.

        Parameters
        ----------
        **kwargs : object
            What the name is made from.

        Returns
        -------
        str
            That of the location, or of the function that was given for it; without either, a name that no
            other run's value has.

        Raises
        ------
        ResultError
            As of ``format``.
        """
        location = self._named_by if self.location is None else self.location
        if location is not None:
            return self._filled_in(location, kwargs)
        is_ours = type(self).default_location is Result.default_location
        if is_ours and isinstance(kwargs.get("task_run_id"), str):
            return default_location(**kwargs)
        return self.default_location

    @property
    def default_location(self) -> str:
        """A name for a value of which nobody says one, from the time; a subclass may have others.

        A task run's value has the name of its run, unless a subclass says otherwise.
        """
        return self._name_of(datetime.now(UTC))

    def _name_of(self, now: datetime) -> str:
        return f"{now.year}/{now.month}/{now.day}/{uuid4()}.prefect_result"

    def _found(self, value: Any, location: str, content: object = None) -> Self:
        new = self.from_value(value)
        new.location = location
        # A serializer of the user's may come to an agreement with a store of theirs.
        new._digest_of_bytes = digest_of(content) if isinstance(content, BYTES) else None
        return new

    def _filled_in(self, template: Location, names: Mapping[str, Any]) -> str:
        return filled_in(template, names)

    def _at(self, location: str, what: str) -> tuple[Store, str]:
        """Return the store of a location, and the location in it; ``what`` is to be done there."""
        if self._store is None:
            raise NotImplementedError(
                f"{type(self).__name__} cannot {what} a value: it has no store; use LocalResult(dir=...), "
                f"give {type(self).__name__}(store=...), or define {what} in a subclass."
            )
        return self._store, location

    def __eq__(self, other: object) -> bool:
        """Return whether class and public attributes are the same."""
        return type(self) is type(other) and _public(self) == _public(other)

    __hash__ = None  # type: ignore[assignment]  # its attributes may change

    def __repr__(self) -> str:
        """Return class and value."""
        return f"<{type(self).__name__}: {mask(shown(self.value))}>"


# As in Prefect 1; it lies in a room below, since states stand without results.
Result.register(NoResultType)


def store_of(result: Result) -> Store | None:
    """Return what keeps the bytes of a result.

    Parameters
    ----------
    result : Result
        Perhaps of a class of the user's.

    Returns
    -------
    Store or None
        None for one that was given no store.
    """
    return result._store


def digest_in(result: object) -> str | None:
    """Return by what the bytes of a value are told from others.

    Parameters
    ----------
    result : Result
        What ``read`` or ``write`` returned; perhaps of a class of the user's.

    Returns
    -------
    str or None
        As of ``digest_of``; None where that class reads or writes by itself.
    """
    return result._digest_of_bytes if isinstance(result, Result) else None


def found_by(result: Result, location: str) -> Any:
    """Return what a result reads, of whatever class it is.

    Parameters
    ----------
    result : Result
        Perhaps of a class of the user's.
    location : str
        The value's name.

    Returns
    -------
    Result
        With the value.

    Raises
    ------
    ResultError
        When its ``read`` returns something else than a result.
    Exception
        As of ``Result.read``.
    """
    found: Any = result.read(location)
    if not hasattr(found, "value"):
        raise _no_result(result, "read", found, "value")
    return found


def written_by(result: Result, value: Any, names: Mapping[str, Any]) -> Any:
    """Store a value, whatever the class of its result is.

    Parameters
    ----------
    result : Result
        Perhaps of a class of the user's.
    value : object
        The value.
    names : mapping of str to object
        What the location is made from.

    Returns
    -------
    Result
        With the location, as the class has it.

    Raises
    ------
    ResultError
        When its ``write`` returns something else than a result.
    Exception
        As of ``Result.write``.
    """
    written: Any = result.write(value, **names)
    if not hasattr(written, "location"):
        raise _no_result(result, "write", written, "location")
    return written


def _no_result(result: Result, what: str, found: object, needed: str) -> ResultError:
    return ResultError(
        f"{type(result).__name__}.{what} returned {mask(shown(found))}; return a copy with its {needed}."
    )


class LocalResult(Result):
    """Stores a value as a file in a folder of the machine where the task runs.

    A location leads where it was written to lead, also if that is an absolute path or has a ``..``:
    ``"/data/{x}.pkl"`` is a file in ``/data``, or below. What is filled in leads out of no folder, nor does
    what a function returns.

    Parameters
    ----------
    dir : str, path or None
        The folder; by default ``results`` in that of the setting ``home_dir``, ``~/.prefectlite``. Where
        workers run on several machines, it must be one that all of them share.
    validate_dir : bool
        Whether the folder is made an absolute path now, and ``~`` a person's.
    value, location, serializer
        As of ``Result``.

    Raises
    ------
    DefinitionTypeError
        When one of them is something else.

    Examples
    --------
    >>> import tempfile
    >>> result = LocalResult(tempfile.mkdtemp(), location="{x}.pkl")
    >>> written = result.write([1, 2], x="first")
    >>> result.read(written.location).value
    [1, 2]
    """

    def __init__(
        self,
        dir: str | os.PathLike[str] | None = None,  # noqa: A002  # its name in Prefect 1
        validate_dir: bool = True,
        *,
        value: Any = None,
        location: Location | None = None,
        serializer: Serializer | None = None,
    ) -> None:
        folder = default_folder() if dir is None else folder_name(dir, "LocalResult: dir")
        self.dir = str(Path(folder).expanduser().absolute()) if validate_dir else folder
        super().__init__(value, location, serializer, store=FolderStore(self.dir))

    def write(self, value: Any, /, **kwargs: Any) -> Self:
        """Store a value.

        Parameters
        ----------
        value : object
            The value.
        **kwargs : object
            What the location is made from.

        Returns
        -------
        Result
            A copy, with that value and, as its location, the path of the file.

        Raises
        ------
        ResultError
            When it cannot be stored there.
        """
        written = super().write(value, **kwargs)
        assert isinstance(written.location, str)
        store, place = self._at(written.location, "write")
        written.location = str(store.path(place))
        return written

    def _filled_in(self, template: Location, names: Mapping[str, Any]) -> str:
        location = super()._filled_in(template, names)
        # What the author wrote goes where it says; what is filled in may be anything, and stays below that.
        folder = folder_in(template)
        rest = location.removeprefix(folder)
        FolderStore(Path(self.dir, folder)).path(rest.lstrip("/") if folder else rest)
        return location

    def _name_of(self, now: datetime) -> str:
        name = f"prefect-result-{now:%Y-%m-%dt%H-%M-%S-%f}-00-00-{uuid4().hex[:8]}"
        return str(Path(self.dir).expanduser().absolute() / name)

    def _at(self, location: str, what: str) -> tuple[FolderStore, str]:
        cut = str(location).rfind("/") + 1
        folder = str(location)[:cut]
        if folder.startswith("/") or ".." in folder.split("/"):
            return FolderStore(Path(self.dir, folder)), location[cut:]
        return FolderStore(self.dir), location


def default_folder() -> str:
    """Return where values are stored of which nobody says it.

    Returns
    -------
    str
        ``results`` in the folder of the setting ``home_dir``.
    """
    return str(Path(current().home_dir, "results"))


def _public(result: Result) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(result).items()
        if name in ("_store", "_named_by") or not name.startswith("_")
    }
