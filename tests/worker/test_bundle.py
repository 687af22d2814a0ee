"""What a bundle's attempts come to is what each would have come to alone."""

from __future__ import annotations

import contextvars
import gc
import logging
import pickle
import sys
import threading
import time
import weakref

import cloudpickle
import numpy as np
import pytest

from prefectlite import signals
from prefectlite.core.assembly import Assembly
from prefectlite.core.context import context
from prefectlite.lowering.parts import (
    FLAT_ITEM,
    ITEM,
    OF_COLUMN,
    PACKED,
    PLAIN,
    READ,
    SELF,
    WHOLE,
)
from prefectlite.lowering.spec import ASSEMBLE, MANY, NEED, NEEDS, VALUE, Spec
from prefectlite.lowering.spec import PACKED as PACKED_RECIPE
from prefectlite.lowering.wrappers import Held, Hold, Noted, Packed, Slots, Spent, Succeeded, Unreadable
from prefectlite.states.report import Report
from prefectlite.states.state import Failed, Success
from prefectlite.worker import active as actives
from prefectlite.worker import bundle as bundles
from prefectlite.worker import desk as desks
from prefectlite.worker.ledger import Names
from prefectlite.worker.strips import Row
from prefectlite.worker.wire import BUNDLE, MARK, RETURNED, STARTED
from tests.worker.conftest import PREFIX, RUN, SLUG, Gate, block, envelope, member, told_by

VARIABLE = contextvars.ContextVar("variable", default=0)


class Odd(Exception):
    """Cannot be pickled."""

    def __init__(self):
        super().__init__("odd")
        self.lock = threading.Lock()


class Stuck:
    def __reduce__(self):
        raise SystemExit("no")


def say(error):
    raise error


def wrap(what):
    try:
        raise OSError("disk")
    except OSError as error:
        raise signals.FAIL("gave up") from error


def speak(x):
    logging.getLogger("mine").warning("logged %s", x)
    print("printed", x)
    return x


class Partial(Success):
    __slots__ = ()


BODIES = {
    "value": lambda x: x + 1,
    "none": lambda x: None,
    "float": lambda x: x / 7,
    "large int": lambda x: 10**30 + x,
    "negative": lambda x: -x - 1,
    "text": lambda x: "é" * x,
    "list": lambda x: [x, "a", None],
    "dict": lambda x: {"x": x},
    "nested": lambda x: [[x], {"y": (x,)}],
    "array": lambda x: np.arange(x),
    "large": lambda x: "x" * 9000,
    "function": lambda x: lambda: x,
    "state": lambda x: Failed("not meant"),
    "lock": lambda x: threading.Lock(),
    "generator": lambda x: (n for n in [x]),
    "stuck": lambda x: Stuck(),
    "raises": lambda x: 1 / 0,
    "odd": lambda x: say(Odd()),
    "long": lambda x: say(ValueError("x" * 10_000)),
    "base": lambda x: say(BaseException("odd")),
    "generator exit": lambda x: say(GeneratorExit()),
    "memory": lambda x: say(MemoryError()),
    "exit": lambda x: sys.exit(x),
    "ctrl-c": lambda x: say(KeyboardInterrupt()),
    "skip": lambda x: say(signals.SKIP(f"not {x}")),
    "skip with result": lambda x: say(signals.SKIP("heavy", result=threading.Lock())),
    "success": lambda x: say(signals.SUCCESS("done", result=x)),
    "success with lock": lambda x: say(signals.SUCCESS("done", result=threading.Lock())),
    "fail": lambda x: say(signals.FAIL("bad day", result=x)),
    "fail from": wrap,
    "pause": lambda x: say(signals.PAUSE("wait")),
    "loop": lambda x: say(signals.LOOP("again", result=x)),
    "endrun": lambda x: say(signals.ENDRUN(Failed("final", x))),
    "endrun success": lambda x: say(signals.ENDRUN(Success("final", x))),
    "own success": lambda x: say(signals.ENDRUN(Partial("half", x, {"of": x}))),
    "context": lambda x: {
        name: value for name, value in context.to_dict().items() if name not in ("upstream_states", "logger")
    },
    "keys": lambda x: (context.map_index, context.idempotency_key, context.task_run_id, len(context)),
    "mutates": lambda x: context.parameters.update(p=x) or dict(context.parameters),
    "speaks": speak,
}
OPTIONS = {
    "plain": {},
    "dropped": {"drop_value": True},
    "measured": {"measure": ("length", "flat")},
    "picky": {"retry_on": (OSError,)},
    "asks": {"retry_on": lambda e: 1 / 0},
    "retries": {"max_retries": 3},
    "prints": {"log_stdout": True},
}


