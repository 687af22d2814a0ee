"""A turn's Submits become shipments. Knows the user's tasks and the engine's words; knows no Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from prefectlite.core.keeping import Keeping, keeping_of
from prefectlite.core.options import TaskOptions
from prefectlite.core.task import FunctionTask, Task
from prefectlite.engine.inputs import Argument, FromElements, FromRun, FromSpan, FromValue
from prefectlite.engine.instructions import NO_PAST, Submit, SubmitMany
from prefectlite.engine.plan import PlanNode
from prefectlite.errors import EngineError, SerializationError
from prefectlite.lowering.awaiting import awaited
from prefectlite.lowering.compile import Compiled
from prefectlite.lowering.envelope import Envelope, FlowFacts, by_value_names, dumps, dumps_facts
from prefectlite.lowering.folds import fold_of
from prefectlite.lowering.functions import dumps_task
from prefectlite.lowering.keys import DataKey, call_key, data_key, key_prefix, local_key
from prefectlite.lowering.pace import most_together
from prefectlite.lowering.parts import READ, Column
from prefectlite.lowering.past import facts_of_past
from prefectlite.lowering.placement import annotations_of
from prefectlite.lowering.recipes import Needs, Pantry, is_ours, is_plain_value
from prefectlite.lowering.shipment import Blob, BlockShipment, Literal, Lowered, Need, Shipment
from prefectlite.lowering.spec import NEED, VALUE, Recipe, SentSpec, Spec, Upstream
from prefectlite.lowering.upstreams import upstreams_of, upstreams_of_many
from prefectlite.lowering.versions import version_of
from prefectlite.states.state import State

__all__ = ["Blob", "DataKey", "Literal", "Lowered", "Lowering", "Shipment", "StateOf"]

StateOf: TypeAlias = Callable[[int], State]
Content = TypeVar("Content", Envelope, FlowFacts)

#: A pickled task, or a flow run's facts, over this many bytes gets a data key of its own.
BLOB_LIMIT: Final = 8 * 1024
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_NO_CONTEXTS: Final[Mapping[Task, Mapping[str, Any]]] = MappingProxyType({})


class _Kit(NamedTuple):
    """What all runs of a node share, and all calls of one task."""

    blob: Blob | SerializationError
    annotations: Mapping[str, Any] | None
    folds: bool
    most: int | None


class Lowering:
    """Turns one flow run's Submits into shipments; each task and each constant is pickled once.

    Parameters
    ----------
    compiled : Compiled
        The flow.
    run_id : str
        The flow run's identity, 32 hexadecimal digits.
    flow_name : str or None
        The flow's name in keys and contexts; by default the plan's.
    pickles : bool
        Whether tasks and arguments must be pickled to get where they run.
    log_level : int
        The lowest level of log records that travel to the driver.
    inline_limit : int
        Up to how many pickled bytes a result rides in its report.
    scheduled : float
        When the flow run was to start, in seconds since the epoch.
    context : mapping of str to object
        What a person put into the flow run's context.
    contexts : mapping of Task to mapping
        What the contexts of single tasks hold more, by task.
    hidden : tuple of str
        Secrets in the parameters, as texts that no process writes.
    place : int
        At which place in turn the flow run goes on, counted from 1: the names of shared constants differ.
    folder : str or None
        Where values are stored of tasks that do not say where; None for ``~/.prefectlite/results``.

    Raises
    ------
    SerializationError
        When a value of the context must be pickled and cannot be.
    """

    def __init__(
        self,
        compiled: Compiled,
        *,
        run_id: str,
        flow_name: str | None = None,
        pickles: bool = True,
        log_level: int = 20,
        inline_limit: int = 8192,
        scheduled: float = 0.0,
        context: Mapping[str, Any] = _NOTHING,
        contexts: Mapping[Task, Mapping[str, Any]] = _NO_CONTEXTS,
        hidden: tuple[str, ...] = (),
        place: int = 1,
        folder: str | None = None,
    ) -> None:
        self._compiled = compiled
        self._nodes, self._tasks, self._constants = compiled.plan.nodes, compiled.tasks, compiled.constants
        self._options, self._tags = compiled.options, compiled.tags
        self._keeps_step = any(one.associative for one in set(compiled.options))
        self._run_id = run_id
        self._flow_name = compiled.plan.name if flow_name is None else flow_name
        self._pickles = pickles
        self._folder = folder
        self._context, self._contexts = context, contexts
        self._names = by_value_names()
        self._by_slug: dict[str, int] | None = None
        # What is the same object is pickled once with its bundle, and opened once.
        self._recipes: dict[tuple[str, int, int | None, bool], tuple[str, Recipe]] = {}
        self._annotations: dict[str, Mapping[str, Any]] = {}
        self._kits: dict[Any, _Kit] = {}
        self._prefixes: dict[int, str] = {}
        self._by_digest: dict[str, Blob] = {}
        # Submissions that were refused, and what was left out because of them.
        self._unsent: set[tuple[int, int]] = set()
        shared = key_prefix(self._flow_name, "shared" if place == 1 else f"shared.{place}", run_id)
        self._pantry = Pantry(compiled.values, compiled.assemblies, self._names, shared, pickles)
        self._flow = self._flow_blob(
            FlowFacts(
                run_id,
                self._flow_name,
                scheduled,
                compiled.parameters,
                log_level,
                inline_limit,
                dict(context),
                hidden,
            )
        )

    def lower(self, submits: Iterable[Submit | SubmitMany], state_of: StateOf) -> Lowered:
        """Return what to send for a turn's submits.

        Parameters
        ----------
        submits : iterable of Submit or SubmitMany
            In the order of the engine, upstreams before what goes ahead of them.
        state_of : callable
            Returns the state of a run, from its number.

        Returns
        -------
        Lowered
            Shipments, new shared data, and the submits that cannot be sent. What was to go ahead of one of
            those is left out without a word: the engine takes it back when it learns of the refusal.
        """
        shipments: list[Shipment | BlockShipment] = []
        refused: list[tuple[Submit, BaseException]] = []
        for submit in submits:
            if isinstance(submit, SubmitMany):
                block = self._block(submit, state_of)
                if block is not None:
                    shipments.append(block)
                else:
                    for one in submit:
                        self._take(one, state_of, shipments, refused)
            else:
                self._take(submit, state_of, shipments, refused)
        # New shared data waits for a turn that sends something.
        literals: list[Literal] = []
        if shipments:
            literals, self._pantry.literals = self._pantry.literals, literals
        return Lowered(shipments, literals, refused)

    def _take(
        self,
        submit: Submit,
        state_of: StateOf,
        shipments: list[Shipment | BlockShipment],
        refused: list[tuple[Submit, BaseException]],
    ) -> None:
        try:
            shipment = self._ship(submit, state_of)
        except EngineError:
            raise
        except Exception as error:
            # Values are the user's, and reading one may do anything: that is its reader's failure alone.
            self._unsent.add((submit.run, submit.submission))
            refused.append((submit, error))
            return
        if self._unsent and self._misses(shipment):
            self._unsent.add((submit.run, submit.submission))
        else:
            shipments.append(shipment)

    def _misses(self, shipment: Shipment) -> bool:
        """Return whether something that a shipment needs was not sent."""
        spans = (need for need in shipment.needs if len(need) == 3)
        return any(
            (run, submission) in self._unsent
            for first, submission, count in spans
            for run in range(first, first + count)
        )

    def _block(self, submit: SubmitMany, state_of: StateOf) -> BlockShipment | None:
        """Return children as one shipment; None when they must be looked at one by one."""
        if self._unsent:
            return None
        node = self._nodes[submit.node]
        kit = self._kit(submit.node)
        if isinstance(kit.blob, SerializationError):
            return None
        needs = Needs()
        given: dict[str, Any] = {}
        recipes: list[tuple[str, Recipe]] = []
        columns: list[Column] = []
        constants = self._constants[submit.node]
        try:
            for name, value in constants.items():
                bound = self._pantry.bind(name, value, given, needs, True)
                if bound is not None:
                    recipes.append((name, bound))
            for row in submit.rows:
                if isinstance(row.source, FromSpan):
                    span = (row.source.run, row.source.submission, row.source.count)
                    columns.append((row.key, READ, span))
                elif isinstance(row.source, FromElements):
                    found = self._pantry.elements(row.source, len(submit), needs, state_of)
                    if found is None:
                        return None
                    columns.append((row.key, *found))
                else:
                    recipe = self._pantry.recipe(row.source, needs, state_of, True)
                    if recipe[0] == VALUE:
                        given[row.key] = recipe[1]
                    else:
                        recipes.append((row.key, recipe))
            upstreams = upstreams_of_many(submit.rows, columns, node, self._nodes, needs, state_of)
            if self._pickles and not (
                all(is_ours(recipe) for _, recipe in recipes) and all(map(_is_ours, upstreams))
            ):
                # A worker opens a block as a whole, so nothing of the user's may stand in it but as bytes.
                return None
        except EngineError:
            raise
        except Exception:
            return None  # one by one, each is refused for its own reason
        return BlockShipment(
            submit.runs,
            submit.attempt,
            submit.submission,
            submit.slug,
            self._prefix(submit.node),
            submit.first,
            self._flow,
            kit.blob,
            given,
            tuple(recipes),
            needs.all(),
            tuple(columns),
            upstreams,
            submit.drop_value,
            tuple(submit.measure),
            kit.annotations,
            submit.left,
            kit.most,
            self._keeps_step,
            submit.consumes,
        )

    def _ship(self, submit: Submit, state_of: StateOf) -> Shipment:
        run, name = submit.run, submit.key
        number = run if run < len(self._nodes) else self._node_of(name.slug)
        kit = self._kit(number)
        node = self._nodes[number]
        if isinstance(kit.blob, SerializationError):
            raise kit.blob
        measure = tuple(submit.measure) if submit.measure else ()
        beside: tuple[tuple[str, Recipe], ...] = ()
        found = self._plain_call(submit, node, number)
        if found is not None:
            given, recipes, upstreams, needed = found
        else:
            needs = Needs()
            given, recipes = self._arguments(submit, number, kit, needs, state_of)
            for source in submit.after:
                needs.place((source.run, source.submission, 1))
            upstreams = upstreams_of(submit, node, self._nodes, needs, state_of) if node.ins else ()
            if submit.past is not NO_PAST:
                beside = self._beside(submit, number, needs)
            needed = needs.all()
        # In the order of a Spec, whose making costs more.
        bare = (
            name.slug,
            name.index,
            name.loop,
            submit.attempt,
            given,
            tuple(recipes),
            upstreams,
            submit.drop_value,
            measure,
            beside,
        )
        told: SentSpec = b""
        live = fold = None
        if self._pickles:
            told = bare if found or _is_plain(recipes, upstreams) else dumps(bare, self._names)
            if kit.folds:
                fold = fold_of(submit, Spec._make(bare), needed)
        else:
            live = Spec._make(bare)
        return Shipment(
            self._key(submit, number),
            run,
            submit.attempt,
            submit.submission,
            node.slug,
            self._flow,
            kit.blob,
            told,
            needed,
            kit.annotations,
            live,
            fold,
            kit.most,
            measure,
        )

    def _plain_call(
        self, submit: Submit, node: PlanNode, number: int
    ) -> tuple[dict[str, Any], list[tuple[str, Recipe]], tuple[Upstream, ...], tuple[Need, ...]] | None:
        """Return what is told of a call that takes plain constants, and values of runs as they are.

        It is what ``_arguments`` and ``upstreams_of`` would say, found in one pass; None for all others.
        """
        arguments = submit.arguments
        if len(arguments) != len(node.ins) or submit.past is not NO_PAST or submit.run != number:
            return None
        given = self._plain_constants(number)
        if given is None:
            return None
        recipes: list[tuple[str, Recipe]] = []
        upstreams: list[Upstream] = []
        places: dict[Need, int] = {}
        nodes, known = self._nodes, self._recipes
        for name, source in arguments:
            if source.__class__ is not FromRun:
                return None
            run, submission, item, flat = source
            place = places.setdefault((run, submission, 1), len(places))
            mark = name, place, item, flat
            recipe = known.get(mark)
            if recipe is None:
                recipe = known[mark] = name, (NEED, place, item, flat)
            recipes.append(recipe)
            upstreams.append((nodes[run].slug, name, place))
        return given, recipes, tuple(upstreams), tuple(places)

    def _plain_constants(self, number: int) -> dict[str, Any] | None:
        """Return the constants of a call, if all of them are small and plain."""
        constants = self._constants[number]
        for value in constants.values():
            if not is_plain_value(value):
                return None
        return dict(constants)

    def _arguments(
        self, submit: Submit, number: int, kit: _Kit, needs: Needs, state_of: StateOf
    ) -> tuple[dict[str, Any], list[tuple[str, Recipe]]]:
        given: dict[str, Any] = {}
        recipes: list[tuple[str, Recipe]] = []
        argument, many = "", submit.key.index is not None
        constants = self._constants[number]
        try:
            if constants:
                for argument, value in constants.items():
                    bound = self._pantry.bind(argument, value, given, needs, many)
                    if bound is not None:
                        recipes.append((argument, bound))
            entries: Iterable[Argument] = submit.arguments
            if kit.folds:
                # Constants get the first positions, so that they have the same ones in calls on parts.
                entries = sorted(entries, key=lambda entry: not isinstance(entry.source, FromValue))
            for argument, source in entries:
                recipe = self._pantry.recipe(source, needs, state_of, many)
                if recipe[0] == VALUE:
                    given[argument] = recipe[1]
                else:
                    recipes.append((argument, recipe))
        except EngineError:
            raise
        except SerializationError as error:
            raise SerializationError(
                f"Task run {submit.key} cannot be sent to a worker: its argument {argument!r} {error}. "
                "Pass what it is made from, and make it inside the task."
            ) from error
        except Exception as error:
            raise SerializationError(
                f"Task run {submit.key} cannot be sent to a worker: its argument {argument!r} cannot be read "
                f"({type(error).__name__}: {error})."
            ) from error
        return given, recipes

    def _beside(self, submit: Submit, number: int, needs: Needs) -> tuple[tuple[str, Recipe], ...]:
        """Return what a run's context holds of its pauses and iterations."""
        given = {**self._context, **self._contexts.get(self._tasks[number], _NOTHING)}
        facts = facts_of_past(submit.past, submit.key, given)
        return tuple([(name, self._pantry.sent(value, needs)) for name, value in facts.items()])

    def _key(self, submit: Submit, number: int) -> DataKey:
        name, attempt, submission = submit.key, submit.attempt, submit.submission
        if not self._pickles:
            return local_key(self._nodes[number].slug, name, attempt, submission)
        if name.index is None:
            return call_key(self._flow_name, self._run_id, name, attempt, submission)
        return data_key(self._prefix(number), name, attempt, submission)

    def _prefix(self, number: int) -> str:
        """Return the first part of the keys of a map's children."""
        slug = self._nodes[number].slug
        if not self._pickles:
            return slug  # in this process nobody groups keys for a dashboard
        prefix = self._prefixes.get(number)
        if prefix is None:
            prefix = self._prefixes[number] = key_prefix(self._flow_name, slug, self._run_id)
        return prefix

    def _kit(self, number: int) -> _Kit:
        task = self._tasks[number]
        # The graph holds its tasks, and so their functions: an identity stays what it is. Calls of one
        # function are as many tasks, but their function is one and the same.
        part = task.run if isinstance(task, FunctionTask) else task
        own = task if self._contexts and task in self._contexts else None
        mark = (self._options[number], id(part), task.name, self._tags[number], own)
        kit = self._kits.get(mark)
        if kit is None:
            kit = self._kits[mark] = self._new_kit(number)
        return kit

    def _new_kit(self, number: int) -> _Kit:
        task, options, tags = self._tasks[number], self._options[number], self._tags[number]
        keeping = self._keeping_of(task, options)
        blob = self._blob_of(task, options, tags, keeping)
        if not self._pickles:
            return _Kit(blob, None, False, None)
        annotations = annotations_of(task.name, options, tags)
        if annotations is not None:
            # Equal ones become one object, by which the graph's layers are told apart.
            annotations = self._annotations.setdefault(repr(annotations), annotations)
        if self._nodes[number].limits:
            # Each place under a limit is one body's: none waits in a bundle, none runs in parts.
            return _Kit(blob, annotations, False, 1)
        most = most_together(options.bundle_size)
        # What is kept is one value of all inputs, and no part of it.
        return _Kit(blob, annotations, options.associative and keeping is None, most)

    def _keeping_of(self, task: Task, options: TaskOptions) -> Keeping | None:
        keeping = keeping_of(task, options, self._compiled.result, self._folder)
        if keeping is None or keeping.caching is None or keeping.caching.is_named:
            return keeping
        digest, reads_parameters = version_of(task)
        caching = replace(keeping.caching, version=digest, reads_parameters=reads_parameters)
        return replace(keeping, caching=caching)

    def _blob_of(
        self, task: Task, options: TaskOptions, tags: frozenset[str], keeping: Keeping | None
    ) -> Blob | SerializationError:
        envelope = Envelope(
            task.name,
            awaited(task.run),
            options.retry_on,
            options.log_stdout,
            tags,
            options.max_retries,
            task.is_secret,
            options.timeout,
            options.isolate,
            keeping,
            options.task_run_name,
            dict(self._contexts.get(task, _NOTHING)),
        )
        try:
            return self._pack(envelope, dumps_task, options.runs_apart)
        except SerializationError as error:
            return error

    def _flow_blob(self, facts: FlowFacts) -> Blob:
        return self._pack(facts, dumps_facts, any(options.runs_apart for options in self._options))

    def _pack(self, content: Content, dump: Callable[[Content], bytes], apart: bool) -> Blob:
        if not self._pickles:
            # It stays in this process, but for bodies that have one of their own.
            return Blob("", dump(content) if apart else b"", None, content)
        payload = dump(content)
        digest = blake2b(payload, digest_size=16).hexdigest()
        blob = self._by_digest.get(digest)
        if blob is None:
            key = self._pantry.share(payload, "blob") if len(payload) > BLOB_LIMIT else None
            blob = self._by_digest[digest] = Blob(digest, payload, key, content)
        return blob

    def _node_of(self, slug: str) -> int:
        if self._by_slug is None:
            self._by_slug = {node.slug: number for number, node in enumerate(self._nodes) if node.is_mapped}
        return self._by_slug[slug]


def _is_plain(recipes: Iterable[tuple[str, Recipe]], upstreams: Iterable[Upstream]) -> bool:
    """Return whether what an attempt is told holds nothing but plain values and bytes."""
    for _, recipe in recipes:
        if recipe[0] != NEED and not is_ours(recipe):
            return False
    # A state may hold what a user gave for a text.
    return not any(isinstance(fact, State) for _, _, fact in upstreams)


def _is_ours(upstream: Upstream) -> bool:
    """Return whether what is told of an upstream can be opened wherever prefectlite is installed."""
    fact = upstream[2]
    return not isinstance(fact, State) or type(fact).__module__ == State.__module__
