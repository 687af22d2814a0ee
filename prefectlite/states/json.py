"""The JSON form of states, for stores and for people. Knows states and pydantic; knows no file, no database.

A value inside a state is written as itself where JSON can hold it exactly, as its facts where it is a
reference, a moment or another state, and pickled otherwise. What cannot be pickled leaves type and text.
Reading a form imports the classes that it names and unpickles what it holds: read only what you trust.
"""

from __future__ import annotations

import math
import pickle
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from typing import Annotated, Any, Final, Literal, NoReturn, TypeAlias, assert_never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prefectlite.errors import ResultUnavailable, SerializationError, TaskError
from prefectlite.masking import KNOWN, is_secret, mask, secrets_in
from prefectlite.moments import plainly
from prefectlite.states.holders import holding, value_of
from prefectlite.states.keys import RunKey
from prefectlite.states.meta import Queued
from prefectlite.states.report import ResultRef
from prefectlite.states.state import State
from prefectlite.states.surroundings import settled
from prefectlite.states.value import NO_RESULT, NoResultType, classes_below

#: Lists and dicts that are deeper or hold more are pickled: JSON readers have limits, pickle knows cycles.
_MAX_DEPTH: Final = 32
_MAX_ITEMS: Final = 10_000
#: What every JSON reader takes for the same number.
_MAX_INT: Final = 2**63
_SECRET: Final = "it is a secret, or one stands in it, and those are not stored"

_MODULES: Final = {State.__module__, Queued.__module__}
_BUILTIN: Final[dict[str, type[State]]] = {
    cls.__name__: cls for cls in State.children(include_self=True) if cls.__module__ in _MODULES
}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _NothingForm(_Form):
    """No result was given."""

    kind: Literal["none"]


class _ValueForm(_Form):
    """A value that JSON holds exactly."""

    kind: Literal["json"]
    value: Any


class _MomentForm(_Form):
    """A ``datetime``, in ISO 8601."""

    kind: Literal["moment"]
    time: str


class _RefForm(_Form):
    """A ``ResultRef``: whose value it is, where it is stored, and itself if inline (pickled, in base64)."""

    kind: Literal["ref"]
    slug: str
    index: int | None
    loop: int
    attempt: int
    submission: int
    nbytes: int
    inline: str | None
    location: str | None = None
    digest: str | None = None


class _OneStateForm(_Form):
    """A state as the value of another one."""

    kind: Literal["state"]
    state: StateForm


class _ManyStatesForm(_Form):
    """A tuple of states, in order: the children of a map, say."""

    kind: Literal["states"]
    states: list[StateForm]


class _ObjectForm(_Form):
    """Any other object: its type and a text, and its pickle in base64 if it has one."""

    kind: Literal["object"]
    type_name: str
    text: str
    raised: bool
    pickled: str | None


_AnyForm: TypeAlias = Annotated[
    _NothingForm | _ValueForm | _MomentForm | _RefForm | _OneStateForm | _ManyStatesForm | _ObjectForm,
    Field(discriminator="kind"),
]


class StateForm(_Form):
    """The JSON form of a state.

    Parameters
    ----------
    format : int
        The version of this form.
    type : str
        The name of a built-in class, or ``module:qualname`` of a user's.
    message : str or None
        The state's message.
    result : form
        The state's result, unfetched.
    context, extras : dict of str to form
        The state's context, and what its class adds to ``State``.
    """

    format: Literal[1]
    type: str
    message: str | None
    result: _AnyForm
    context: dict[str, _AnyForm]
    extras: dict[str, _AnyForm]


_OneStateForm.model_rebuild()
_ManyStatesForm.model_rebuild()


def state_to_json(state: State) -> dict[str, Any]:
    """Return the JSON form of a state.

    Parameters
    ----------
    state : State
        Any state, of a user's class too; what its class adds must be named in ``extras``.

    Returns
    -------
    dict
        Fit for ``json.dumps``; ``schema`` describes it.

    Examples
    --------
    >>> from prefectlite.states.state import Success
    >>> state_to_json(Success("done", result=1))["result"]
    {'kind': 'json', 'value': 1}
    """
    held = state._held
    return {
        "format": 1,
        "type": _path_of(type(state)),
        "message": None if state.message is None else _plain(mask(str(state.message))),
        "result": _value_to_json(held if type(held) in (ResultRef, NoResultType) else value_of(held)),
        "context": {_plain(str(name)): _value_to_json(value) for name, value in state.context.items()},
        "extras": {name: _value_to_json(plainly(state, name)) for name in state.extras},
    }