def same(told):
    """Return a report without what differs from one run to the next."""
    if not isinstance(told, Report):
        return told
    state = told.state
    said = state and (
        type(state),
        state.message,
        repr(state.result),
        getattr(state, "traceback", None),
        dict(state.context),
    )
    if told.state is not None and getattr(state, "start_time", None) is not None:
        said = (*said, "later")
    assert told.started <= told.ended
    inline = None if told.inline is None else len(told.inline)
    success = told.success and (type(told.success), told.success.message, dict(told.success.context))
    return (
        said, inline, told.nbytes, told.length, told.flat_length, told.unmappable, told.retryable, told.where,
        told.forced, success,
    )  # fmt: skip


def stands(wrapper):
    if wrapper is None or isinstance(wrapper, Held):
        return "held"
    return type(wrapper), wrapper.attempt, repr(getattr(wrapper, "value", None)).split(" at 0x")[0]


SOME = ("value", "list", "large", "lock", "raises", "fail from", "success", "own success", "speaks")
CASES = [("plain", name) for name in BODIES] + [
    (how, name) for how in OPTIONS if how != "plain" for name in SOME
]


@pytest.fixture
def patient(monkeypatch):
    """However slow the machine is, no bundle takes too long."""
    monkeypatch.setattr(bundles, "LONGEST", 60.0)
    monkeypatch.setattr(actives, "LONGEST", 60.0)


@pytest.mark.parametrize(("options", "name"), CASES)
@pytest.mark.usefixtures("patient")
def test_a_body_comes_to_the_same_alone_and_in_a_block(options, name, site, capfd):
    changes = OPTIONS[options]
    told_of = {key: value for key, value in changes.items() if key in ("drop_value", "measure")}
    task = envelope(BODIES[name], **{key: value for key, value in changes.items() if key not in told_of})
    measure, drop = told_of.get("measure", ()), told_of.get("drop_value", False)
    specs = [Spec(SLUG, index, 1, 2, {"x": index}, (), (), drop, measure) for index in range(5, 8)]
    alone = [site.alone(spec, task) for spec in specs]
    together = site.bundle([block(3, first=5, columns=[("x", PLAIN, range(5, 8))], **told_of)], [task])
    members = site.bundle([member(spec) for spec in specs], [task])
    mixed = site.bundle(
        [member(specs[0]), block(2, first=6, columns=[("x", PLAIN, range(6, 8))], **told_of)], [task]
    )

    for found in (together, members, mixed):
        assert [same(found.told[slot]) for slot in range(3)] == [same(told) for _, told, _ in alone]
        assert [stands(wrapper) for wrapper in found.wrappers] == [stands(wrapper) for wrapper, _, _ in alone]
        lines = [(line.run, line.attempt, line.message, line.logger, line.where) for line in found.lines]
        assert lines == [
            (line.run, line.attempt, line.message, line.logger, line.where)
            for _, _, ls in alone
            for line in ls
        ]
        inlines = [
            (one.inline, told.inline)
            for one, (_, told, _) in zip(found.told.values(), alone, strict=True)
            if isinstance(told, Report)
        ]
        for one, other in inlines:
            assert (one is None) == (other is None)
            if one is not None and name not in ("function", "array", "state"):
                assert pickle.loads(one) == pickle.loads(other)


@pytest.mark.usefixtures("patient")
def test_a_thousand_plain_successes_are_told_in_four_pieces_of_bytes(site):
    found = site.bundle([block(1000, columns=[("x", PLAIN, range(1000))])], [envelope(lambda x: x)])

    [item] = [item for item in found.items if item[0] == BUNDLE]
    assert [type(part) for part in item[4:8]] == [bytes] * 4
    assert len(item[8]) == 0
    assert [pickle.loads(found.told[slot].inline) for slot in range(1000)] == list(range(1000))
    assert [wrapper.value for wrapper in found.wrappers] == list(range(1000))
    assert all(one.ended <= two.started for one, two in zip(found.wrappers, found.wrappers[1:], strict=False))


