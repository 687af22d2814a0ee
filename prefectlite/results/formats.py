"""Serializers for values at rest: how a value becomes the bytes of a file. Knows values; knows no file.

Values that travel between processes go by ``serializers``; what is here is the user's choice, by task.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.kinds import BYTES, check_kind
from prefectlite.moments import pendular, read
from prefectlite.results.serializers import dumps

if TYPE_CHECKING:
    from pendulum import DateTime

__all__ = [
    "CompressedSerializer",
    "DateTimeSerializer",
    "JSONSerializer",
    "PandasSerializer",
    "PickleSerializer",
    "Serializer",
]


class Serializer:
    """How a value becomes bytes and comes back; subclasses define both ways.

    Two serializers are equal when they are of the same class and made alike.
    """

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value : object
            The value.

        Returns
        -------
        bytes
            What ``deserialize`` reads.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how a value becomes bytes.")

    def deserialize(self, value: bytes) -> Any:
        """Return the value of some bytes.

        Parameters
        ----------
        value : bytes
            What ``serialize`` wrote.

        Returns
        -------
        object
            The value.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how bytes become a value.")

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one class and made alike."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Return a hash of the class."""
        return hash(type(self))

    def __repr__(self) -> str:
        """Return how it was made, as far as its attributes tell."""
        inside = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({inside})"


def as_serializer(given: Any, owner: str) -> Serializer:
    """Return what somebody gave as a serializer.

    Parameters
    ----------
    given : object
        A serializer, or what has its two methods.
    owner : str
        Whose it is, for the error.

    Returns
    -------
    Serializer
        The same.

    Raises
    ------
    DefinitionTypeError
        When it is something else, a class of serializers say.
    """
    methods = (getattr(given, "serialize", None), getattr(given, "deserialize", None))
    if isinstance(given, type) or not all(callable(method) for method in methods):
        raise DefinitionTypeError(
            f"{owner} has serializer={given!r}; give one of prefectlite.serializers: JSONSerializer()."
        )
    return given  # type: ignore[no-any-return]  # it has both methods


class PickleSerializer(Serializer):
    """Pickle, and cloudpickle for what pickle refuses. Read only what you trust."""

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value : object
            The value.

        Returns
        -------
        bytes
            Its pickle.

        Raises
        ------
        SerializationError
            When it cannot be pickled.
        """
        return dumps(value)

    def deserialize(self, value: bytes) -> Any:
        """Return the value of some bytes.

        Parameters
        ----------
        value : bytes
            A pickle.

        Returns
        -------
        object
            The value.
        """
        return pickle.loads(_content(self, value))


class JSONSerializer(Serializer):
    """JSON, in UTF-8; a tuple comes back as a list, and keys as texts."""

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value : object
            Of texts, numbers, lists, dicts and the like.

        Returns
        -------
        bytes
            A JSON text.

        Raises
        ------
        DefinitionTypeError
            When JSON has no form for it.
        """
        try:
            return json.dumps(value).encode()
        except TypeError as error:
            raise DefinitionTypeError(
                f"JSONSerializer cannot write a {type(value).__name__}: {error}; give texts, numbers, lists "
                "and dicts of them, or use PickleSerializer()."
            ) from error

    def deserialize(self, value: bytes) -> Any:
        """Return the value of some bytes.

        Parameters
        ----------
        value : bytes
            A JSON text.

        Returns
        -------
        object
            The value.
        """
        return json.loads(_content(self, value, str | BYTES))


