"""What a task's ``run`` takes, and how a call's arguments find their names. Knows no tasks and no flows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

from prefectlite.errors import DefinitionError, DefinitionTypeError

#: What a call takes beside the arguments of ``run``; no argument can have these names.
RESERVED: Final = ("upstream_tasks", "mapped", "task_args", "flow")


class RunSignature:
    """The arguments that a task's ``run`` takes; made once per function, shared by all its tasks.

    Parameters
    ----------
    signature : inspect.Signature
        Of ``run``, without ``self``.
    task_name : str
        Whose, for error texts.
    nout : int or None
        How many values are returned, if the annotation tells.

    Raises
    ------
    DefinitionError
        When an argument is ``*args`` or has a reserved name.
    DefinitionTypeError
        When an argument is positional-only.
    """

    __slots__ = ("_all", "_count", "keyword_only", "names", "nout", "required", "signature", "takes_any")

    def __init__(self, signature: inspect.Signature, task_name: str, nout: int | None = None) -> None:
        names: list[str] = []
        keyword_only: list[str] = []
        required: list[str] = []
        takes_any = False
        for name, parameter in signature.parameters.items():
            _check(parameter, task_name)
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_any = True
                continue
            (keyword_only if parameter.kind is parameter.KEYWORD_ONLY else names).append(name)
            if parameter.default is parameter.empty:
                required.append(name)
        self.signature = signature
        #: Names that may be given by position, in order.
        self.names = tuple(names)
        #: Names that must be given by name.
        self.keyword_only = tuple(keyword_only)
        #: Names without a default.
        self.required = tuple(required)
        #: How many values are returned, if the annotation tells.
        self.nout = nout
        #: Whether any other name is taken too.
        self.takes_any = takes_any
        self._count = len(names) if not keyword_only else -1
        self._all = frozenset((*names, *keyword_only))

    def bind(self, task_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call's arguments by name; defaults are not filled in.

        Parameters
        ----------
        task_name : str
            For error texts.
        args : tuple
            Arguments by position.
        kwargs : mapping of str to object
            Arguments by name.

        Returns
        -------
        dict
            Values by argument name, in the order given.

        Raises
        ------
        DefinitionError
            When one argument is given twice.
        DefinitionTypeError
            When an argument is missing, unknown, or one too many.
        """
        # Nearly all calls of a big flow give every argument by position.
        if not kwargs and len(args) == self._count:
            return dict(zip(self.names, args, strict=True))
        if len(args) > len(self.names):
            raise DefinitionTypeError(
                f"Task {task_name!r} takes {self}, but its call gives {len(args)} arguments by position; "
                f"give at most {len(self.names)}."
            )
        bound = dict(zip(self.names, args, strict=False))
        for name, value in kwargs.items():
            if name in bound:
                raise DefinitionError(
                    f"Task {task_name!r} is given its argument {name!r} twice, by position and by name; "
                    "give it once."
                )
            self.check_name(task_name, name)
            bound[name] = value
        missing = [name for name in self.required if name not in bound]
        if missing:
            raise DefinitionTypeError(self.miss(task_name, missing))
        return bound

    def check_name(self, task_name: str, name: str) -> None:
        """Refuse a name that ``run`` does not take.

        Parameters
        ----------
        task_name : str
            For the error text.
        name : str
            The argument's name.

        Raises
        ------
        DefinitionTypeError
            When there is no such argument.
        """
        given: object = name
        if not isinstance(given, str) or not (self.takes_any or name in self._all):
            raise DefinitionTypeError(
                f"Task {task_name!r} takes {self}, so {name!r} is no argument of it; "
                "correct the name, or add the argument to the task's function."
            )

    def missing(self, given: Iterable[str]) -> list[str]:
        """Return the arguments without a default that are not among the given ones.

        Parameters
        ----------
        given : iterable of str
            Names that have a value.

        Returns
        -------
        list of str
            In the order of the signature.
        """
        held = frozenset(given)
        return [name for name in self.required if name not in held]

    def miss(self, task_name: str, missing: Iterable[str]) -> str:
        """Return the error text for missing arguments.

        Parameters
        ----------
        task_name : str
            Whose.
        missing : iterable of str
            Names.

        Returns
        -------
        str
            What, where, and the mend.
        """
        names = [repr(name) for name in missing]
        what, it = ("the argument", "it") if len(names) == 1 else ("the arguments", "them")
        first = next(iter(self.signature.parameters), "")
        method = " For a method's object, write task(thing.method)." if first in ("self", "cls") else ""
        return (
            f"Task {task_name!r} takes {self}, but {what} {', '.join(names)} got no value; "
            f"pass {it} in the call, or give {it} a default.{method}"
        )

    def __str__(self) -> str:
        """Return the arguments as they were written, without annotations."""
        bare = [one.replace(annotation=one.empty) for one in self.signature.parameters.values()]
        return str(inspect.Signature(bare))