def test_dask_is_told_what_the_values_weigh(site):
    def body(x):
        if x == 2:
            raise ValueError(x)
        return "x" * 50_000 if x == 1 else x

    key, future = site.send([block(3, columns=[("x", PLAIN, range(3))])], [envelope(body)])
    slots = future.result(10)
    assert 50_000 < slots.nbytes < 51_000
    assert site.worker.state.tasks[key].nbytes > 50_000


# Arguments


def values_of(found):
    return [wrapper.value if isinstance(wrapper, Succeeded) else "held" for wrapper in found.wrappers]


def test_each_kind_of_column_gives_each_child_its_own(site):
    above = Slots([Succeeded(value) for value in ("a", "b", "c", "d")])
    values = [
        above,
        Succeeded([10, 20, 30, 40]),
        Succeeded([[1, 2], 3, "xy"]),
        Succeeded(np.arange(5)),
        Succeeded("e"),
    ]
    columns = [
        ("plain", PLAIN, [7, 8, 9]),
        ("packed", PACKED, [pickle.dumps({"n": n}) for n in range(3)]),
        ("read", READ, ((0, 1, 2), (4, WHOLE, 1))),
        ("item", ITEM, (0, 1)),
        ("flat", FLAT_ITEM, (1, 1)),
        ("entry", ITEM, (2, 2)),
    ]
    reads = ((1, WHOLE, 1), (2, WHOLE, 1), (3, WHOLE, 1))
    found = site.bundle(
        [block(3, columns=columns, reads=reads, given={"given": 1})], [envelope(lambda **kw: kw)], values
    )

    assert values_of(found) == [
        {"given": 1, "plain": 7, "packed": {"n": 0}, "read": "b", "item": 20, "flat": 2, "entry": 2},
        {"given": 1, "plain": 8, "packed": {"n": 1}, "read": "c", "item": 30, "flat": 3, "entry": 3},
        {"given": 1, "plain": 9, "packed": {"n": 2}, "read": "e", "item": 40, "flat": "x", "entry": 4},
    ]


def test_what_children_share_is_one_object_only_where_it_was_before(site):
    recipes = (
        ("need", (NEED, 0, None, False)),
        ("item", (NEED, 0, 1, False)),
        ("value", (VALUE, 5, None, False)),
        ("needs", (NEEDS, range(2), None, False)),
        ("flat", (NEED, 0, None, True)),
        ("packed", (PACKED_RECIPE, pickle.dumps([1]), None, False)),
        ("many", (MANY, ((NEED, 1, None, False), (VALUE, 4, None, False)), None, False)),
        (
            "built",
            (
                ASSEMBLE,
                (Assembly("dict", 2, fixed=((0, ["k"]),)), ((MANY, ((NEED, 1, None, False),), None, False),)),
                None,
                False,
            ),
        ),
    )

    def body(**kw):
        for name in ("needs", "flat", "packed", "many"):
            kw[name].append("changed")
        kw["built"]["more"] = 1
        kw["need"].append(9)
        return {**kw, "need": id(kw["need"]), "item": list(kw["item"])}

    values = [Succeeded([[1], [2]]), Succeeded("b")]
    found = site.bundle(
        [block(2, recipes=recipes, reads=((0, WHOLE, 1), (1, WHOLE, 1)))], [envelope(body)], values
    )

    first, second = values_of(found)
    assert first["need"] == second["need"]
    assert first["needs"][1:] == second["needs"][1:] == ["b", "changed"]
    assert first["packed"] == second["packed"] == [1, "changed"]
    assert first["many"] == second["many"] == ["b", 4, "changed"]
    assert first["built"] == second["built"] == {"k": "b", "more": 1}
    assert first["item"] == [2]


