"""A flow's input, checked against its type before anything runs. Knows pydantic; knows no flow run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from prefectlite.core.attributes import as_slug
from prefectlite.core.base import Task
from prefectlite.core.layers import current_layer
from prefectlite.core.secret_types import holds_secret
from prefectlite.errors import DefinitionError, DefinitionTypeError, ParameterError
from prefectlite.kinds import is_truth
from prefectlite.late import late_names
from prefectlite.masking import hide, mask
from prefectlite.printable import label
from prefectlite.states.signals import FAIL

if TYPE_CHECKING:
    from typing import Any as _Fitting

    from pydantic import TypeAdapter, ValidationError

    from prefectlite.core.graph import FlowGraph
    from prefectlite.core.moment_parameter import DateTimeParameter
else:
    _Fitting = object
    # Prefect 1 had it here; its own module imports this one.
    __getattr__ = late_names(
        __name__, {"DateTimeParameter": "prefectlite.core.moment_parameter:DateTimeParameter"}
    )

__all__ = ["ANY", "NO_DEFAULT", "DateTimeParameter", "NoDefault", "Parameter", "no_default"]


class NoDefault:
    """The type of ``NO_DEFAULT``, which stands for a default that was never given."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"

    def __reduce__(self) -> str:
        return "NO_DEFAULT"


#: Stands for a default that was never given.
NO_DEFAULT: Final = NoDefault()
#: The same, as Prefect 1 wrote it.
no_default: Final = NO_DEFAULT
#: The type of a parameter that takes every value.
ANY: Final = Any
#: How Python writes what JSON writes otherwise.
_WORDS: Final = {"True": True, "False": False, "None": None}
_LONGEST_VALUE = 80
_AS_JSON = "; write lists and dicts as JSON, as in '[1, 2]'"


