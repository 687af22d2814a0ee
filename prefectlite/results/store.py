"""Where bytes lie at rest, by location. Knows files; knows neither values nor tasks.

A location is a relative path with ``/`` between its parts. It may be made from names and inputs, and those
may be anything: no location leads out of its store.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, runtime_checkable

from prefectlite.errors import (
    DefinitionTypeError,
    ResultCorrupt,
    ResultError,
    ResultNotFound,
    ResultUnavailable,
)
from prefectlite.kinds import BYTES, check_kind

#: How long a file may differ from its sum, in seconds, before it is taken for broken.
PATIENCE: Final = 0.05
_A_CONTENT: Final = "give bytes; Result(store=...).write(value) makes them of any value."


@runtime_checkable
class Store(Protocol):
    """What keeps bytes; a store of your own needs these three methods, and must be picklable."""

    def read(self, location: str) -> bytes:
        """Return what was written, or raise whatever says that it is not there, or broken.

        Parameters
        ----------
        location : str
            Where.

        Returns
        -------
        bytes
            All of it.
        """
        ...

    def write(self, location: str, content: bytes) -> None:
        """Keep bytes: whoever reads at the same time finds the old ones or the new, never a part.

        Parameters
        ----------
        location : str
            Where.
        content : bytes
            What.
        """
        ...

    def exists(self, location: str) -> bool:
        """Return whether something was written.

        Parameters
        ----------
        location : str
            Where.

        Returns
        -------
        bool
            Whether it is whole, only reading it tells.
        """
        ...


def folder_name(given: object, owner: str) -> str:
    """Return the name of a folder.

    Parameters
    ----------
    given : str or path
        What a user gave.
    owner : str
        As what, for the error.

    Returns
    -------
    str
        Its path.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    name = given if isinstance(given, str) else os.fspath(given) if isinstance(given, os.PathLike) else None
    if not isinstance(name, str):
        raise DefinitionTypeError(f"{owner}={given!r} is no folder; give its path: 'results'.")
    return name


def parts_of(location: str, store: object) -> tuple[str, ...]:
    """Return the parts of a location that stays inside its store.

    Parameters
    ----------
    location : str
        What a user, a template or an input said.
    store : object
        Which store, for the error.

    Returns
    -------
    tuple of str
        At least one; none is empty, ``.`` or ``..``.

    Raises
    ------
    ResultError
        When it leads elsewhere, or can be no path.
    """
    given: object = location
    if not isinstance(given, str):
        raise ResultError(f"The location {location!r} in {store!r} is no text; give one: '2026/rows.pkl'.")
    path = PurePosixPath(location)
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or "\0" in location or location.endswith("/"):
        raise ResultError(
            f"The location {location!r} does not name a file inside {store!r}; give a path below it, such as "
            "'2026/rows.pkl', or a store of another folder."
        )
    return parts