def test_an_argument_that_cannot_be_made_fails_its_child_by_name(site):
    columns = [
        (
            "packed",
            PACKED,
            [pickle.dumps(1), b"no pickle", pickle.dumps(3), pickle.dumps(4), pickle.dumps(5)],
        ),
        ("item", ITEM, (0, 0)),
        ("flat", FLAT_ITEM, (1, 0)),
    ]
    values = [Succeeded([1, 2, 3, 4]), Succeeded([[1, 2], [3, 4, 5]])]
    found = site.bundle(
        [block(5, columns=columns, reads=((0, WHOLE, 1), (1, WHOLE, 1)))],
        [envelope(lambda packed, item, flat: (packed, item, flat))],
        values,
    )

    assert values_of(found) == [(1, 1, 1), "held", (3, 3, 3), (4, 4, 4), "held"]
    assert "Its argument 'packed' could not be made: SerializationError" in found.told[1].state.message
    assert "Its argument 'item' could not be made: IndexError" in found.told[4].state.message


def test_what_could_not_be_made_for_one_child_is_not_said_of_the_next(site):
    def odd(x):
        raise ValueError(x)

    columns = [("x", PACKED, [b"no pickle", pickle.dumps(2)])]
    found = site.bundle([block(2, columns=columns)], [envelope(odd)])

    assert "Its argument 'x' could not be made" in found.told[0].state.message
    assert "could not be made" not in found.told[1].state.message


def test_calls_of_a_task_that_travel_together_know_which_they_are(site):
    def who(x):
        return (
            context.task_slug,
            context.task_id,
            context.task_run_count,
            context.upstream_states["x"].message,
            x,
        )

    def spec(slug, attempt, upstream):
        return Spec(slug, None, 1, attempt, {"x": slug}, (), ((upstream, "x", Success(upstream)),), False, ())

    called = [("who-1", 1, "a"), ("who-2", 1, "b"), ("who-3", 2, "c"), ("who-4", 1, "d")]
    found = site.bundle([member(spec(*one)) for one in called], [envelope(who)])

    assert values_of(found) == [(slug, slug, attempt, upstream, slug) for slug, attempt, upstream in called]
    assert [one.attempt for one in found.wrappers] == [1, 1, 2, 1]


@pytest.mark.parametrize("column", [READ, ITEM, "recipe"])
def test_a_constant_that_could_not_be_opened_fails_its_readers_by_name(column, site):
    values = [Unreadable("ModuleNotFoundError: no module named 'theirs'")]
    if column == "recipe":
        part = block(2, recipes=(("x", (NEED, 0, None, False)),), reads=((0, WHOLE, 1),))
    else:
        what = ((0, WHOLE, 1), (0, WHOLE, 1)) if column == READ else (0, 0)
        part = block(2, columns=[("x", column, what)], reads=((0, WHOLE, 1),))
    found = site.bundle([part], [envelope(lambda x: x)], values)

    for slot in range(2):
        assert "Its argument 'x' could not be made" in found.told[slot].state.message
        assert "'theirs'" in found.told[slot].state.message


def test_only_the_child_whose_input_is_no_plain_success_holds(site):
    above = Slots([Succeeded(1), Held(("no",)), Succeeded(3)])
    found = site.bundle([block(3, columns=[("x", READ, ((0, 0, 3),))])], [envelope(lambda x: x)], [above])
    assert values_of(found) == [1, "held", 3]
    assert found.told[1] == "held"

    # What all of them read.
    found = site.bundle(
        [block(3, columns=[("x", PLAIN, range(3))], reads=((0, 1, 1),))], [envelope(lambda x: x)], [above]
    )
    assert [found.told[slot] for slot in range(3)] == ["held"] * 3
    # A whole bundle that held.
    found = site.bundle(
        [block(2, columns=[("x", READ, ((0, 0, 2),))])], [envelope(lambda x: x)], [Held(("no",))]
    )
    assert [found.told[slot] for slot in range(2)] == ["held"] * 2


def test_a_part_reads_what_came_before_it_in_its_own_bundle(site):
    def half(x):
        if x == 2:
            raise ValueError(x)
        return x * 10

    spec = Spec("end-1", None, 1, 1, {}, (("xs", (NEEDS, (0, 1), None, False)),), (), False, ())
    parts = [
        block(3, columns=[("x", PLAIN, [1, 2, 3])]),
        block(3, columns=[("x", READ, ((SELF, 0, 3),))], task=1, slug="next-1"),
        member(spec, reads=((SELF, 3, 1), (SELF, 5, 1)), task=2),
        member(spec, reads=((SELF, 3, 1), (SELF, 4, 1)), task=2),
    ]
    sums = envelope(lambda xs: sum(xs))
    found = site.bundle(parts, [envelope(half), envelope(lambda x: x + 1), sums])

    assert values_of(found) == [10, "held", 30, 11, "held", 31, 42, "held"]
    assert isinstance(found.told[1], Report)
    assert (found.told[4], found.told[7]) == ("held", "held")


