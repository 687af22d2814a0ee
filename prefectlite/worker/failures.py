"""What becomes of an exception that ended a body: state, traceback, what travels. Knows no tasks."""

from __future__ import annotations

import pickle
import traceback
from types import TracebackType
from typing import Any, Final, NamedTuple

from prefectlite.errors import OF_USER_CODE, SerializationError, TaskError
from prefectlite.lowering.envelope import RetryOn
from prefectlite.masking import KNOWN, MASK, is_secret, mask, secrets_in
from prefectlite.results.serializers import dumps, dumps_failure, let_travel
from prefectlite.states.signals import Signal
from prefectlite.states.state import Failed, State
from prefectlite.states.value import NO_RESULT

_OURS: Final = ("prefectlite.worker.", "prefectlite.lowering.", "prefectlite.core.")
_LONGEST_MESSAGE: Final = 500
_LONGEST_TRACEBACK: Final = 20_000
#: So much of an exception's text its stand-in says.
_LONGEST_TEXT: Final = 20_000
#: So many looks are remembered, of exceptions of up to so many pickled bytes and so many facts.
_MOST_LOOKS: Final = 64
_LARGEST_LOOK: Final = 2048
_MOST_MARKS: Final = 128
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
#: Their texts are made from more than they are pickled with: other tracebacks, names near at hand.
_DEEP: Final = (Signal, BaseExceptionGroup, NameError, AttributeError, ImportError)
_looks: Final[dict[tuple[Any, ...], Look]] = {}


def is_retryable(retry_on: RetryOn, error: BaseException) -> tuple[bool, str]:
    """Return whether a task's ``retry_on`` accepts a failure.

    Parameters
    ----------
    retry_on : tuple of type, callable or None
        The task's option.
    error : BaseException
        What ended the body; of a signal, the exception that it was raised from counts as well.

    Returns
    -------
    (bool, str)
        The answer, and what to add to the failure's message: what a callable raised, if it did.
    """
    if retry_on is None:
        return True, ""
    cause = error.__cause__ if isinstance(error, Signal) else None
    if isinstance(retry_on, tuple):
        return isinstance(error, retry_on) or isinstance(cause, retry_on), ""
    try:
        return bool(retry_on(error if cause is None else cause)), ""
    except KeyboardInterrupt:
        raise
    except BaseException as raised:
        return False, f" (its retry_on raised {described(raised)}, so it is not tried again)"


class Look(NamedTuple):
    """What a failure shows of itself; failures that look alike share one, so that it is made once.

    Parameters
    ----------
    described : str
        As of ``described``.
    text : str
        As of ``traceback_text``.
    fits : bool
        Whether the exception arrives at the driver as what it is.
    """

    described: str
    text: str
    fits: bool


def failure(
    error: BaseException, *, limit: int | None, note: str = "", what: str = ""
) -> tuple[Failed, Look | None]:
    """Return the state of a body that raised.

    Parameters
    ----------
    error : BaseException
        What it raised.
    limit : int or None
        Up to how many pickled bytes it travels as itself; None when it need not travel.
    note : str
        Added to the message.
    what : str
        What raised, when it was not the body.

    Returns
    -------
    (Failed, Look or None)
        With the exception, or its stand-in, as its result; and what is the same object for failures that
        look alike and are pickled to the same bytes.
    """
    before = what or "Unexpected error: "
    look = None if note else look_of(error, limit)
    if look is not None:
        result = error if look.fits else _stand_in(error, look.text)
        return Failed(f"{before}{look.described}", result, traceback=look.text), look
    text = traceback_text(error)
    message = f"{before}{described(error)}{note}"
    return Failed(message, fit_to_travel(error, text, limit), traceback=text), None


def look_of(error: BaseException, limit: int | None) -> Look | None:
    """Return how an exception looks.

    Parameters
    ----------
    error : BaseException
        What a body raised.
    limit : int or None
        Up to how many pickled bytes it travels as itself; None when it need not travel.

    Returns
    -------
    Look or None
        None for one whose look depends on others, or cannot be told. Failures with the same look are pickled
        to the same bytes.
    """
    if limit is None:
        return None
    if error.__cause__ is not None or error.__context__ is not None or isinstance(error, _DEEP):
        return None
    try:
        text, content = str(error), _content(error)
        if len(text) > _LARGEST_LOOK or len(content) > _LARGEST_LOOK:
            return None
        marks: list[Any] = [type(error), content, text, limit, len(KNOWN)]
        marks += getattr(error, "__notes__", ())
    except BaseException:
        return None
    at = _users(error.__traceback__)
    while at is not None:
        code = at.tb_frame.f_code
        marks += (code.co_filename, code.co_firstlineno, code.co_name, at.tb_lasti)
        if len(marks) > _MOST_MARKS:
            return None
        at = at.tb_next
    key = tuple(marks)
    look = _looks.get(key)
    if look is None:
        text = traceback_text(error)
        look = Look(described(error), text, fit_to_travel(error, text, limit) is error)
        if len(_looks) >= _MOST_LOOKS:
            _looks.clear()
        _looks[key] = look
    return look


def _content(error: BaseException) -> bytes | tuple[Any, ...]:
    """Return what two exceptions of one type have in common if they are pickled to the same bytes."""
    kind = type(error)
    if (
        kind.__reduce__ is BaseException.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
        and not error.__dict__
        and _PLAIN.issuperset(map(type, error.args))
    ):
        return error.args  # no need to pickle it; of numbers that are equal, the texts differ
    return dumps_failure(error)


