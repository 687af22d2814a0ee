"""How a value becomes bytes: pickle, and cloudpickle where that fails. Knows values; knows no tasks."""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
from functools import lru_cache
from types import FunctionType
from typing import Any, Final, NamedTuple

from prefectlite.errors import OF_USER_CODE, SerializationError
from prefectlite.late import loaded

_PROTOCOL: Final = 5
_TBLIB: Final = b"tblib.pickling_support"
_SMALL: Final = (int, float, bool, type(None))
_PLAIN_KINDS: Final = frozenset({*_SMALL, str, bytes})
# How pickle writes such a number, in a frame or without: the protocol, the operation, the number, the end.
_BININT2: Final = struct.Struct("<3sHc")
_HEAD: Final = pickle.PROTO + bytes([_PROTOCOL]) + pickle.BININT2
#: Up to which length a text needs no scale, and up to how many members a collection.
_SHORT: Final = 1024
_FEW: Final = 16


class Weight(NamedTuple):
    """What a value weighs on its way.

    Parameters
    ----------
    nbytes : int
        Its pickled size in bytes; at least that much when only the limit was asked about.
    inline : bytes or None
        The pickled value when it is within the limit.
    """

    nbytes: int
    inline: bytes | None = None


def dumps(value: Any) -> bytes:
    """Pickle a value; what pickle refuses (a local class, a lambda) goes by value through cloudpickle.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bytes
        What ``pickle.loads`` reads.

    Raises
    ------
    SerializationError
        When neither can; the text says what they said.
    """
    try:
        payload = pickle.dumps(value, _PROTOCOL)
        return _with_whole_exceptions(value) if _TBLIB in payload else payload
    except Exception as first:
        try:
            return _cloudpickle().dumps(value, protocol=_PROTOCOL)  # type: ignore[no-any-return]
        except Exception as second:
            raise SerializationError(f"{type(second).__name__}: {second}") from first


def dumps_failure(value: Any) -> bytes:
    """Pickle an exception, or what holds one, at once in the way that ``dumps`` finds at the second try.

    Parameters
    ----------
    value : object
        An exception, or a state or report with one.

    Returns
    -------
    bytes
        What ``pickle.loads`` reads.

    Raises
    ------
    SerializationError
        As ``dumps`` does.
    """
    try:
        return _with_whole_exceptions(value)
    except Exception:
        return dumps(value)


def small_dumps(value: Any) -> bytes | None:
    """Pickle a value of a kind that is small and plain; return None for all others, which need a scale.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bytes or None
        What ``pickle.loads`` reads.
    """
    kind = type(value)
    if kind is int and 0 <= value < 65536:
        return _BININT2.pack(_HEAD, value, b".")  # four times as fast as the general way
    if kind is int or kind is float or value is None or kind is bool:
        return pickle.dumps(value, _PROTOCOL)
    if kind is str or kind is bytes:
        return pickle.dumps(value, _PROTOCOL) if len(value) <= _SHORT else None
    if (kind is list or kind is tuple or kind is dict) and len(value) <= _FEW:
        members = value if kind is not dict else (*value, *value.values())
        if _PLAIN_KINDS.issuperset(map(type, members)) and all(map(_is_short, members)):
            return pickle.dumps(value, _PROTOCOL)
    return None


def _is_short(value: Any) -> bool:
    return not isinstance(value, str | bytes) or len(value) <= _SHORT


def weigh(value: Any, limit: int, *, prove: bool) -> Weight:
    """Return a value's size, and its bytes if they are few, without ever holding many.

    Parameters
    ----------
    value : object
        Any value.
    limit : int
        Up to how many bytes the pickled value is wanted.
    prove : bool
        Whether a larger value must be shown to be picklable too, without a copy of its buffers, and a small
        one to be opened again; values of built-in types are known to be.

    Returns
    -------
    Weight
        Size and bytes; without ``prove``, a value that cannot be pickled has neither.

    Raises
    ------
    SerializationError
        When ``prove`` is set and the value cannot be pickled, or not be opened again.
    """
    kind = type(value)
    payload = small_dumps(value)
    if payload is not None:
        return Weight(len(payload), payload if len(payload) <= limit else None)
    if kind is bytes or kind is bytearray or kind is str:
        if len(value) > limit:
            return Weight(len(value))
    else:
        numpy: Any = loaded("numpy")
        if numpy is not None and kind is numpy.ndarray and not value.dtype.hasobject and value.nbytes > limit:
            return Weight(int(value.nbytes))
    try:
        weight = _pickled(pickle.Pickler, value, limit, prove)
    except Exception as first:
        try:
            weight = _pickled(_cloudpickle().Pickler, value, limit, prove)
        except Exception as second:
            if prove:
                raise SerializationError(f"{type(second).__name__}: {second}") from first
            return Weight(0)
    if prove and weight.inline is not None:
        try:
            pickle.loads(weight.inline)
        except OF_USER_CODE as error:
            text = f"it can be written, but not be rebuilt: {type(error).__name__}: {error}"
            raise SerializationError(text) from error
    return weight