def test_a_child_knows_its_own_upstreams(site):
    above = Slots([Succeeded(n, 1.0 + n, 2.0 + n, 4 + n) for n in range(3)])
    upstreams = (
        ("load-1", "x", (OF_COLUMN, 0)),
        ("all-1", "y", 0),
        ("gone-1", None, Failed("broke")),
        ("many-1", None, {"Success": 2}),
        ("given-1", None, None),
    )

    def body(x):
        states = context.upstream_states
        return (
            dict(states["x"].context),
            dict(states["all-1"].context),
            [type(one).__name__ for one in states.values()],
        )

    part = block(3, columns=[("x", READ, ((0, 0, 3),))], reads=((1, WHOLE, 1),), upstreams=upstreams)
    found = site.bundle([part], [envelope(body)], [above, Succeeded(0, 7.0, 8.0, 1)])

    for n, (own, shared, kinds) in enumerate(values_of(found)):
        assert own == {"started": 1.0 + n, "ended": 2.0 + n, "task_run_count": 4 + n}
        assert shared == {"started": 7.0, "ended": 8.0, "task_run_count": 1}
        assert kinds == ["Success", "Success", "Failed", "Mapped", "Success", "Success", "Success"]


# Isolation


def test_nothing_that_a_body_leaves_open_is_seen_by_the_next(site):
    def body(x):
        seen = VARIABLE.get(), context.get("left"), context.map_index
        VARIABLE.set(x + 1)
        context(left=x).__enter__()
        return seen

    HELD_HERE[:] = [body]
    found = site.bundle([block(3, columns=[("x", PLAIN, range(3))])], [envelope(call_held)])
    assert values_of(found) == [(0, None, 0), (0, None, 1), (0, None, 2)]


def test_a_thread_that_outlives_its_body_still_belongs_to_it(site):
    gate = threading.Event()
    seen, threads = [], []

    def body(x):
        copied = contextvars.copy_context()

        def late():
            gate.wait(10)
            seen.append((x, context.map_index, context.task_full_name))
            logging.getLogger("mine").warning("late %d", x)

        threads.append(threading.Thread(target=copied.run, args=(late,)))
        threads[-1].start()

    # Not pickled: the body shares this test's objects.
    HELD_HERE[:] = [body]
    found = site.bundle([block(3, columns=[("x", PLAIN, range(3))])], [envelope(call_held)])
    assert values_of(found) == [None] * 3
    gate.set()
    for thread in threads:
        thread.join(10)
    assert sorted(seen) == [(n, n, f"double[{n}]") for n in range(3)]


HELD_HERE = []


def call_held(**kw):
    return HELD_HERE[0](**kw)


# What cannot be opened


def test_a_task_that_cannot_be_opened_fails_its_own_attempts(site):
    parts = [
        block(2, columns=[("x", PLAIN, range(2))]),
        block(2, columns=[("x", PLAIN, range(2))], task=1),
        member(Spec(SLUG, 7, 1, 1, {"x": 3}, (), (), False, ()), task=0),
        member(Spec(SLUG, 8, 1, 1, {"x": 3}, (), (), False, ()), task=1),
    ]
    found = site.bundle(parts, [envelope(lambda x: x), b"no pickle"])

    assert values_of(found) == [0, 1, "held", "held", 3, "held"]
    for slot in (2, 3, 5):
        assert "cannot be opened at" in found.told[slot].state.message
        assert not found.told[slot].retryable


class Leaves:
    def __reduce__(self):
        return sys.exit, (3,)


def test_a_task_whose_opening_ends_the_program_fails_its_own_attempts(site):
    part = block(2, columns=[("x", PLAIN, range(2))])
    found = site.bundle([part, part._replace(task=1)], [pickle.dumps(Leaves()), envelope(lambda x: x)])

    assert values_of(found) == ["held", "held", 0, 1]
    assert "cannot be opened at" in found.told[0].state.message
    assert "SystemExit" in found.told[1].state.message