def fit_to_travel(error: BaseException, text: str, limit: int | None) -> BaseException:
    """Return an exception that arrives at the driver as what it is.

    Parameters
    ----------
    error : BaseException
        Any exception; a signal becomes the exception that it was raised from, or its stand-in.
    text : str
        Its traceback.
    limit : int or None
        Up to how many pickled bytes it travels as itself; None when it need not travel.

    Returns
    -------
    BaseException
        Itself where it survives pickling and is small enough, else a ``TaskError``.
    """
    if isinstance(error, Signal):
        if error.__cause__ is None:
            return TaskError(type(error).__name__, mask(error.state.message or ""), text)
        error = error.__cause__
    error = unrevealing_error(error)
    if limit is None:
        return error.with_traceback(_users(error.__traceback__))
    try:
        payload = dumps_failure(error)
        if len(payload) <= limit and not secrets_in(payload):
            if _opens(payload, error):
                return error
            if let_travel(type(error)) and _opens(dumps_failure(error), error):
                return error
    except BaseException:
        pass  # whatever its own pickling code does, it cannot travel
    return _stand_in(error, text)


def _opens(payload: bytes, error: BaseException) -> bool:
    try:
        return type(pickle.loads(payload)) is type(error)
    except BaseException:
        return False


def _stand_in(error: BaseException, text: str) -> TaskError:
    return TaskError(_name_of(error), _without_middle(mask(_text_of(error)), _LONGEST_TEXT), text)


def unrevealing(state: State) -> State:
    """Return a state that a body asked for without the secrets that this process knows.

    Parameters
    ----------
    state : State
        Any state.

    Returns
    -------
    State
        Itself where there is none in it; a result with one becomes a mask.
    """
    if not KNOWN:
        return state
    changes: dict[str, Any] = {}
    message, context = state.message, dict(state.context)
    result = state.result if state.result_ref is None else None  # what lies elsewhere is not looked at
    if message is not None and mask(str(message)) != message:
        changes["message"] = mask(str(message))
    shown = {name: mask(value) if isinstance(value, str) else value for name, value in context.items()}
    if shown != context:
        changes["context"] = shown
    if isinstance(result, BaseException):
        if (shown_error := unrevealing_error(result)) is not result:
            changes["result"] = shown_error
    elif is_secret(result) or secrets_in(repr(result)):
        changes["result"] = MASK
    return state.replace(**changes) if changes else state


def fit_for_driver(state: State, *, pickles: bool) -> State:
    """Return a state that the driver can keep, copy and, where it must, receive.

    Parameters
    ----------
    state : State
        What a signal brought; it may be of the user's own class.
    pickles : bool
        Whether it must be pickled to get there.

    Returns
    -------
    State
        Itself where nothing is wrong with it; without result and context, if only they cannot be pickled;
        else a ``Failed`` that says what is wrong.
    """
    try:
        state.replace()
    except Exception as error:
        text = (
            f"The body asked for a state of class {type(state).__name__}, which cannot be copied "
            f"({described(error)}); its constructor must take message, result and context by name."
        )
        return Failed(text, TaskError(type(state).__name__, text))
    if not pickles:
        return state
    try:
        dumps(state)
    except SerializationError as error:
        bare = state.replace(result=NO_RESULT, context=None)
        try:
            dumps(bare)
        except SerializationError:
            text = mask(f"The body asked for {state!r}, which cannot be pickled ({error}).")
            return Failed(text, TaskError(type(state).__name__, text))
        return bare
    return state


def traceback_text(error: BaseException) -> str:
    """Return an exception's traceback from the user's first frame on.

    Parameters
    ----------
    error : BaseException
        Any exception.

    Returns
    -------
    str
        As Python prints it; the middle of a very long one is left out.
    """
    return _without_middle(mask(_formatted(error)), _LONGEST_TRACEBACK)


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n  ... [{len(text) - 2 * half} characters cut]\n{text[-half:]}"


def described(error: BaseException) -> str:
    """Return what an exception says of itself, in a line.

    Parameters
    ----------
    error : BaseException
        Any exception, also one whose text cannot be made.

    Returns
    -------
    str
        Its type's name and its text, which is cut where it is very long.
    """
    text = mask(_text_of(error))
    described = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(described) > _LONGEST_MESSAGE:
        return f"{described[:_LONGEST_MESSAGE]} ..."
    return described


def unrevealing_error(error: BaseException) -> BaseException:
    """Return an exception without the secrets that this process knows.

    Parameters
    ----------
    error : BaseException
        What user code raised.

    Returns
    -------
    BaseException
        Itself where there is none in it, else its stand-in; of a signal, its state is changed.
    """
    if isinstance(error, Signal):
        error.state = unrevealing(error.state)
    elif KNOWN and _reveals(error):
        return TaskError(_name_of(error), mask(_text_of(error)), traceback_text(error))
    return error


def _formatted(error: BaseException) -> str:
    try:
        lines = traceback.TracebackException(
            type(error), error, _users(error.__traceback__), compact=True
        ).format()
        return "".join(lines)
    except OF_USER_CODE:
        return f"{described(error)}\n"


def _reveals(error: BaseException) -> bool:
    """Return whether a secret stands in what an exception, or one behind it, says or holds."""
    try:
        told = f"{_formatted(error)}{error.args!r}{vars(error)!r}{_text_of(error)}"
    except OF_USER_CODE:
        return True  # what cannot be looked at may say anything
    return mask(told) != told


def _users(frames: TracebackType | None) -> TracebackType | None:
    at = frames
    while at is not None and str(at.tb_frame.f_globals.get("__name__")).startswith(_OURS):
        at = at.tb_next
    return at


def _name_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except OF_USER_CODE as raised:
        return f"<its text raised {type(raised).__name__}>"