class DateTimeSerializer(Serializer):
    """Moments, in ISO 8601."""

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a moment.

        Parameters
        ----------
        value : datetime
            With its time zone, if it has one.

        Returns
        -------
        bytes
            Such as ``2026-03-01T06:00:00Z``.
        """
        check_kind("DateTimeSerializer", "value", value, date, "give a datetime.")
        text: str = value.isoformat()
        if text.endswith("+00:00") and value.tzname() == "UTC":
            text = f"{text.removesuffix('+00:00')}Z"
        return text.encode()

    def deserialize(self, value: bytes) -> DateTime:
        """Return the moment of some bytes.

        Parameters
        ----------
        value : bytes
            An ISO 8601 text.

        Returns
        -------
        pendulum.DateTime
            With the offset as its time zone, if there was one.

        Raises
        ------
        ValueError
            When it is no such text.
        """
        text = bytes(_content(self, value)).decode()
        moment = read(text)
        if moment is None:
            raise ValueError(f"{text!r} is no date or time in ISO 8601")
        return pendular(moment)


class PandasSerializer(Serializer):
    """Pandas tables, in one of the formats that pandas writes.

    Parameters
    ----------
    file_type : str
        As in pandas' ``to_<file_type>`` and ``read_<file_type>``: ``"csv"``, ``"parquet"``, ``"json"`` ...
    serialize_kwargs, deserialize_kwargs : dict or None
        What these take beside the table and the file.

    Raises
    ------
    DefinitionError
        When pandas does not read such files, or is not there.
    DefinitionTypeError
        When what they take has no names.
    """

    def __init__(
        self,
        file_type: str,
        serialize_kwargs: dict[str, Any] | None = None,
        deserialize_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.file_type = file_type
        self.serialize_kwargs = _options("PandasSerializer", "serialize_kwargs", serialize_kwargs)
        self.deserialize_kwargs = _options("PandasSerializer", "deserialize_kwargs", deserialize_kwargs)
        self._reader()

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a table.

        Parameters
        ----------
        value : DataFrame or Series
            The table.

        Returns
        -------
        bytes
            A file of that type.
        """
        write = getattr(value, f"to_{self.file_type}", None)
        if write is None:
            raise DefinitionTypeError(
                f"{self!r} was given a {type(value).__name__}, which has no to_{self.file_type}; give a "
                "DataFrame or a Series."
            )
        buffer = io.BytesIO()
        write(buffer, **self.serialize_kwargs)
        return buffer.getvalue()

    def deserialize(self, value: bytes) -> Any:
        """Return the table of some bytes.

        Parameters
        ----------
        value : bytes
            A file of that type.

        Returns
        -------
        DataFrame
            The table; a CSV file has its index as a column, unless the ``kwargs`` say otherwise.
        """
        return self._reader()(io.BytesIO(_content(self, value)), **self.deserialize_kwargs)

    def _reader(self) -> Callable[..., Any]:
        try:
            import pandas as pd
        except ImportError:
            raise DefinitionError(
                f"PandasSerializer({self.file_type!r}) needs pandas: pip install pandas."
            ) from None
        reader: Callable[..., Any] | None = getattr(pd, f"read_{self.file_type}", None)
        if reader is None:
            raise DefinitionError(
                f"PandasSerializer has file_type={self.file_type!r}, which pandas does not read; give 'csv', "
                "'parquet' or another of its read_... functions."
            )
        return reader


class CompressedSerializer(Serializer):
    """What another serializer writes, compressed.

    Parameters
    ----------
    serializer : Serializer
        The other one.
    format : str or None
        ``"zlib"`` (the default), ``"gzip"``, ``"bz2"`` or ``"lzma"``.
    compress, decompress : callable or None
        Functions of bytes, in place of a format; they go together.
    compress_kwargs, decompress_kwargs : dict or None
        What they take beside the bytes.

    Raises
    ------
    DefinitionError
        When there is no such format, or one function without the other.
    DefinitionTypeError
        When the other one is no serializer, or what the functions take has no names.

    Examples
    --------
    >>> small = CompressedSerializer(JSONSerializer(), format="lzma")
    >>> small.deserialize(small.serialize({"a": 1}))
    {'a': 1}
    """

    def __init__(
        self,
        serializer: Serializer,
        format: str | None = None,  # noqa: A002  # its name in Prefect 1
        compress: Callable[..., bytes] | None = None,
        decompress: Callable[..., bytes] | None = None,
        compress_kwargs: dict[str, Any] | None = None,
        decompress_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if (compress is None) is not (decompress is None) or (compress is not None and format is not None):
            raise DefinitionError(
                "CompressedSerializer takes a format, or compress and decompress; give one or the other."
            )
        if compress is None or decompress is None:
            if format is not None and format not in tuple(_FORMATS):
                raise DefinitionError(
                    f"CompressedSerializer has format={format!r}; give one of {', '.join(_FORMATS)}, or "
                    "functions: compress=..., decompress=..."
                )
            compress, decompress = _FORMATS[format or "zlib"]
        self.serializer = as_serializer(serializer, "CompressedSerializer")
        for name, given in (("compress", compress), ("decompress", decompress)):
            check_kind("CompressedSerializer", name, given, Callable, "give a function of bytes.")
        self.compress, self.decompress = compress, decompress
        self.compress_kwargs = _options("CompressedSerializer", "compress_kwargs", compress_kwargs)
        self.decompress_kwargs = _options("CompressedSerializer", "decompress_kwargs", decompress_kwargs)

    def serialize(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Parameters
        ----------
        value : object
            What the other serializer takes.

        Returns
        -------
        bytes
            Compressed.
        """
        return self.compress(self.serializer.serialize(value), **self.compress_kwargs)

    def deserialize(self, value: bytes) -> Any:
        """Return the value of some bytes.

        Parameters
        ----------
        value : bytes
            Compressed.

        Returns
        -------
        object
            What the other serializer makes of them.
        """
        return self.serializer.deserialize(self.decompress(_content(self, value), **self.decompress_kwargs))


_FORMATS: Final[dict[str, tuple[Callable[..., bytes], Callable[..., bytes]]]] = {
    "zlib": (zlib.compress, zlib.decompress),
    "gzip": (gzip.compress, gzip.decompress),
    "bz2": (bz2.compress, bz2.decompress),
    "lzma": (lzma.compress, lzma.decompress),
}


def _options(owner: str, name: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    check_kind(owner, name, given, Mapping | None, "give a dict of what its function takes.")
    return dict(given or {})


def _content(serializer: Serializer, value: Any, kind: Any = BYTES) -> Any:
    check_kind(
        type(serializer).__name__, "value", value, kind, "give the bytes that serialize(...) returned."
    )
    return value