def test_a_spec_that_cannot_be_opened_fails_its_own_attempt_unless_it_holds(site):
    good = member(Spec(SLUG, 7, 1, 1, {"x": 3}, (), (), False, ()))
    bad = good._replace(spec=b"no pickle")
    held = bad._replace(reads=((0, WHOLE, 1),))
    found = site.bundle([bad, held, good], [envelope(lambda x: x)], [Held(("no",))])

    assert values_of(found) == ["held", "held", 3]
    assert "cannot be opened at" in found.told[0].state.message
    assert found.told[1] == "held"


def test_tasks_may_lie_under_keys_of_their_own(site):
    packed = cloudpickle.dumps(envelope(lambda x: x))
    from dask._task_spec import Task, TaskRef

    key, task = (f"etl.double-0-{RUN[:8]}", 0, 1, 1, 1, 10**6), (f"etl.blob-0-{RUN[:8]}", 0, 1, 0, 0)
    from prefectlite.lowering.envelope import FlowFacts

    payload = pickle.dumps((block(2, columns=[("x", PLAIN, range(2))]),))
    graph = {
        task: Task(task, Packed, packed),
        key: Task(key, bundles.run_bundle, payload, 1, pickle.dumps(FlowFacts(RUN, "etl")), TaskRef(task)),
    }
    [future] = site.client.get(graph, [key], sync=False)
    assert [wrapper.value for wrapper in future.result(10).wrappers] == [0, 1]


# Limits, and early hand-over


def test_a_bundle_that_took_long_begins_no_further_attempt(site, monkeypatch):
    monkeypatch.setattr(actives, "LONGEST", 100.0)  # nobody cuts it
    monkeypatch.setattr(bundles, "LONGEST", 0.05)

    def body(x):
        time.sleep(0.06 if x == 2 else 0)
        return x

    found = site.bundle([block(4, columns=[("x", PLAIN, range(4))])], [envelope(body)])
    assert values_of(found) == [0, 1, 2, "held"]
    assert found.told[3] == "returned"
    assert found.wrappers[3].said == (RETURNED, ("etl.double-1-0-0123abcd", 3, 1, 2, 1))


def test_a_large_value_ends_its_bundle(site):
    found = site.bundle(
        [block(3, columns=[("x", PLAIN, [1, 10**6, 1])])], [envelope(lambda x: b"x" * x)], limit=10**7
    )
    assert [same(found.told[slot])[2] if slot < 2 else found.told[slot] for slot in range(3)] == [
        16,
        10**6 + 9,
        "returned",
    ]


def test_a_bundle_of_a_task_whose_values_are_large_goes_back_whole_but_not_for_ever(site, monkeypatch):
    monkeypatch.setattr(bundles, "GO_BACK", 2)
    content = envelope(lambda x: b"x" * x)

    def told(*sizes):
        found = site.bundle([block(len(sizes), columns=[("x", PLAIN, list(sizes))])], [content], limit=10**7)
        return [one if one == "returned" else "told" for one in map(found.told.get, range(len(sizes)))]

    assert told(1, 1) == ["told", "told"]
    assert told(10**6, 1) == ["told", "returned"]
    assert told(1, 1, 1) == ["returned"] * 3
    assert told(1) == ["told"]  # it would come back alone again
    assert told(1, 1) == ["returned"] * 2
    assert told(1, 1) == ["told", "told"]


#: What lies in this process, whose worker it is.
LIES_HERE = []


class Lies:
    """Is opened as what lies here."""

    def __reduce__(self):
        return lies_here, ()


def lies_here():
    return LIES_HERE.pop(0)


def lie(*sizes, of=Succeeded):
    """Let values of some sizes lie here; return them."""
    slots = Slots([of(bytes([place]) * size, 1.0, 2.0, 3) for place, size in enumerate(sizes)], sum(sizes))
    LIES_HERE.append(slots)
    return slots


def length_but_of_the_second(x):
    if x[0] == 1:
        raise ValueError("no")
    return len(x)


