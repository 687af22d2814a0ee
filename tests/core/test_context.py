"""What surrounds code: blocks, threads, pickling, and the facts that a worker hands to bodies."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading

import cloudpickle
import pytest

from prefectlite.core.context import (
    LazyLayer,
    context,
    current_layer,
    enter_layer,
    idempotency_key,
    pop,
    push,
    surroundings,
    tags,
)
from prefectlite.errors import DefinitionTypeError
from prefectlite.states.keys import RunKey


def test_values_hold_inside_a_block_and_are_read_as_attributes_and_items() -> None:
    with context({"city": "Bergen"}, rain=True) as inside:
        assert inside is context
        assert (context.city, context["rain"], context.get("sun")) == ("Bergen", True, None)
        with context(city="Oslo"):
            assert context.to_dict() == {"city": "Oslo", "rain": True}
        assert context.city == "Bergen"
        assert list(context) == ["city", "rain"]
        assert len(context) == 2
        assert "city" in context
        assert repr(context) == "<Context: city, rain>"
    assert len(context) == 0
    assert repr(context) == "<Context: empty>"


def test_a_block_is_left_by_an_error_too() -> None:
    with pytest.raises(RuntimeError), context(x=1):
        raise RuntimeError
    assert "x" not in context


def test_what_is_not_there_is_named_with_what_is() -> None:
    with context(a=1), pytest.raises(AttributeError, match="no 'map_index' here; it holds a"):
        _ = context.map_index
    with pytest.raises(AttributeError, match="it holds nothing"):
        _ = context.map_index
    with pytest.raises(KeyError):
        context["map_index"]


def test_the_context_is_read_only() -> None:
    with pytest.raises(AttributeError, match=r"'x' cannot be set; use `with context\(x="):
        context.x = 1
    with pytest.raises(TypeError, match=r"'x' cannot be set; use `with context\(x="):
        context["x"] = 1  # as Prefect 1 allowed
    for change in ("clear", "pop", "popitem", "setdefault", "update"):
        with pytest.raises(
            AttributeError, match=rf"has no {change}\(\), since nothing can change it; use `with"
        ):
            getattr(context, change)


def test_a_body_sees_its_own_surroundings_only_and_leaves_no_trace() -> None:
    with context(outside=1):
        with surroundings({"task_name": "load"}):
            assert context.to_dict() == {"task_name": "load"}
            context(forgotten=1).__enter__()
        assert context.to_dict() == {"outside": 1}


def test_leaving_more_blocks_than_were_entered_does_nothing() -> None:
    before = current_layer()
    pop()
    assert current_layer() is before
    push({"x": 1}, fresh=True)
    pop()
    assert current_layer() == before


def test_what_a_person_sets_is_known_apart_up_to_where_nothing_shines_through() -> None:
    with context(a=1), tags("t"), context({"b": 2}, a=3):
        assert current_layer().given == {"a": 3, "b": 2}
        with surroundings({"task_name": "load"}):
            assert current_layer().given == {}
            with context(c=4):
                assert current_layer().given == {"c": 4}
    assert current_layer().given == LazyLayer().given == {}


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
        assert context.to_dict() == {"map_index": 3}

    with context(outside=1):
        contextvars.copy_context().run(look)
    contextvars.copy_context().run(leave)
    assert layer.made == 1
    assert "map_index" not in context
    with pytest.raises(NotImplementedError):
        _ = LazyLayer().values