def state_from_json(data: Mapping[str, Any]) -> State:
    """Return the state that a JSON form describes.

    Parameters
    ----------
    data : mapping
        What ``state_to_json`` gave, before or after a journey as JSON text.

    Returns
    -------
    State
        A state of the same class. A value that was not stored raises ``ResultUnavailable`` when it is
        read; an exception that was not is a ``TaskError`` with its type and text.

    Raises
    ------
    SerializationError
        When the form is none, or names a class that cannot be imported.

    Examples
    --------
    >>> from prefectlite.states.state import Success
    >>> state_from_json(state_to_json(Success("done", result=1))).result
    1
    """
    try:
        form = StateForm.model_validate(dict(data))
    except ValidationError as error:
        _refuse("This is not the JSON form of a state", error)
    return _state_from(form)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the form.

    Returns
    -------
    dict
        A JSON schema, draft 2020-12.
    """
    return StateForm.model_json_schema()


@dataclass(frozen=True, slots=True)
class _NotStored:
    """In the place of a value that could not be stored, or not be read back: a source that says why."""

    type_name: str
    text: str

    def fetch(self, ref: ResultRef) -> NoReturn:
        raise ResultUnavailable(
            f"This result, a {self.type_name}, is not in the stored state: {self.text}. "
            "Return something that pickle can hold, or read the result while its flow run is alive."
        )


def _value_to_json(value: Any) -> dict[str, Any]:
    kind = type(value)
    if value is NO_RESULT:
        return {"kind": "none"}
    if kind is ResultRef:
        return _ref_to_json(value)
    if isinstance(value, State):
        return {"kind": "state", "state": state_to_json(value)}
    if kind is tuple and all(isinstance(item, State) for item in value):
        return {"kind": "states", "states": [state_to_json(item) for item in value]}
    if kind is datetime and not value.fold and type(value.tzinfo) in {type(None), timezone}:
        return {"kind": "moment", "time": value.isoformat()}
    if is_secret(value):
        return _object_form(_name_of(value), _SECRET)
    if _fits_json(value):
        if KNOWN and secrets_in(repr(value)):
            return _object_form(_name_of(value), _SECRET)
        return {"kind": "json", "value": value}
    return _object_to_json(value)


def _ref_to_json(ref: ResultRef) -> dict[str, Any]:
    source = ref.source
    if isinstance(source, _NotStored):
        return _object_form(source.type_name, source.text)
    if ref.inline is not None and secrets_in(ref.inline):
        return _object_form("value", _SECRET)
    return {
        "kind": "ref",
        "slug": _plain(ref.run.slug),
        "index": ref.run.index,
        "loop": ref.run.loop,
        "attempt": ref.attempt,
        "submission": ref.submission,
        "nbytes": ref.nbytes,
        "inline": None if ref.inline is None else b64encode(ref.inline).decode(),
        "location": ref.location,
        "digest": ref.digest,
    }


def _object_to_json(value: object) -> dict[str, Any]:
    raised = isinstance(value, BaseException)
    type_name = _name_of(value)
    text, payload = mask(_text_of(value)) if raised else "", None
    try:
        payload = pickle.dumps(value)
        if secrets_in(payload):
            text, payload = text or _SECRET, None
    except Exception as error:
        text = text if raised else f"it cannot be pickled ({type(error).__name__}: {_text_of(error)})"
    return _object_form(type_name, text, raised, payload)


def _name_of(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _object_form(
    type_name: str, text: str, raised: bool = False, payload: bytes | None = None
) -> dict[str, Any]:
    pickled = None if payload is None else b64encode(payload).decode()
    return {
        "kind": "object",
        "type_name": _plain(type_name),
        "text": _plain(text),
        "raised": raised,
        "pickled": pickled,
    }


def _fits_json(value: object) -> bool:
    # Only exact types: a subclass, a tuple or a NaN would come back as something else.
    waiting: list[tuple[object, int]] = [(value, 0)]
    seen = 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if depth > _MAX_DEPTH or seen + len(waiting) > _MAX_ITEMS:
            return False
        if item is None or type(item) is bool:
            continue
        if type(item) is str:
            if not _is_unicode(item):
                return False
        elif type(item) is int:
            if not -_MAX_INT <= item < _MAX_INT:
                return False
        elif type(item) is float:
            if not math.isfinite(item):
                return False
        elif type(item) is list:
            if len(item) > _MAX_ITEMS:
                return False
            waiting.extend((member, depth + 1) for member in item)
        elif type(item) is dict:
            if len(item) > _MAX_ITEMS or not all(type(key) is str and _is_unicode(key) for key in item):
                return False
            waiting.extend((member, depth + 1) for member in item.values())
        else:
            return False
    return True


def _is_unicode(text: str) -> bool:
    # Lone surrogates (from file names, say) are in no encoding that a store could use.
    return text.isascii() or _plain(text) == text


def _plain(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _text_of(value: object) -> str:
    # The text is made by the user's code.
    try:
        return str(value)
    except Exception:
        return ""


def _path_of(cls: type[State]) -> str:
    if _BUILTIN.get(cls.__name__) is cls:
        return cls.__name__
    return f"{cls.__module__}:{cls.__qualname__}"


def _state_from(form: StateForm) -> State:
    cls = _class_at(form.type)
    result = holding(_value_from(form.result))
    context = {name: _value_from(value) for name, value in form.context.items()}
    extras = {name: _value_from(value) for name, value in form.extras.items()}
    try:
        return cls(message=form.message, result=result, context=settled(context), **extras)
    except Exception as error:
        _refuse(f"The stored state cannot be made again by its class {form.type}", error)


def _class_at(path: str) -> type[State]:
    if path in _BUILTIN:
        return _BUILTIN[path]
    # The youngest first: a notebook's cell may have defined its class again.
    for known in reversed(classes_below(State)):
        if _path_of(known) == path:
            return known
    module, _, qualname = path.partition(":")
    try:
        found: Any = import_module(module)
        for name in qualname.split("."):
            found = getattr(found, name)
    except Exception as error:
        _refuse(f"The class {path} of a stored state cannot be imported", error)
    if not (isinstance(found, type) and issubclass(found, State)):
        raise SerializationError(f"The stored state names {path}, which is no class of states.")
    return found


def _value_from(form: _AnyForm) -> Any:
    match form:
        case _NothingForm():
            return NO_RESULT
        case _ValueForm():
            return form.value
        case _MomentForm():
            try:
                return datetime.fromisoformat(form.time)
            except ValueError as error:
                _refuse(f"The stored state holds {form.time!r} in the place of a moment", error)
        case _RefForm():
            run = RunKey(form.slug, form.index, form.loop)
            inline = None if form.inline is None else _bytes_from(form.inline)
            return ResultRef(
                run,
                form.attempt,
                form.nbytes,
                inline,
                submission=form.submission,
                location=form.location,
                digest=form.digest,
            )
        case _OneStateForm():
            return _state_from(form.state)
        case _ManyStatesForm():
            return tuple(_state_from(state) for state in form.states)
        case _ObjectForm():
            return _object_from(form)
        case _:
            assert_never(form)


def _object_from(form: _ObjectForm) -> Any:
    text = form.text
    if form.pickled is not None:
        # Many an exception pickles and then cannot be made again; or its class is gone by now.
        try:
            return pickle.loads(_bytes_from(form.pickled))
        except Exception as error:
            if not form.raised:
                text = f"it cannot be unpickled here ({type(error).__name__}: {_text_of(error)})"
    if form.raised:
        return TaskError(form.type_name, text)
    return ResultRef(RunKey(""), source=_NotStored(form.type_name, text))


def _bytes_from(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        _refuse("The stored state holds bytes that are not base64", error)


def _refuse(what: str, error: Exception) -> NoReturn:
    raise SerializationError(
        f"{what} ({type(error).__name__}: {_text_of(error)}); "
        "read it with the code and the version of prefectlite that wrote it."
    ) from error