@pytest.mark.parametrize("options", [{}, {"timeout": 60.0}])
@pytest.mark.usefixtures("patient")
def test_a_large_value_is_let_go_of_when_the_child_that_alone_needs_it_has_succeeded(options, site):
    slots = lie(2000, 2000, 2000, 2000)
    reads = [("x", READ, ((0, 1, 3),)), ("y", PLAIN, range(3))]
    site.bundle(
        [block(3, columns=reads, consumes=frozenset({"x"}))],
        [envelope(lambda x, y: length_but_of_the_second(x), **options)],
        [Lies()],
    )
    assert [type(one) for one in slots.wrappers] == [Succeeded, Succeeded, Spent, Spent]
    assert (slots.wrappers[2].started, slots.wrappers[2].ended, slots.wrappers[2].attempt) == (1.0, 2.0, 3)


@pytest.mark.usefixtures("patient")
def test_a_child_that_consumes_two_values_lets_go_of_both(site):
    one, other = lie(2000, 2000), lie(2000, 2000)
    reads = [("y", READ, ((1, 0, 2),)), ("x", READ, ((0, 0, 2),))]
    part = block(2, columns=reads, consumes=frozenset({"x", "y"}))
    site.bundle([part], [envelope(lambda x, y: len(x + y))], [Lies(), Lies()])
    assert [type(each) for slots in (one, other) for each in slots.wrappers] == [Spent] * 4


@pytest.mark.parametrize(
    ("sizes", "of", "consumes"),
    [((2000, 2000), Succeeded, ""), ((2000, 40), Succeeded, "x"), ((2000, 2000), Noted, "x")],
)
@pytest.mark.usefixtures("patient")
def test_a_value_stays_that_others_need_or_is_small_or_of_which_there_is_more_to_tell(
    sizes, of, consumes, site
):
    slots = lie(*sizes, of=of)
    part = block(2, columns=[("x", READ, ((0, 0, 2),))], consumes=frozenset(consumes))
    found = site.bundle([part], [envelope(lambda x: len(x))], [Lies()])
    assert [one.value for one in found.wrappers] == list(sizes)
    assert [type(one) for one in slots.wrappers] == [of, of]


@pytest.mark.usefixtures("patient")
def test_who_reads_what_was_let_go_of_says_so(site):
    slots = Slots([Spent(), Succeeded(1)], 10_000)
    recipe = "xs", (NEEDS, range(2), None, False)
    parts = [
        block(2, columns=[("x", READ, ((0, 0, 2),))]),
        member(Spec(SLUG, 7, 1, 2, {}, (recipe,), (), False, ()), reads=[(0, 0, 2)]),
    ]
    found = site.bundle(parts, [envelope(lambda x=0, xs=0: x)], [slots])
    for slot in (0, 2):
        assert type(found.told[slot].state) is Failed
        assert "could not be made: ResultUnavailable: it was let go of" in found.told[slot].state.message
    assert found.wrappers[1].value == 1


def test_values_travel_as_they_were_when_some_are_let_go_of_meanwhile():
    class Spending:
        def __reduce__(self):
            slots.spend(1)
            return str, ("first",)

    slots = Slots([Succeeded(Spending()), Succeeded("second"), Succeeded("third")], 100)
    assert [one.value for one in pickle.loads(pickle.dumps(slots)).wrappers] == ["first", "second", "third"]
    assert type(slots.wrappers[1]) is Spent
    assert [type(one) for one in pickle.loads(pickle.dumps(slots)).wrappers] == [Succeeded, Spent, Succeeded]


