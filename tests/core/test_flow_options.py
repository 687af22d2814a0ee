"""What is said of a flow as a whole: given, read, changed, copied, and refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from prefectlite.core.callbacks import callback_factory
from prefectlite.core.flow_options import FlowOption
from prefectlite.core.graph import FlowGraph
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.states import Failed, Running, Success


def handler(*_: Any) -> None: ...


def test_options_of_a_flow_are_read_as_attributes() -> None:
    flow = FlowGraph(
        "f",
        state_handlers=(handler,),
        on_failure=handler,
        terminal_state_handler=handler,
        max_concurrency=4,
        tag_concurrency={"db": 2, "free": None},  # type: ignore[dict-item]
    )
    assert flow.state_handlers == [handler]
    assert (flow.on_failure, flow.terminal_state_handler) == (handler, handler)
    assert (flow.max_concurrency, flow.tag_concurrency) == (4, {"db": 2})


def test_a_flow_without_options_has_no_handlers_and_no_limits() -> None:
    flow = FlowGraph("f")
    assert (flow.state_handlers, flow.on_failure, flow.terminal_state_handler) == ([], None, None)
    assert (flow.max_concurrency, flow.tag_concurrency) == (None, {})
    assert isinstance(FlowGraph.max_concurrency, FlowOption)


def test_a_flow_may_be_called_otherwise() -> None:
    flow = FlowGraph("f")
    flow.name = "g"
    assert flow == FlowGraph("g")
    for name in ("", None, 3):
        with pytest.raises(
            (DefinitionError, DefinitionTypeError),
            match=f"A flow has name={name!r}; give a text that is not empty",
        ):
            flow.name = name  # type: ignore[assignment]
    assert flow.name == "g"


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    (
        "state_handlers",
        print,
        DefinitionTypeError,
        "give a list of functions of the flow, its old and its new",
    ),
    ("state_handlers", "no", DefinitionTypeError, "state_handlers='no'; give a list"),
    ("state_handlers", [3], DefinitionTypeError, r"state_handlers=\[3\]; give a list"),
    ("schedule", "hourly", DefinitionTypeError, "Flow 'f' has schedule='hourly', which is no schedule"),
    ("on_failure", 3, DefinitionTypeError, "on_failure=3; give a function that takes the flow and the state"),
    (
        "terminal_state_handler",
        [handler],
        DefinitionTypeError,
        "give a function that takes the flow, the state and those of the reference tasks",
    ),
    ("max_concurrency", 0, DefinitionError, "max_concurrency=0; give a whole number from 1 on"),
    ("max_concurrency", True, DefinitionTypeError, "max_concurrency=True; give a whole number"),
    ("max_concurrency", 1.5, DefinitionTypeError, "max_concurrency=1.5; .*, or None for no limit"),
    ("tag_concurrency", ["db"], DefinitionTypeError, r"as in tag_concurrency=\{'database': 2\}"),
    ("tag_concurrency", {1: 2}, DefinitionTypeError, "give tags and numbers"),
    ("tag_concurrency", {"db": 0}, DefinitionError, r"tag_concurrency\['db'\]=0; give a whole number"),
    ("tag_concurrency", {"db": "2"}, DefinitionTypeError, r"tag_concurrency\['db'\]='2'; give a whole"),
]


@pytest.mark.parametrize(("option", "given", "kind", "text"), WRONG)
def test_what_cannot_work_is_refused_when_given_and_when_set(
    option: str, given: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=f"Flow 'f' has {text}" if text.startswith(option) else text):
        FlowGraph("f", **{option: given})
    flow = FlowGraph("f")
    with pytest.raises(kind, match=text):
        setattr(flow, option, given)


def test_options_may_be_set_later_and_a_copy_shares_nothing_that_changes() -> None:
    flow = FlowGraph("f")
    flow.state_handlers = [handler]
    flow.tag_concurrency = {"db": 2}
    copy = flow.copy()
    copy.state_handlers.append(print)
    copy.tag_concurrency["cpu"] = 1
    copy.max_concurrency = 3
    assert flow.state_handlers == [handler]
    assert (flow.tag_concurrency, flow.max_concurrency) == ({"db": 2}, None)
    assert copy.max_concurrency == 3


def test_a_flow_is_pickled_with_its_options() -> None:
    flow = pickle.loads(pickle.dumps(FlowGraph("f", state_handlers=[handler], tag_concurrency={"db": 2})))
    assert (flow.state_handlers, flow.tag_concurrency) == ([handler], {"db": 2})


def test_a_callback_is_called_when_its_check_says_true_and_nothing_else() -> None:
    told: list[Any] = []
    made = callback_factory(lambda obj, state: told.append((obj, state)), lambda state: state.is_failed())
    truthy = callback_factory(lambda obj, state: told.append(obj), lambda state: 1)  # type: ignore[arg-type,return-value]
    failed, fine = Failed("no"), Success()
    assert [made("it", Running(), new) for new in (failed, fine)] == [failed, fine]
    assert truthy("it", Running(), fine) is fine
    assert told == [("it", failed)]