def run_signature(run: Callable[..., Any], task_name: str, *, drop_first: bool = False) -> RunSignature:
    """Read what a function takes.

    Parameters
    ----------
    run : callable
        The function.
    task_name : str
        Whose, for error texts.
    drop_first : bool
        Whether the first argument is ``self``.

    Returns
    -------
    RunSignature
        Its arguments.

    Raises
    ------
    DefinitionError
        When the function does not tell, takes ``*args``, or uses a reserved name.
    DefinitionTypeError
        When it takes positional-only arguments, or is an async generator.
    """
    try:
        signature = inspect.signature(run)
    except ValueError as error:
        raise DefinitionError(
            f"Task {task_name!r} is made from {run!r}, which does not tell what arguments it takes "
            "(functions written in C often don't); wrap it in a function of your own: "
            "`@task def ...(x): return ...(x)`."
        ) from error
    # What it gives is no value: nothing here would ever ask for the items.
    if inspect.isasyncgenfunction(run):
        raise DefinitionTypeError(
            f"Task {task_name!r} is an async generator, whose items nobody would ask for; "
            "return a list of them."
        )
    if drop_first:
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    return RunSignature(signature, task_name, _count_of(run, signature.return_annotation))


def described(run: Callable[..., Any], takes: RunSignature) -> dict[str, dict[str, Any]]:
    """Return the arguments of a function with their types.

    Parameters
    ----------
    run : callable
        The function.
    takes : RunSignature
        What it takes.

    Returns
    -------
    dict of str to dict
        By name: ``type`` (``Any`` without an annotation), ``required``, and ``default`` (None without one).
    """
    return {
        name: {
            "type": _resolved(run, parameter.annotation),
            "required": parameter.default is parameter.empty,
            "default": None if parameter.default is parameter.empty else parameter.default,
        }
        for name, parameter in takes.signature.parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }


def returned(run: Callable[..., Any]) -> Any:
    """Return what a function says that it returns.

    Parameters
    ----------
    run : callable
        The function.

    Returns
    -------
    type
        The annotation; ``Any`` without one.
    """
    return _resolved(run, inspect.signature(run).return_annotation)


def _resolved(run: Callable[..., Any], annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    if isinstance(annotation, str):
        names = getattr(inspect.unwrap(run), "__globals__", {})
        try:
            (annotation,) = get_type_hints(_Annotated(annotation), names, include_extras=True).values()
        except Exception:
            return annotation  # names that exist for type checkers only, or inside a function
    return annotation


class _Annotated:
    """What ``get_type_hints`` reads a single annotation from."""

    def __init__(self, annotation: str) -> None:
        self.__annotations__ = {"one": annotation}


def _count_of(run: Callable[..., Any], annotation: Any) -> int | None:
    # Most texts are no tuples, and evaluating one costs more than all else here.
    if isinstance(annotation, str) and "uple" in annotation:
        annotation = _resolved(run, annotation)
    if get_origin(annotation) is not tuple:
        return None
    members = get_args(annotation)
    return None if Ellipsis in members else len(members)


def _check(parameter: inspect.Parameter, task_name: str) -> None:
    if parameter.kind is parameter.VAR_POSITIONAL:
        raise DefinitionError(
            f"Task {task_name!r} takes *{parameter.name}, but a task's arguments need names, because edges "
            f"carry them; take a list instead: `{parameter.name}: list`. If a decorator put it there, "
            "functools.wraps in it shows the function's own arguments."
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise DefinitionTypeError(
            f"Task {task_name!r} takes {parameter.name!r} by position only, but a task's arguments are "
            "handed over by name; wrap the function in one of your own, or, in Python code, remove the `/`."
        )
    if parameter.name in RESERVED:
        raise DefinitionError(
            f"Task {task_name!r} has an argument named {parameter.name!r}, which every call of a task takes "
            "for itself; give it another name."
        )