def check_content(store: Store, content: object) -> None:
    """Refuse to write what are no bytes.

    Parameters
    ----------
    store : Store
        Where it was to be written.
    content : object
        What was given.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    check_kind(repr(store), "content", content, BYTES, _A_CONTENT)


def digest_of(content: bytes) -> str:
    """Return by what bytes are told from others.

    Parameters
    ----------
    content : bytes
        All of them.

    Returns
    -------
    str
        32 hexadecimal digits, by BLAKE2b (RFC 7693).
    """
    return blake2b(content, digest_size=16).hexdigest()


class FolderStore:
    """Files in a folder, whole and checked.

    A file is written under another name, brought to the disk and renamed. Beside it, a hidden file
    (``.NAME.sum``) says what its bytes sum up to; a file without one, which somebody else put there, is taken
    as it is.

    Parameters
    ----------
    folder : str or path
        Where; it is made when something is written.

    Raises
    ------
    DefinitionTypeError
        When it is something else.

    Examples
    --------
    >>> import tempfile
    >>> store = FolderStore(tempfile.mkdtemp())
    >>> store.write("2026/rows", b"1 2 3")
    >>> store.read("2026/rows"), store.exists("2027/rows")
    (b'1 2 3', False)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = folder_name(folder, "FolderStore: folder")

    def read(self, location: str) -> bytes:
        """Return the bytes of a file.

        Parameters
        ----------
        location : str
            Its path in the folder.

        Returns
        -------
        bytes
            All of them.

        Raises
        ------
        ResultNotFound
            When there is no such file.
        ResultUnavailable
            When it cannot be read.
        ResultCorrupt
            When its bytes are not those that were written.
        ResultError
            When the location names no file inside the folder.
        """
        path = self.path(location)
        before = None
        while True:
            try:
                with path.open("rb") as file:
                    version = _version(os.fstat(file.fileno()))
                    content = file.read()
                told = _told_sum(path)
            except (OSError, ValueError) as error:
                raise unreadable(self, location, error) from error
            if told is None or told == digest_of(content):
                return content
            # File and sum are written one after the other, perhaps just now by somebody else.
            if (told, version) == before:
                raise ResultCorrupt(
                    f"The file {str(path)!r} is not what was written there; delete it, or "
                    f"{_sum_file(path).name!r} beside it if somebody changed it on purpose."
                )
            before = told, version
            time.sleep(PATIENCE)

    def write(self, location: str, content: bytes) -> None:
        """Write a file.

        Parameters
        ----------
        location : str
            Its path in the folder.
        content : bytes
            What it is to hold.

        Raises
        ------
        ResultError
            When it cannot be written, or the location names no file inside the folder.
        DefinitionTypeError
            When what it is to hold is something else.
        """
        check_content(self, content)
        path = self.path(location)
        # A name that no other thread or process has; it is short, as names have limits.
        draft = path.with_name(f".{os.getpid()}.{threading.get_ident()}.{os.urandom(4).hex()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_through(draft, content)
            version = _version(draft.stat())
            # Without a sum a file counts as it is: a writer that dies here leaves none beside another's sum.
            _sum_file(path).unlink(missing_ok=True)
            draft.replace(path)
            while True:
                draft.write_text(digest_of(content), encoding="ascii")
                draft.replace(_sum_file(path))
                # Where somebody else has written since, this may have taken the place of the right sum.
                with path.open("rb") as file:
                    found = _version(os.fstat(file.fileno()))
                    if found == version:
                        break
                    version, content = found, file.read()
        except (OSError, ValueError) as error:
            with suppress(OSError, ValueError):
                draft.unlink(missing_ok=True)
            raise ResultError(f"Nothing can be written at {location!r} of {self!r}: {error}.") from error

    def exists(self, location: str) -> bool:
        """Return whether there is such a file.

        Parameters
        ----------
        location : str
            Its path in the folder.

        Returns
        -------
        bool
            Whether it is whole, only reading it tells.

        Raises
        ------
        ResultError
            When the location names no file inside the folder.
        """
        path = self.path(location)
        try:
            return path.is_file()
        except (OSError, ValueError):
            return False  # a name that no file can have

    def path(self, location: str) -> Path:
        """Return where a file lies.

        Parameters
        ----------
        location : str
            Its path in the folder; an absolute one too, if it leads into the folder.

        Returns
        -------
        Path
            It need not exist.

        Raises
        ------
        ResultError
            When it leads elsewhere, or no file can be called so.
        """
        folder = Path(self.folder).expanduser()
        if str(location).startswith("/"):
            with suppress(ValueError):
                location = PurePosixPath(location).relative_to(folder).as_posix()
        path = folder.joinpath(*parts_of(location, self))
        try:
            os.fsencode(path)
        except UnicodeEncodeError as error:
            raise ResultError(f"The location {location!r} can be no file's name: {error}.") from error
        return path

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same folder."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Return a hash of the folder's name."""
        return hash(self.folder)

    def __repr__(self) -> str:
        """Return how it was made."""
        return f"FolderStore({self.folder!r})"


def unreadable(store: Store, location: str, error: Exception) -> ResultUnavailable:
    """Return what is raised where a file cannot be read.

    Parameters
    ----------
    store : Store
        Where it was to lie.
    location : str
        Its path there.
    error : Exception
        Why it cannot be read.

    Returns
    -------
    ResultUnavailable
        ``ResultNotFound`` when there is no such file.
    """
    cls = ResultNotFound if isinstance(error, FileNotFoundError) else ResultUnavailable
    return cls(f"Nothing can be read at {location!r} of {store!r}: {error}.")


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _version(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_ino, stat.st_mtime_ns


def _told_sum(path: Path) -> str | None:
    try:
        return _sum_file(path).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None


def _sum_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.sum")
