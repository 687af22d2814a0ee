"""Files of anything that fsspec knows: whole, and without a sum. Knows neither values nor tasks."""

from __future__ import annotations

import os
from typing import Any

from prefectlite.errors import DefinitionTypeError, ResultError
from prefectlite.results.store import check_content, parts_of, unreadable


class FsspecStore:
    """Files of anything that fsspec knows: ``s3://bucket/results``, ``sftp://host/path``, ``memory://x``.

    Parameters
    ----------
    url : str
        The folder, with its protocol.
    **options : object
        What fsspec's file system takes.

    Raises
    ------
    DefinitionTypeError
        When the URL is no text.

    Examples
    --------
    >>> store = FsspecStore("memory://results")
    >>> store.write("rows", b"1 2 3")
    >>> store.read("rows")
    b'1 2 3'
    """

    def __init__(self, url: str, **options: Any) -> None:
        given: object = url
        if not isinstance(given, str):
            raise DefinitionTypeError(
                f"FsspecStore: url={url!r} is no text; give one: 's3://bucket/results'."
            )
        self.url = url.rstrip("/")
        self.options = options

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
        ResultError
            When the location names no file inside the folder.
        """
        system, path = self._open(location)
        try:
            content: bytes = system.cat_file(path)
        except OSError as error:
            raise unreadable(self, location, error) from error
        return content

    def write(self, location: str, content: bytes) -> None:
        """Write a file under another name, and rename it.

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
        system, path = self._open(location)
        try:
            system.makedirs(path.rpartition("/")[0], exist_ok=True)
            draft = f"{path}.{os.urandom(4).hex()}.part"
            system.pipe_file(draft, content)
            system.mv(draft, path)
        except OSError as error:
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
            As the file system says.

        Raises
        ------
        ResultError
            When the location names no file inside the folder.
        """
        system, path = self._open(location)
        return bool(system.isfile(path))

    def _open(self, location: str) -> tuple[Any, str]:
        import fsspec

        system, folder = fsspec.core.url_to_fs(self.url, **self.options)
        return system, "/".join((folder.rstrip("/"), *parts_of(location, self)))

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same folder, opened alike."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Return a hash of the folder's name."""
        return hash(self.url)

    def __repr__(self) -> str:
        """Return the folder, not the options, which may be secrets."""
        return f"FsspecStore({self.url!r})"