class Parameter(Task, _Fitting):  # type: ignore[misc]  # for a type checker it fits every argument
    """A flow's input: ``flow.run(name=value)`` fills it in.

    Its slug is its name, so a flow has one of each name.

    Parameters
    ----------
    name : str
        What callers of the flow say.
    default : object, optional
        The value when none is given; checked at once.
    required : bool or None
        Whether a value must be given; by default, when there is no ``default``. With True, the default is
        not used.
    tags : iterable of str or None
        Free labels.
    type : type, optional
        What values must be: anything that pydantic can check, ``Annotated[int, Field(gt=0)]`` say. Without
        it, every value is taken.

    Raises
    ------
    DefinitionError
        When the name is empty, or the default is not what ``type`` asks for.
    DefinitionTypeError
        When pydantic cannot check ``type``, or ``required`` is no truth value.

    Examples
    --------
    >>> count = Parameter("count", default=3, type=int)
    >>> count.parse("12")
    12
    """

    __slots__ = ("__dict__", "_adapter", "default", "required", "type")
    default: Any
    required: bool
    type: Any

    def __init__(
        self,
        name: str,
        default: Any = NO_DEFAULT,
        required: bool | None = None,
        tags: Iterable[str] | None = None,
        *,
        type: Any = ANY,  # noqa: A002  # the word that users know
    ) -> None:
        as_slug(name, "A parameter")
        if not (required is None or is_truth(required)):
            raise DefinitionTypeError(
                f"Parameter {name!r} has required={required!r}; give True, False, or None to let the default "
                "decide."
            )
        super().__init__(name=name, slug=name, tags=tags)
        self.type = type
        self._adapter: TypeAdapter[Any] | None = None
        self.required = default is NO_DEFAULT if required is None else bool(required)
        self.default = None
        if default is not NO_DEFAULT or not self.required:
            self.default = self._checked_default(None if default is NO_DEFAULT else default)

    if TYPE_CHECKING:

        def __call__(self, flow: FlowGraph | None = None) -> Any: ...  # type: ignore[override]  # noqa: D102
    else:

        def __call__(self, flow: FlowGraph | None = None) -> Parameter:
            """Put the parameter itself into the flow; there is only one of it.

            Parameters
            ----------
            flow : FlowGraph or None
                The flow; by default, the one that is being built.

            Returns
            -------
            Parameter
                The parameter.
            """
            self._graph(flow).add_task(self)
            return self

    def map(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a parameter takes no arguments.

        Parameters
        ----------
        *args, **kwargs : object
            Whatever was given.

        Raises
        ------
        DefinitionTypeError
            Always.
        """
        raise DefinitionTypeError(
            f"Parameter {self.name!r} cannot be mapped, because it takes no input; map a task over it: "
            f"task.map({self.name})."
        )

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a parameter takes no arguments.

        Parameters
        ----------
        *args, **kwargs : object
            Whatever was given.

        Raises
        ------
        DefinitionTypeError
            Always.
        """
        raise DefinitionTypeError(
            f"Parameter {self.name!r} takes no input; give its value when the flow is run: "
            f"flow.run({self.name}=...)."
        )

    def copy(self, name: str | None = None, **task_args: Any) -> Self:
        """Return a parameter of the same kind under another name.

        Parameters
        ----------
        name : str or None
            The new name.
        **task_args : object
            What else differs: ``tags``, ``default``, ``required``.

        Returns
        -------
        Parameter
            The copy.

        Raises
        ------
        DefinitionTypeError
            When no name is given.
        DefinitionError
            When the new default is not what the type asks for.
        """
        if name is None:
            raise DefinitionTypeError(
                f"A copy of parameter {self.name!r} needs a name of its own; write copy(name='...')."
            )
        new = super().copy(**{**task_args, "slug": name, "name": name})
        if task_args.get("default", NO_DEFAULT) is not NO_DEFAULT:
            new.default = new._checked_default(task_args["default"])
            new.required = bool(task_args.get("required", False))
        return new

    def run(self) -> Any:
        """Return the value that the flow run gave.

        Returns
        -------
        object
            The value from ``context.parameters``, else the default.

        Raises
        ------
        FAIL
            When there is neither.
        """
        given = current_layer().values.get("parameters") or {}
        if self.name in given:
            return given[self.name]
        if self.required:
            raise FAIL(self.missing())
        return self.default

    def validate(self, value: Any) -> Any:
        """Return a value as the type wants it.

        Parameters
        ----------
        value : object
            What a caller gave.

        Returns
        -------
        object
            The value; converted where pydantic does so (a text for a ``Path``, say).

        Raises
        ------
        ParameterError
            When it is not what the type asks for; the text names parameter, value and expectation.
        """
        if self.type is ANY:
            return value
        from pydantic import ValidationError

        try:
            return self._settled(self.checker().validate_python(value))
        except ValidationError as error:
            raise ParameterError(self._refusal(value, error)) from None

    def handed_on(self, value: Any) -> Any:
        """Return a valid value as tasks get it.

        Parameters
        ----------
        value : object
            What ``validate`` returned.

        Returns
        -------
        object
            The same.
        """
        return value

    def parse(self, text: str) -> Any:
        """Return the value that a text on a command line means.

        Parameters
        ----------
        text : str
            What stands after ``name=``.

        Returns
        -------
        object
            For a text type, the text itself; for others, what the text reads as (``12``, ``2026-01-31``,
            ``yes``), else what it means as JSON. Without a type: the text itself where the default is a text,
            else its meaning as JSON (or ``True``, ``False`` and ``None``), or the text when it has none.

        Raises
        ------
        ParameterError
            When it is not what the type asks for.
        """
        if self.type is ANY:
            if isinstance(self.default, str):
                return text
            if text in _WORDS:
                return _WORDS[text]
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        from pydantic import ValidationError

        checker = self.checker()
        try:
            return self._settled(checker.validate_strings(text))
        except ValidationError as error:
            as_text = error
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise ParameterError(self._refusal(text, as_text, _AS_JSON)) from None
        try:
            return self._settled(checker.validate_json(text))
        except ValidationError as error:
            # Of a list or dict, what is wrong inside it says more than that a text is no list.
            told = error if isinstance(value, list | dict) else as_text
            raise ParameterError(self._refusal(text, told, _AS_JSON)) from None

    def missing(self) -> str:
        """Return the error text for a value that was not given.

        Returns
        -------
        str
            What, and the mend.
        """
        name = label(self.name)
        return (
            f"Parameter {self.name!r}{self._expected()} has no value; "
            f"give one: flow.run({name}=...), or -p {name}=... on the command line."
        )

    def checker(self) -> TypeAdapter[Any]:
        """Return what checks and describes values of the type.

        Returns
        -------
        pydantic.TypeAdapter
            Made once.
        """
        if self._adapter is None:
            self._adapter = _adapter(self.name, self.type)
        return self._adapter

    def default_as_json(self) -> Any:
        """Return the default in the form of a JSON schema.

        Returns
        -------
        object
            Its JSON form; ``NO_DEFAULT`` where it has none, or is not used.
        """
        if self.required:
            return NO_DEFAULT
        from pydantic_core import PydanticSerializationError

        try:
            return self.checker().dump_python(self.default, mode="json")
        except PydanticSerializationError:
            return NO_DEFAULT

    @property
    def type_name(self) -> str:
        """The type in words: ``int``, ``list[str]``; empty without one."""
        if self.type is ANY:
            return ""
        return _type_name(self.type)

    @property
    def is_secret_type(self) -> bool:
        """Whether values are secrets: ``SecretStr``, or something that holds one."""
        return holds_secret(self.type)

    def __getstate__(self) -> Any:
        """Leave out pydantic's checker, which is made again where it is needed."""
        state: Any = super().__getstate__()
        attributes, slots = state
        return attributes, {**slots, "_adapter": None}

    def _checked_default(self, default: Any) -> Any:
        try:
            return self.validate(default)
        except ParameterError as error:
            raise DefinitionError(f"The default does not fit: {error}") from None

    def _settled(self, value: Any) -> Any:
        """Return a value that fits the type in the form that tasks get."""
        return value

    def _expected(self) -> str:
        return f" ({self.type_name})" if self.type_name else ""

    def _refusal(self, value: object, error: ValidationError, how: str = "") -> str:
        found = error.errors(include_url=False, include_context=False)
        if self.is_secret_type:
            # What is wrong with it may be said in its own words.
            hide(value)
            return mask(
                f"Parameter {self.name!r} has a value of type {type(value).__name__} that is not shown, "
                f"but must be {self.type_name}: {found[0]['msg']}. Give a value of that type{how}."
            )
        told = "; ".join(_problem(list(one["loc"]), one["msg"]) for one in found[:3])
        more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
        return (
            f"Parameter {self.name!r} has the value {_shortened(value)} ({type(value).__name__}), but must "
            f"be {self.type_name}: {told}{more}. Give a value of that type{how}."
        )


def _adapter(name: str, kind: Any) -> TypeAdapter[Any]:
    # Here and not above: importing pydantic costs more than importing all the rest of us, and a flow
    # without typed parameters never needs it.
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(kind)
    except (PydanticUserError, TypeError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise DefinitionTypeError(
            f"Parameter {name!r} has type={kind!r}, which pydantic cannot check ({reason}); give a type, as "
            "in type=int, or leave it away."
        ) from None


def _type_name(kind: Any) -> str:
    if isinstance(kind, type) and not hasattr(kind, "__origin__"):
        return kind.__name__
    return str(kind).replace("typing.", "")


def _problem(where: list[Any], message: str) -> str:
    text = message[:1].lower() + message[1:]
    return f"at {'.'.join(str(step) for step in where)}: {text}" if where else text


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