@pytest.mark.parametrize("by_topic", [False, True])
def test_a_straggler_does_not_hold_its_mates(by_topic, site):
    gate = Gate()
    HELD_HERE[:] = [lambda x: gate.wait() if x == 2 else x]
    parts = [block(5, columns=[("x", PLAIN, range(5))])]
    site.items.clear()
    key, future = site.send(parts, [envelope(call_held)], by_topic=by_topic)
    site.wait(lambda: any(item[0] == BUNDLE for item in site.items))
    [early] = [item for item in site.items if item[0] == BUNDLE]
    told = told_by(early, Names(parts))
    assert (early[1], early[3]) == (key, 0)
    assert [pickle.loads(told[slot].inline) for slot in (0, 1)] == [0, 1]
    assert [told[slot] for slot in (2, 3, 4)] == ["going", "returned", "returned"]
    site.wait(lambda: any(item[0] == STARTED for item in site.items))
    assert [item[1] for item in site.items if item[0] == STARTED] == [Names(parts).key(2)]
    # What it read may be of its own bundle, so the ends of that come first.
    assert [item[0] for item in site.items] == [BUNDLE, STARTED]
    gate.opened.set()
    wrappers = future.result(10).wrappers
    site.wait(lambda: sum(item[0] == BUNDLE for item in site.items) == 2)
    late = [item for item in site.items if item[0] == BUNDLE][1]
    assert late[3] == 2
    assert {slot: one.state for slot, one in told_by(late, Names(parts)).items()} == {2: None}
    assert [type(one) for one in wrappers] == [Succeeded] * 3 + [Held] * 2
    assert [one.said[0] for one in wrappers[3:]] == [RETURNED] * 2
    HELD_HERE.clear()


# Called off


def test_a_bundle_whose_run_is_called_off_ends_and_says_nothing(site):
    from prefectlite.worker.entry import interrupt_attempts

    ready, seen = threading.Event(), []

    def body(x):
        seen.append(x)
        ready.set()
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end:
                time.sleep(0.001)
        except KeyboardInterrupt:
            seen.append("interrupted")
            # One that will not listen is followed by nothing all the same.

    other = "89abcdef"
    HELD_HERE[:] = [body]
    parts = [block(5, columns=[("x", PLAIN, range(5))], prefix=f"etl.double-1-{other}")]
    from dask._task_spec import Task

    from prefectlite.lowering.envelope import FlowFacts

    def submit(serial):
        key = (f"etl.double-0-{other}", 0, 1, 1, 1, serial)
        args = (
            pickle.dumps(tuple(parts)),
            1,
            pickle.dumps(FlowFacts(other * 4, "etl")),
            pickle.dumps(envelope(call_held)),
        )
        return site.client.get({key: Task(key, bundles.run_bundle, *args)}, [key], sync=False)[0]

    site.items.clear()
    future = submit(1)
    assert ready.wait(10)
    assert interrupt_attempts(other, dask_worker=site.worker) == 1
    with pytest.raises(Hold):
        future.result(10)
    # What comes after it does not even begin.
    with pytest.raises(Hold):
        submit(2).result(10)
    assert seen == [0, "interrupted"]
    HELD_HERE.clear()


def test_what_a_bundle_said_is_said_again(site):
    from prefectlite.worker.entry import retell

    def body(x):
        if x == 1:
            raise ValueError(x)
        return [x]

    parts = [block(3, columns=[("x", PLAIN, range(3))], measure=("length",))]
    key, future = site.send(parts, [envelope(body)])
    first = future.result(10)
    [item] = retell({key: ("length",)}, site.worker)
    told = told_by(item, Names(parts))
    assert item[:4] == (BUNDLE, key, site.worker.address, 0)
    assert [told[slot].length for slot in (0, 2)] == [1, 1]
    assert type(told[1].state) is Failed
    assert told[0].started == first.wrappers[0].started
    assert retell({(*key[:5], 10**6): ()}, site.worker) == []


def test_nothing_is_left_in_the_worker_s_books(site):
    key, future = site.send([block(2, columns=[("x", PLAIN, range(2))])], [envelope(lambda x: x)])
    future.result(10)
    desk = desks.desk_of(site.worker)
    assert not desk._active
    assert not desk._marks._bundled.running
    assert MARK not in (site.client.cluster.scheduler.tasks[key].metadata or {})
    assert PREFIX.endswith(RUN[:8])


class Large:
    """Stands for an array of a gigabyte."""


def test_children_that_are_done_keep_nothing_of_what_they_read():
    value = Large()
    known = weakref.ref(value)
    shared = "xs", (MANY, ((NEED, 0, None, False),), None, False)
    part = block(2, recipes=[shared], reads=[(0, WHOLE, 1)])
    row = Row({(1, 2, False, ()): None}, part, [Succeeded(value, 0.0, 0.0, 1)], ())
    assert [type(one) for one in row.arguments(0)["xs"]] == [Large]
    gc.disable()
    try:
        del row, value
        assert known() is None
    finally:
        gc.enable()
