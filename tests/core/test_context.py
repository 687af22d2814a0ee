"""What surrounds code: blocks, threads, pickling, and the facts that a worker hands to bodies."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import cloudpickle
import pytest
from pendulum import DateTime

from prefectlite.core.context import context, idempotency_key, tags
from prefectlite.core.layers import LazyLayer, current_layer, enter_layer, pop, push
from prefectlite.core.loggers import get_logger
from prefectlite.core.surroundings import surroundings
from prefectlite.errors import ContextError, DefinitionTypeError
from prefectlite.states.keys import RunKey


def own() -> dict[str, object]:
    """What somebody set in the context."""
    return {
        name: value
        for name, value in context.to_dict().items()
        if name not in ("config", "secrets", "logger")
    }


def test_values_hold_inside_a_block_and_are_read_as_attributes_and_items() -> None:
    with context({"city": "Bergen"}, rain=True) as inside:
        assert inside is context
        assert (context.city, context["rain"], context.get("sun")) == ("Bergen", True, None)
        with context(city="Oslo"):
            assert own() == {"city": "Oslo", "rain": True}
        assert context.city == "Bergen"
        assert list(context) == ["city", "rain", "config", "secrets", "logger"]
        assert len(context) == 5
        assert "city" in context
        assert repr(context) == "<Context: city, rain, config, secrets, logger>"
    assert len(context) == 3
    assert repr(context) == "<Context: config, secrets, logger>"


def test_where_no_task_has_its_own_the_logger_is_that_of_all() -> None:
    assert context.logger is context["logger"] is context.get("logger") is get_logger()
    with context(logger=get_logger("mine")):
        assert context.logger is get_logger("mine")
    assert "logger" in context


def test_a_block_is_left_by_an_error_too() -> None:
    with pytest.raises(RuntimeError), context(x=1):
        raise RuntimeError
    assert "x" not in context


def test_what_is_not_there_is_named_with_what_is() -> None:
    with context(a=1), pytest.raises(AttributeError, match="no 'map_index' here; it holds a"):
        _ = context.map_index
    with pytest.raises(AttributeError, match="it holds config, logger, secrets"):
        _ = context.map_index
    with pytest.raises(KeyError):
        context["map_index"]


def test_it_may_be_changed_in_place_as_a_dict_with_attributes() -> None:
    with context(a=1, b=2):
        context["day"] = 3
        context.city = "Bergen"
        context.update({"rain": True}, sun=False)
        context.update([("sun", None)])
        context.update(sun=False)
        assert context.setdefault("names", []) == []
        context.setdefault("names", None).append("x")
        assert (context.day, context["city"], context.rain, context.names) == (3, "Bergen", True, ["x"])
        assert (context.pop("a"), context.pop("a", None)) == (1, None)
        del context.b, context["day"]
        assert own() == {"city": "Bergen", "rain": True, "sun": False, "names": ["x"]}
        assert context.popitem() == ("city", "Bergen")
        context[("no", "text")] = 1  # a dict's keys, though no flow run can be given this one
        context.clear()
        assert own() == {}


def test_what_has_no_names_cannot_be_put_into_it() -> None:
    for what, give in (("context", context), ("context.update", context.update)):
        with pytest.raises(
            ContextError, match=rf"^{what}\(\.\.\.\) was given 3, which has no names; write {what}\("
        ):
            give(3)  # type: ignore[operator]


def test_what_is_not_there_cannot_be_removed() -> None:
    with context(a=1):
        with pytest.raises(AttributeError, match="no 'x' here; it holds a"):
            del context.x
        with pytest.raises(KeyError, match="no 'x' here"):
            del context["x"]
        with pytest.raises(KeyError, match="no 'x' here"):
            context.pop("x")


def test_what_it_does_is_not_hidden_by_an_attribute_of_that_name() -> None:
    with context():
        with pytest.raises(AttributeError, match=r"'update' cannot be set .*; write context\['update'\] = "):
            context.update = 1
        context["update"] = 1
        context.update(x=2)
        assert context["update"] == 1


def test_what_is_set_or_removed_in_a_block_is_so_until_its_end() -> None:
    with context(kept=1, changed=1):
        with context(inner=2):
            context.changed = 2
            context.new = 3
            del context.kept
            with tags("t"):
                assert context.changed == 2
                context.newer = 4
            assert own() == {"changed": 2, "inner": 2, "new": 3}
        assert own() == {"kept": 1, "changed": 1}


@pytest.fixture
def top_level() -> Iterator[None]:
    yield
    context.clear()


@pytest.mark.usefixtures("top_level")
def test_what_is_set_outside_of_blocks_lasts_from_one_cell_of_a_notebook_to_the_next() -> None:
    def first_cell() -> None:
        context.city = "Bergen"
        context.setdefault("secrets", {})["KEY"] = "hush"

    def next_cell() -> None:
        assert (context.city, context.secrets) == ("Bergen", {"KEY": "hush"})
        with context(city="Oslo"):
            assert context.city == "Oslo"
        del context.city

    contextvars.Context().run(first_cell)
    contextvars.Context().run(next_cell)
    assert (own(), context.secrets) == ({}, {"KEY": "hush"})


@pytest.mark.usefixtures("top_level")
def test_what_another_thread_sets_is_its_own() -> None:
    seen: list[object] = []

    def work() -> None:
        context.x += 1
        copied = contextvars.copy_context()
        inner = threading.Thread(target=copied.run, args=(lambda: seen.append(context.x),))
        inner.start()
        inner.join()
        seen.append(context.x)

    context.x = 1
    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [2, 2, 2, 2]
    assert context.x == 1


def test_moments_of_the_run_are_pendulums_however_they_are_read() -> None:
    moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    with context(date=moment, scheduled_start_time=moment, mine=moment):
        assert context.date.subtract(days=1).to_date_string() == "2026-02-28"
        assert context["date"].format("YYYY") == context.get("date").format("YYYY") == "2026"
        assert context.scheduled_start_time.diff(context.date).in_seconds() == 0
        assert {type(value) for value in own().values()} == {DateTime, datetime}
        assert {DateTime, datetime} < {type(value) for value in context.values()}
        assert type(context.mine) is datetime  # what a person sets is theirs
        context.date = "someday"
        assert context.date == "someday"


def test_a_body_sees_its_own_surroundings_only_and_leaves_no_trace() -> None:
    with context(outside=1):
        with surroundings({"task_name": "load"}):
            assert own() == {"task_name": "load"}
            context(forgotten=1).__enter__()
        assert own() == {"outside": 1}


def test_leaving_more_blocks_than_were_entered_does_nothing() -> None:
    before = current_layer()
    pop()
    assert current_layer() is before
    push({"x": 1}, fresh=True)
    pop()
    assert current_layer() is before


def test_what_a_person_sets_is_known_apart_up_to_where_nothing_shines_through() -> None:
    with context(a=1), tags("t"), context({"b": 2}, a=3):
        assert current_layer().given == {"a", "b"}
        context.d = 4
        del context.b
        assert current_layer().given == {"a", "d"}
        with surroundings({"task_name": "load"}):
            assert current_layer().given == set()
            with context(c=4):
                assert current_layer().given == {"c"}
    assert current_layer().given == LazyLayer().given == set()


def test_threads_see_the_context_if_it_is_copied_to_them() -> None:
    seen: list[object] = []
    with context(x=1):
        copied = contextvars.copy_context()
        threads = [
            threading.Thread(target=copied.run, args=(lambda: seen.append(context.get("x")),)),
            threading.Thread(target=lambda: seen.append(context.get("x"))),
        ]
        for thread in threads:
            thread.start()
            thread.join()
    assert seen == [1, None]


def test_async_code_sees_the_context() -> None:
    async def ask() -> object:
        await asyncio.sleep(0)
        return context.x

    with context(x=7):
        assert asyncio.run(ask()) == 7


def test_a_function_that_reads_the_context_travels_without_its_values() -> None:
    assert pickle.loads(pickle.dumps(context)) is context
    with context(secret="x" * 1000):
        assert len(cloudpickle.dumps(lambda: context.get("secret"))) < 1000


def test_tags_are_a_list_of_texts() -> None:
    with pytest.raises(DefinitionTypeError, match="tags are a list of texts"), tags(3):
        pass


def test_an_idempotency_key_tells_task_runs_apart_and_nothing_else() -> None:
    keys = {
        idempotency_key(f"r1/{RunKey('a-1')}"),
        idempotency_key(f"r1/{RunKey('a-1', 0)}"),
        idempotency_key(f"r1/{RunKey('a-1', None, 2)}"),
        idempotency_key(f"r2/{RunKey('a-1')}"),
    }
    assert len(keys) == 4
    assert idempotency_key(f"r1/{RunKey('a-1')}") in keys
    assert all(len(key) == 32 for key in keys)


class Counted(LazyLayer):
    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made = 0

    def make(self) -> dict[str, object]:
        self.made += 1
        return {"map_index": 3}


def test_a_lazy_layer_makes_its_values_at_the_first_look_and_once() -> None:
    layer = Counted()

    def look() -> None:
        enter_layer(layer)
        assert layer.made == 0
        with context(more=1):
            assert (layer.made, context.map_index, context.more) == (1, 3, 1)
            assert "outside" not in context

    def leave() -> None:
        enter_layer(layer)
        pop()  # more blocks than were entered
        assert current_layer() is layer
        assert own() == {"map_index": 3}

    with context(outside=1):
        contextvars.copy_context().run(look)
    contextvars.copy_context().run(leave)
    assert layer.made == 1

    def change() -> None:
        enter_layer(layer)
        context.more = 2
        assert (layer.values, layer.given, layer.block) == ({"map_index": 3, "more": 2}, {"more"}, None)

    contextvars.copy_context().run(change)
    assert "more" not in context
    assert "map_index" not in context
    with pytest.raises(NotImplementedError):
        _ = LazyLayer().values


def test_a_copy_of_the_context_is_a_dict_of_ones_own() -> None:
    with context(day=3):
        copied = context.copy()
    copied["day"] += 1
    with context(copied):
        assert context.day == 4
    assert "day" not in context
    assert copied.keys() == {*context, "day"}
