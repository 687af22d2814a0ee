"""A task: what ``run`` does and the rules that it is done under. Knows its options; knows no cluster."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, Unpack

from prefectlite.core.annotations import EdgeAnnotation
from prefectlite.core.arguments import RunSignature, described, returned, run_signature
from prefectlite.core.attributes import (
    ListOption,
    OfInstance,
    Option,
    Replaceable,
    SetOption,
    as_name,
    as_slug,
)
from prefectlite.core.context import as_tags
from prefectlite.core.expressions import Expression
from prefectlite.core.in_place import OptionSet
from prefectlite.core.layers import current_layer
from prefectlite.core.loggers import get_logger
from prefectlite.core.option_checks import asked_resources
from prefectlite.core.option_forms import cache_for_of, result_of, retry_delay_of, timeout_of
from prefectlite.core.options import (
    DEFAULTS,
    OPTION_NAMES,
    OptionArgs,
    TaskOptions,
    default_options,
    options_by_place,
)
from prefectlite.errors import DefinitionTypeError
from prefectlite.printable import label
from prefectlite.results.result import Result

if TYPE_CHECKING:
    from prefectlite.core.graph import FlowGraph

#: A task of a flow, as a public method takes it. For a type checker what a call returns is the value that it
#: stands for (an ``int``, say), so nothing narrower would let it through.
AnyTask: TypeAlias = Any
#: What a task does for a resource that exists while a block of tasks runs.
ResourceRole: TypeAlias = Literal["init", "setup", "cleanup"]


class Task(Expression):
    """A unit of work: what ``run`` does, and the rules under which it is done.

    Subclasses define ``run``; for a plain function, the ``task`` decorator is shorter. Options may be set
    later, too, until the flow runs: ``task.max_retries = 3``, ``task.tags.add("db")``. Calling a task inside
    a flow makes a copy of it, hands the arguments over and puts it into the flow; nothing is run then. What
    the call returns stands for the value to come and can be passed to other tasks.

    Parameters
    ----------
    name : str or None
        What the task is called; by default, its class's name.
    *by_place : object
        Options by position, in the order of Prefect 1: slug, tags, max_retries, retry_delay and so on.
    **options : OptionArgs
        Retries, trigger, tags and the like.

    Raises
    ------
    DefinitionError
        When an option has a value that cannot work.
    DefinitionTypeError
        When an option does not exist, or its value is of the wrong kind.
    """

    # Short names are left to users' classes: `self.options = ...` is theirs.
    __slots__ = ("__weakref__", "frozen_options", "frozen_tags", "name", "slug")

    #: Whether the framework made the task.
    auto_generated: bool = False
    #: Whether the task stands for what is known or put together without a run, so that no rule is for it.
    is_stand_in: ClassVar[bool] = False
    #: Whether the task puts a list, tuple, set, dict or dataclass together; it is a ``Collection`` then.
    is_collection: ClassVar[bool] = False
    #: What the task does for a resource, if that is what it is for.
    resource_role: ClassVar[ResourceRole | None] = None
    #: Whether the value is a secret: it is kept nowhere, and written nowhere.
    is_secret: ClassVar[bool] = False
    _takes: ClassVar[RunSignature] = RunSignature(inspect.Signature(), "Task")

    name: str
    slug: str | None
    #: The labels as they are at the moment.
    frozen_tags: frozenset[str]
    #: The options as they are at the moment: all that the task shares with its copies.
    frozen_options: TaskOptions

    max_retries = Option[int]("How many attempts may follow a failed first one.")
    retry_delay = Option[Any]("How long to wait before the next attempt.", retry_delay_of)
    retry_jitter = Option[float]("The fraction of the delay by which it may grow.")
    retry_on = SetOption[type[BaseException]](
        "The failures that are tried again: a set of types, a callable, or None for all."
    )
    max_crashes = Option[int]("How often an attempt that infrastructure ended is run again.")
    idempotent = Option[bool]("Whether running the body again is harmless.")
    trigger = Option[Callable[..., Any]]("Says from the upstreams' states whether the task runs.")
    skip_on_upstream_skip = Option[bool]("Whether the task is skipped when an upstream was.")
    state_handlers = ListOption[Callable[..., Any]]("Called at every transition.")
    on_failure = Option["Callable[..., Any] | None"]("Called when a failure is final.")
    log_stdout = Option[bool]("Whether what the body prints is logged.")
    task_run_name = Option[Any]("What the context calls a run in its body: a template or a callable.")
    keep_result = Option[bool]("Whether the value stays readable as long as the flow run's state.")
    timeout = Option["float | None"]("After how many seconds the body is ended.", timeout_of)
    isolate = Option[bool]("Whether the body runs in a process of its own.")
    cache_for = Option[timedelta | None]("For how long a value may be used again.", cache_for_of)
    cache_validator = Option[Callable[..., Any]]("Says whether a kept value may be used.")
    cache_key = Option["str | None"]("What tasks that share kept values have in common.")
    target = Option[Any]("Where a value is looked for before the body runs: a template or a callable.")
    result = Option[Result | None]("Where and how the value is stored.", result_of)
    checkpoint = Option["bool | None"]("Whether the value is stored where there is a result for it.")
    map_lengths = Option[str]("What a map over inputs of unequal length does.")
    associative = Option[bool]("Whether the task may be called on lists of its own outputs.")
    bundle_size = Option["int | str | None"]("How many of the task's runs may travel as one Dask task.")
    max_concurrency = Option["int | None"]("How many runs of the task may run at once in a flow run.")
    nout = Option["int | None"]("How many values the task returns.")
    priority = Option[int]("A higher one goes first where the scheduler has a choice.")
    workers = Option["tuple[str, ...] | None"]("The only workers that may run the task.")

    logger = Replaceable("The logger of the task's own.", lambda task: get_logger(task.name))

    def __init__(self, name: str | None = None, *by_place: Any, **options: Unpack[OptionArgs]) -> None:
        if name is None:
            name = type(self).__name__
        self._set_up(name, options_by_place(name, by_place, options) if by_place else options)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check what the class's ``run`` takes."""
        super().__init_subclass__(**kwargs)
        defined = vars(cls).get("run")
        if isinstance(defined, staticmethod | classmethod):
            cls._takes = run_signature(getattr(cls, "run"), cls.__name__)  # noqa: B009  # typed as a method
        elif inspect.isfunction(defined):
            cls._takes = run_signature(defined, cls.__name__, drop_first=True)
        if "__init__" in vars(cls) and not cls.is_stand_in:
            cls.__init__ = _warning_of_tasks(cls.__init__)  # type: ignore[method-assign]
        for option in (*OPTION_NAMES, "name", "slug", "tags"):
            if option in vars(cls) and not hasattr(vars(cls)[option], "__set__"):
                # The attribute would be read, and never obeyed.
                delattr(cls, option)
                warnings.warn(
                    f"Class {cls.__name__!r} has an attribute {option!r}, which is an option of tasks and is "
                    f"ignored; pass it on instead: super().__init__({option}=...).",
                    stacklevel=2,
                )

    def _set_up(self, name: str, options: Mapping[str, Any]) -> None:
        values = current_layer().values
        self.name = as_name(name)
        self.slug = None
        self.frozen_tags = frozenset(values.get("tags", ()))
        if self.is_stand_in:
            self.frozen_options = DEFAULTS
        else:
            if options.get("nout") is None and self.takes.nout is not None:
                options = {**options, "nout": self.takes.nout}
            self.frozen_options = default_options(options)
        if options:
            self._change(options)
        graph: FlowGraph | None = values.get("flow")
        if graph is not None and not self.is_stand_in:
            graph.note_made(self)

    def _change(self, changes: Mapping[str, Any], *, alone: bool = False) -> None:
        changes = dict(changes)
        self.name = as_name(changes.pop("name", None) or self.name)
        if changes.get("slug") is not None:
            self.slug = as_slug(changes["slug"], f"Task {self.name!r}")
        changes.pop("slug", None)
        self.frozen_tags |= as_tags(changes.pop("tags", None), f"Task {self.name!r}")
        self.frozen_options = self.frozen_options.changed(self.name, changes, alone=alone)

    if TYPE_CHECKING:
        # Any arguments: a subclass's run may then take its own without breaking its base's promise.
        def run(self, *args: Any, **kwargs: Any) -> Any: ...  # noqa: D102  # see below
    else:

        def run(self) -> Any:
            """Do the work and return its value; subclasses define it, with arguments of their own.

            Returns
            -------
            object
                The task's value.
            """

    def __call__(
        self,
        *args: Any,
        mapped: bool = False,
        task_args: Mapping[str, Any] | None = None,
        upstream_tasks: Iterable[Any] | None = None,
        flow: FlowGraph | None = None,
        **kwargs: Any,
    ) -> Any:
        """Put a copy of the task into the flow, with these arguments.

        Parameters
        ----------
        *args : object
            Arguments of ``run`` by position: values, tasks, or lists, dicts and the like that hold tasks.
        mapped : bool
            Whether the task runs once per item of its arguments.
        task_args : mapping or None
            Options that differ for this copy.
        upstream_tasks : iterable or None
            Tasks that come first, and whose values are not read.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        **kwargs : object
            Arguments of ``run`` by name.

        Returns
        -------
        Task
            The copy.

        Raises
        ------
        DefinitionError
            When no flow is being built, or an argument is given twice.
        DefinitionTypeError
            When an argument is missing or unknown.
        """
        graph = self._graph(flow)
        values = current_layer().values
        arguments = self.takes.bind(self.name, args, kwargs)
        called = self._changed(values, task_args) if task_args else self._twin(values)
        graph.note_used(self)
        graph.bind(called, arguments, mapped=mapped, upstream_tasks=upstream_tasks)
        return called

    def map(
        self,
        *args: Any,
        upstream_tasks: Iterable[Any] | None = None,
        flow: FlowGraph | None = None,
        task_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Put a copy of the task into the flow that runs once per item of its arguments.

        Parameters
        ----------
        *args : object
            Arguments of ``run`` by position: sequences, or tasks that return some; ``unmapped(...)`` hands
            one over whole, ``flatten(...)`` unnests it first.
        upstream_tasks : iterable or None
            Tasks that come first, and whose values are not read; one that is itself mapped is paired child by
            child.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        task_args : mapping or None
            Options that differ for this copy.
        **kwargs : object
            Arguments of ``run`` by name.

        Returns
        -------
        Task
            The copy; its value is the list of its children's values.

        Raises
        ------
        DefinitionError
            When no flow is being built, or an argument is given twice.
        DefinitionTypeError
            When an argument is missing or unknown, or cannot be taken item by item.
        """
        for place, argument in enumerate(args):
            if not isinstance(argument, EdgeAnnotation | Task) and not hasattr(type(argument), "__getitem__"):
                names = self.takes.names
                which = repr(names[place]) if place < len(names) else f"number {place + 1}"
                raise DefinitionTypeError(
                    f"Task {self.name!r} is mapped, but its input {which} is of type "
                    f"{type(argument).__name__}, which cannot be taken item by item; "
                    "pass a list, or wrap it in unmapped(...)."
                )
        if self.frozen_options.nout is not None:
            task_args = {"nout": None, **(task_args or {})}
        return Task.__call__(
            self, *args, mapped=True, task_args=task_args, upstream_tasks=upstream_tasks, flow=flow, **kwargs
        )

    def bind(
        self,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: FlowGraph | None = None,
        **kwargs: Any,
    ) -> Self:
        """Put the task itself, not a copy, into the flow, with these arguments.

        Parameters
        ----------
        *args : object
            Arguments of ``run`` by position.
        mapped : bool
            Whether the task runs once per item of its arguments.
        upstream_tasks : iterable or None
            Tasks that come first, and whose values are not read.
        flow : FlowGraph or None
            The flow; by default, the one that is being built.
        **kwargs : object
            Arguments of ``run`` by name.

        Returns
        -------
        Task
            The task.

        Raises
        ------
        DefinitionError
            When no flow is being built, an argument has a value already, or the task would wait for itself.
        DefinitionTypeError
            When an argument is missing or unknown.
        """
        graph = self._graph(flow)
        arguments = self.takes.bind(self.name, args, kwargs)
        self.frozen_tags |= frozenset(current_layer().values.get("tags", ()))
        graph.bind(self, arguments, mapped=mapped, upstream_tasks=upstream_tasks)
        return self

    def copy(self, **task_args: Any) -> Self:
        """Return a copy that is in no flow.

        Parameters
        ----------
        **task_args : object
            What differs: options, or attributes of the task's class. Tags are added to the task's own.

        Returns
        -------
        Task
            A task of the same class; a slug becomes ``<slug>-copy`` unless one is given.

        Raises
        ------
        AttributeError
            When the task has no such option or attribute.
        """
        values = current_layer().values
        new = self._changed(values, task_args)
        graph: FlowGraph | None = values.get("flow")
        if graph is not None:
            graph.note_copied(self, new)
        return new

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Return what the task takes.

        Returns
        -------
        dict of str to dict
            For each argument of ``run``, its ``type``, whether it is ``required``, and its ``default``.
        """
        return described(self.run, self.takes)

    def outputs(self) -> Any:
        """Return what the task says that it returns.

        Returns
        -------
        type
            The annotation of ``run``; ``Any`` without one.
        """
        return returned(self.run)

    @property
    def takes(self) -> RunSignature:
        """What the task's ``run`` takes."""
        return self._takes

    @property
    def tags(self) -> OptionSet[str]:
        """The task's labels, a set that can be changed in place; others may be set, in any iterable."""
        return OptionSet(lambda: sorted(self.frozen_tags), functools.partial(setattr, self, "tags"))

    @tags.setter
    def tags(self, tags: Iterable[str] | None) -> None:
        self.frozen_tags = as_tags(tags, f"Task {self.name!r}")

    @property
    def resources(self) -> Mapping[str, float]:
        """What a worker must have free to run the task, by name; tags ``dask-resource:NAME=AMOUNT`` count."""
        # Not to be changed in place: it would be a change of nothing.
        return MappingProxyType(asked_resources(self.name, self.frozen_options.resources, self.frozen_tags))

    @resources.setter
    def resources(self, resources: Mapping[str, float] | None) -> None:
        self._change({"resources": resources}, alone=True)

    def for_worker(self) -> Self:
        """Return a copy without what only the driver calls: trigger, state handlers, callbacks.

        Returns
        -------
        Task
            What travels to a worker.
        """
        new = copy.copy(self)
        new.frozen_options = self.frozen_options.for_worker()
        return new

    @OfInstance
    def __signature__(self) -> inspect.Signature:
        """Return what a call takes: what ``run`` does, and what every call does."""
        own = list(self.takes.signature.parameters.values())
        last = own.pop() if own and own[-1].kind is inspect.Parameter.VAR_KEYWORD else None
        extra = [
            one.replace(annotation=inspect.Parameter.empty)
            for one in inspect.signature(Task.__call__).parameters.values()
            if one.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        return inspect.Signature([*own, *extra, *([last] if last else [])], return_annotation="Task")

    def __repr__(self) -> str:
        """Return ``<Class: name>``."""
        return f"<{type(self).__name__}: {label(self.name)}>"

    def _changed(self, values: Mapping[str, Any], task_args: Mapping[str, Any]) -> Self:
        new = self._twin(values)
        given: object = task_args
        if not isinstance(given, Mapping):
            raise DefinitionTypeError(
                f"Task {self.name!r} has task_args={given!r}, which are no options by name; write "
                "task_args={'max_retries': 2}."
            )
        options: dict[str, Any] = {}
        for name, value in task_args.items():
            if name in _COPIED:
                options[name] = value
            elif hasattr(self, str(name)):
                setattr(new, name, value)
            else:
                raise AttributeError(
                    f"Task {self.name!r} has no option or attribute {name!r} that a copy could change; "
                    f"the options are {', '.join(_COPIED)}."
                )
        if options:
            new._change(options)
        return new

    def _twin(self, values: Mapping[str, Any]) -> Self:
        """Return a copy; ``values`` are the context's."""
        new = copy.copy(self)
        new._retag(values)
        return new

    def _retag(self, values: Mapping[str, Any]) -> None:
        if self.slug is not None:
            self.slug = f"{self.slug}-copy"
        if "tags" in values:
            self.frozen_tags |= frozenset(values["tags"])


_COPIED = (*OPTION_NAMES, "name", "slug", "tags")


def _warning_of_tasks(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def __init__(self: Task, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # it stands in for one
        if type(self).__init__ is __init__:
            for value in (*args, *kwargs.values()):
                if isinstance(value, Task):
                    warnings.warn(
                        f"{value!r} was passed to the constructor of {type(self).__name__}, where nothing "
                        "waits for it; pass it when the task is called.",
                        stacklevel=2,
                    )
        init(self, *args, **kwargs)

    return __init__