class _Full(BaseException):
    """The limit is passed, and nobody asked for more."""


class _Scale:
    """A file that keeps up to ``limit`` bytes and counts the rest."""

    __slots__ = ("chunks", "limit", "nbytes", "outside", "prove")

    def __init__(self, limit: int, prove: bool) -> None:
        self.chunks: list[bytes] = []
        self.limit = limit
        self.nbytes = 0
        self.outside = False
        self.prove = prove

    def write(self, chunk: Any) -> int:
        """Take a chunk of the pickle."""
        size = len(chunk)
        self._count(size)
        if self.nbytes <= self.limit:
            self.chunks.append(bytes(chunk))
        return size

    def buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Count a large buffer without copying it."""
        self.outside = True
        with buffer.raw() as view:
            self._count(view.nbytes)
        return False

    def _count(self, size: int) -> None:
        self.nbytes += size
        if self.nbytes > self.limit and not self.prove:
            raise _Full


def _pickled(pickler: Any, value: Any, limit: int, prove: bool) -> Weight:
    scale = _Scale(limit, prove)
    try:
        pickler(scale, protocol=_PROTOCOL, buffer_callback=scale.buffer).dump(value)
    except _Full:
        return Weight(scale.nbytes)
    if scale.nbytes > limit:
        return Weight(scale.nbytes)
    if scale.outside:
        payload = dumps(value)
        return Weight(len(payload), payload if len(payload) <= limit else None)
    return Weight(scale.nbytes, b"".join(scale.chunks))


def _with_whole_exceptions(value: Any) -> bytes:
    # Distributed has tblib pickle exceptions, which drops what only their constructor sets: a SyntaxError
    # arrives as "None", a UnicodeDecodeError as "" (tblib 3.2). Their own way of being pickled keeps it.
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, _PROTOCOL)
    pickler.dispatch_table = _whole(len(copyreg.dispatch_table))
    pickler.dump(value)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def _whole(_: int) -> dict[type, Any]:
    # There are hundreds of kinds of exceptions; the table's length tells when others were added.
    kinds = copyreg.dispatch_table.items()
    return {kind: how for kind, how in kinds if keeps_whole(kind, how)}


def keeps_whole(kind: type, how: Any) -> bool:
    """Return whether a way of pickling that somebody has entered for a kind leaves nothing out.

    Parameters
    ----------
    kind : type
        Of what.
    how : callable
        From ``copyreg.dispatch_table``.

    Returns
    -------
    bool
        False for tblib's way of exceptions.
    """
    return not issubclass(kind, BaseException) or how is _taken_apart


def let_travel(kind: type[BaseException]) -> bool:
    """Let exceptions of a kind be pickled without their constructor, if that leaves nothing out.

    Python makes an exception anew by calling its class with its ``args``, which are what ``super().__init__``
    was given: one that takes anything else cannot be opened. All that such a class has beside them is in the
    attributes, unless the built-in class that it is made from has places of its own.

    Parameters
    ----------
    kind : type
        Of which one could not be opened again.

    Returns
    -------
    bool
        Whether they are pickled by their attributes from now on, in this process and where they are opened.
    """
    if (
        kind.__reduce__ is not BaseException.__reduce__
        or kind.__reduce_ex__ is not object.__reduce_ex__
        or kind.__setstate__ is not BaseException.__setstate__
        or not isinstance(kind.__init__, FunctionType)
        or any(hasattr(base, "__slots__") for base in kind.__mro__ if base.__module__ != "builtins")
    ):
        return False
    built_in = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    if built_in.__basicsize__ != BaseException.__basicsize__:
        return False
    _take_apart(kind)
    return True


def _take_apart(kind: type[BaseException]) -> None:
    if copyreg.dispatch_table.get(kind) is not _taken_apart:
        copyreg.pickle(kind, _taken_apart)
        # In the place of tblib's way, it leaves the table as long as it was.
        _whole.cache_clear()


def _taken_apart(error: BaseException) -> tuple[Any, ...]:
    return _put_together, (type(error), error.args, error.__dict__)


def _put_together(
    kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> BaseException:
    _take_apart(kind)  # it may go on from here
    error: BaseException = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def _cloudpickle() -> Any:
    # Imported when first needed: most values never need it, and it is a tenth of a small program's start.
    import cloudpickle

    return cloudpickle
