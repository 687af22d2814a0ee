"""Caching, targets, results and checkpointing at all places: section 13 of the reference.

Where we differ from Prefect 1, as SEMANTICS.md says: what is kept is on disk, shared between processes and used
at once; the default validator weighs inputs and code, so that no child of a map gets a sibling's value; giving a
``result`` or ``target`` is the wish to store; None is a value like any other; what is broken is a miss.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prefectlite import (
    EnvVarSecret,
    Flow,
    Parameter,
    SecretBase,
    case,
    context,
    merge,
    set_temporary_config,
    signals,
    task,
    triggers,
    unmapped,
)
from prefectlite.cache_validators import (
    all_inputs,
    all_parameters,
    duration_only,
    never_use,
    partial_inputs_only,
    partial_parameters_only,
)
from prefectlite.results import ConstantResult, FolderStore, LocalResult, Result
from prefectlite.results.kept import is_kept
from prefectlite.serializers import JSONSerializer
from prefectlite.states import Cached, Failed, Skipped, Success, TriggerFailed
from prefectlite.states.json import state_from_json, state_to_json
from prefectlite.testing import simulate
from tests.contract.rows import Rows

row = Rows()
DAY = timedelta(days=1)


class Partial(Success):
    """A user's own kind of success."""

    __slots__ = ()


class Kit:
    """The place to run, and a folder for what is stored."""

    def __init__(self, world: Any, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.ran = world.ran

    def run(self, flow: Flow, **parameters: Any) -> dict[str, Any]:
        """Run; states by slug."""
        state = self.world.run(flow, **parameters)
        return {flow.slugs[one]: found for one, found in state.result.items()}

    def names(self, flow: Flow, **parameters: Any) -> dict[str, str]:
        """Run; the names of the states' classes, by the tasks' names."""
        return {
            slug.rpartition("-")[0]: type(one).__name__ for slug, one in self.run(flow, **parameters).items()
        }

    @property
    def files(self) -> set[str]:
        """What lies in the folder and is no matter of the stores' own."""
        return {
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and not path.name.startswith(".") and "kept" not in path.parts
        }


@pytest.fixture
def kit(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    folder = tmp_path_factory.mktemp("stored")
    with set_temporary_config({"results.dir": str(folder)}):
        yield Kit(world, folder)


# Targets, results, checkpoint


@row("13", "target: a value that lies there is used in place of the body, None too (1.x never wrote it)")
def _(kit: Kit) -> None:
    ran = kit.ran

    @task(target="{p}/{x}-{task_name}-{flow_name}.pkl", result=LocalResult(kit.folder))
    def none(x: int) -> None:
        ran("none")

    @task(target=lambda x, **_: f"by-function-{x}", keep_result=True)
    def large(x: int) -> bytes:
        ran("large")
        return bytes(100_000)

    @task
    def read(value: Any) -> Any:
        return value if value is None else len(value)

    with Flow("targets") as flow:
        flow.add_task(Parameter("p", "inner"))
        one, many = none(7), large.map([1, 2])
        reads = [read(one), read.map(many)]

    first, second = kit.run(flow), kit.run(flow)

    assert (type(first["none-1"]), type(second["none-1"])) == (Success, Cached)
    assert second["none-1"].message == "The value that is stored at 'inner/7-none-targets.pkl' was used."
    assert [type(one) for one in second["large-1"].map_states] == [Cached, Cached]
    assert second["large-1"].result == [bytes(100_000)] * 2
    assert "It had to run: nothing is stored at 'by-function-1'." in first["large-1"].map_states[0].message
    assert second["read-1"].result is None
    assert second["read-2"].result == [100_000, 100_000]
    assert kit.world.runs() == {"none": 1, "large": 2}
    assert kit.files == {"inner/7-none-targets.pkl", "by-function-1", "by-function-2"}
    assert reads


@row(
    "8",
    "SUCCESS, 13 a success by signal is checkpointed like a return value, and so is one of the user's own",
)
def _(kit: Kit) -> None:
    @task(target="own-{x}", result=LocalResult(kit.folder))
    def own(x: int) -> None:
        raise signals.ENDRUN(Partial("half", result=[x], context={"of": x}))

    @task(cache_for=DAY)
    def cached() -> None:
        raise signals.SUCCESS("half", result=[5])

    with Flow("says more") as flow:
        owned, kept = own.map([1, 2]), cached()
        task(lambda xs, y: [*xs, y], name="read")(owned, kept)

    first, second = kit.run(flow), kit.run(flow)
    one = first["own-1"].map_states[1]
    assert (type(one), dict(one.context), one.result) == (Partial, {"of": 2}, [2])
    assert str(one.message).startswith(
        "half It had to run: nothing is stored at 'own-2'. Its value is stored"
    )
    assert type(first["cached-1"]) is Cached
    assert str(first["cached-1"].message).startswith("half It had to run: ")
    assert [type(one) for one in second["own-1"].map_states] == [Cached, Cached]
    assert first["read-1"].result == second["read-1"].result == [[1], [2], [5]]


@row(
    "13",
    "the flow's result is for operators and merges too; a part of what is not stored is not stored either",
)
def _(kit: Kit) -> None:
    def one_more(x: int) -> int:
        return x + 1

    pair, inc = task(lambda: (1, 2), name="pair", nout=2), task(one_more, name="inc")
    with Flow("operators", result=LocalResult(kit.folder, location="{task_name}")) as flow:
        with case(pair()[0] > 0, True):
            taken = inc(1)
        task(lambda x: x, name="read")([merge(taken, 0), {"in": taken}])
        pair(task_args={"name": "off", "checkpoint": False})[0]
        # Of a text that stands in no other: each process masks it from here on, in all that it tells.
        EnvVarSecret("PATH")(task_args={"name": "hidden"})[0]
        inc.map([1], task_args={"target": "{map_index}"})

    found = kit.run(flow)

    assert found["hidden[0]-1"].result == os.environ["PATH"][0]
    assert kit.files == {"pair", "pair[0]", "GreaterThan", "inc", "Merge", "read", "0"}


@row("13", "result: that of the task, else that of the flow, else none; checkpoint=False stores nothing")
def _(kit: Kit) -> None:
    def body(x: int = 0) -> int:
        return x + 1

    own = LocalResult(kit.folder / "own", location="{task_name}.json", serializer=JSONSerializer())
    with Flow("precedence", result=LocalResult(kit.folder, location="{task_name}/{map_index}")) as flow:
        value = task(body, name="flows")(Parameter("p", 1))
        task(body, name="own", result=own)(value + 1)
        task(body, name="off", checkpoint=False)()
        task(body, name="off_target", checkpoint=False, target="{task_name}")()
        task(body, name="many").map([1, 2])

    found = kit.run(flow)

    assert set(map(type, found.values())) == {Success, type(found["many-1"])}
    assert kit.files == {"flows/None", "Add/None", "own/own.json", "many/0", "many/1"}
    assert json.loads((kit.folder / "own" / "own.json").read_text()) == 4
    assert found["own-1"].result_ref.location == str(kit.folder / "own" / "own.json")
    assert found["off-1"].message == "The body returned."
    with Flow("memory") as plain:
        task(body, name="in_memory")()
    assert kit.run(plain)["in_memory-1"].result_ref.location is None


@row("13", "checkpoint=False looks at a target that somebody filled; a constant is always there")
def _(kit: Kit) -> None:
    FolderStore(kit.folder).write("ready.json", b"[1]")

    def body() -> None:
        raise AssertionError

    json_result = LocalResult(kit.folder, serializer=JSONSerializer())
    with Flow("filled") as flow:
        task(body, name="a", checkpoint=False, target="ready.json", result=json_result)()
        task(body, name="b", target="anything", result=ConstantResult(value=5))()
    found = kit.run(flow)
    assert (found["a-1"].result, found["b-1"].result) == ([1], 5)
    assert {type(one) for one in found.values()} == {Cached}


@row(
    "13",
    "templates: inputs before context before parameters; one that cannot be filled in fails before the body",
)
def _(kit: Kit) -> None:
    ran = kit.ran

    def body(flow_name: Any = None, x: int = 1) -> Any:
        ran("body")
        return flow_name

    with Flow("template") as flow:
        flow.add_task(Parameter("task_name", "parameter"))
        flow.add_task(Parameter("only", "parameter"))
        task(body, name="given", target="{flow_name}-{task_name}-{only}-{parameters[only]}-{today}")("input")
        task(body, name="missing", target="{nothing}")()
        task(body, name="outside", target="../{x}")(x="../5")
        task(body, name="hostile", target="{x}/a")(x="/etc")
        task(body, name="made", target=lambda x, **_: f"/{x}")(x="etc")
        task(body, name="braces", target=lambda x, **_: x)(x="{0}{x}")

    found = kit.run(flow)

    today = found["given-1"].result_ref.location
    assert Path(today).name.startswith("input-given-parameter-parameter-20")
    assert found["missing-1"].message.startswith(
        "The place of its value cannot be told: ResultError: The location '{nothing}' cannot be filled in"
    )
    for slug in ("outside-1", "hostile-1", "made-1"):
        assert type(found[slug]) is Failed
        assert "does not name a file inside FolderStore" in found[slug].message
    assert type(kit.run(flow)["braces-1"]) is Cached
    assert {file for file in kit.files if "given" not in file} == {"{0}{x}"}


@row("13", "a location leads where its author wrote, out of the folder too")
def _(kit: Kit) -> None:
    ran, inner = kit.ran, LocalResult(kit.folder / "inner", location="../beside/{x}.pkl")

    def body(x: int) -> int:
        ran("body")
        return x

    with Flow("elsewhere") as flow:
        task(body, name="target", target=f"{kit.folder}/{{x}}/at.pkl", result=LocalResult("inner"))(1)
        task(body, name="above", result=inner)(2)
        task(body, name="result", result=LocalResult(location=f"{kit.folder}/at-{{x}}"))(3)

    first, second = kit.run(flow), kit.run(flow)

    assert kit.files == {"1/at.pkl", "beside/2.pkl", "at-3"}
    assert first["target-1"].result_ref.location == f"{kit.folder}/1/at.pkl"
    assert type(second["target-1"]) is Cached
    assert inner.read("../beside/2.pkl").value == LocalResult().read(f"{kit.folder}/beside/2.pkl").value == 2
    assert {slug: state.result for slug, state in second.items()} == {
        "target-1": 1,
        "above-1": 2,
        "result-1": 3,
    }


@row("13", "a value that cannot be stored fails its run, which is tried again")
def _(kit: Kit) -> None:
    ran = kit.ran
    (kit.folder / "file").write_text("")

    @task(target="file/x", max_retries=1)
    def body() -> int:
        ran("body")
        return 1

    with Flow("full") as flow:
        body()
    found = kit.run(flow)["body-1"]
    assert type(found) is Failed
    assert found.message.startswith(
        "Its value cannot be stored: ResultError: Nothing can be written at 'file/x'"
    )
    assert kit.world.runs() == {"body": 2}


@row("13", "a broken file is a miss with a warning, and is written anew")
def _(kit: Kit) -> None:
    ran = kit.ran

    @task(target="{task_name}")
    def at_target() -> int:
        ran("at_target")
        return 1

    @task(cache_for=DAY)
    def cached() -> int:
        ran("cached")
        return 2

    with Flow("broken") as flow:
        at_target()
        cached()
    kit.run(flow)
    broken = [path for path in kit.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in broken:
        path.write_bytes(path.read_bytes()[:-1])

    found = kit.run(flow)

    assert len(broken) == 3
    assert "what is stored at 'at_target' cannot be used (ResultCorrupt: " in found["at_target-1"].message
    assert "what was kept cannot be used (ResultCorrupt: " in found["cached-1"].message
    assert kit.names(flow) == {"at_target": "Cached", "cached": "Cached"}
    assert kit.world.runs() == {"at_target": 2, "cached": 2}


class Shelf(Result):
    """A result of the user's own, as Prefect 1 knew them."""

    def __init__(self, folder: str, **options: Any) -> None:
        self.folder = folder
        super().__init__(**options)

    def path(self, location: str) -> Path:
        return Path(self.folder, location.replace("/", "-"))

    def read(self, location: str) -> Any:
        new = self.copy()
        new.location, new.value = location, pickle.loads(self.path(location).read_bytes())
        return new

    def write(self, value_: Any, **kwargs: Any) -> Any:
        new = self.format(**kwargs)
        assert isinstance(new.location, str)
        self.path(new.location).write_bytes(pickle.dumps(value_))
        return new

    def exists(self, location: Any, **kwargs: Any) -> bool:
        return self.path(location.format(**kwargs)).exists()


@row("13", "a Result of the user's own stores and is asked, with and without a cache")
def _(kit: Kit) -> None:
    shelf = Shelf(str(kit.folder), location="{task_name}/{x}")
    with Flow("own", result=shelf) as flow:
        task(lambda x: x, name="stored")(1)
        task(lambda x: x, name="at_target", target="{x}.pkl")(2)
        task(lambda x: x, name="cached", cache_for=DAY)(3)
    kit.run(flow)
    assert kit.files == {"stored-1", "2.pkl", "cached-3"}
    assert kit.names(flow) == {"stored": "Success", "at_target": "Cached", "cached": "Cached"}


# Caching


@row("13", "cache_for: the value is used for equal inputs, at once and in other flows, and by no sibling")
def _(kit: Kit) -> None:
    ran = kit.ran

    @task(cache_for=DAY)
    def square(x: int) -> int:
        ran("square")
        return x * x

    with Flow("one") as one:
        done = square.map([1, 2, 3])
        again = square.map([3, 4], upstream_tasks=[unmapped(done)])
    with Flow("other") as other:
        square(4)
        square.map([5, 3, 1])

    first = kit.run(one)
    assert [type(child) for child in first["square-1"].map_states] == [Cached] * 3
    assert (
        first["square-1"]
        .map_states[0]
        .message.startswith("The body returned. It had to run: nothing was kept")
    )
    assert first["square-2"].map_states[0].message.startswith("The value that ")
    second = kit.run(other)
    assert second["square-1"].result == 16
    assert second["square-2"].result == [25, 9, 1]
    assert kit.world.runs() == {"square": 5}
    assert again is not None


@row("13", "validators: what each compares, by the names of Prefect 1")
def _(kit: Kit) -> None:
    ran = kit.ran

    def body(x: int, y: int) -> int:
        ran(context.task_name)
        return x + y

    validators = {
        "never": never_use,
        "duration": duration_only,
        "inputs": all_inputs,
        "parameters": all_parameters,
        "x_only": partial_inputs_only(validate_on=["x"]),
        "q_only": partial_parameters_only(validate_on=["q"]),
        "own": lambda state, inputs, parameters: inputs["y"] < 50 and "x" in state.hashed_inputs,
        "asks": lambda state, inputs, parameters: all_inputs(state, {"x": inputs["x"], "y": inputs["y"]}, {}),
    }
    with Flow("validators") as flow:
        x, y = Parameter("x", 1), Parameter("y", 1)
        flow.add_task(Parameter("q", 1))
        for name, validator in validators.items():
            task(body, name=name, cache_for=DAY, cache_validator=validator)(x, y)

    def runs(**parameters: int) -> set[str]:
        before = kit.world.runs()
        kit.run(flow, **parameters)
        return {name for name, count in kit.world.runs().items() if count != before.get(name)}

    assert runs() == set(validators)
    assert runs() == {"never"}
    assert runs(y=2) == {"never", "inputs", "parameters", "asks"}
    assert runs(x=2) == {"never", "inputs", "parameters", "x_only", "asks"}
    assert runs(y=99, q=2) == {"never", "inputs", "parameters", "q_only", "own", "asks"}


@row(
    "13",
    "cache: a validator of one's own compares the values of parameters, whatever they are, and of secrets",
)
def _(kit: Kit) -> None:
    ran = kit.ran

    def body() -> int:
        ran("body")
        return 1

    def same_day(state: Any, inputs: Any, parameters: Any) -> bool:
        kept = state.cached_parameters
        return bool(
            kept["day"] == parameters["day"]
            and kept["key"] == parameters["key"]
            and kept["blob"][:2] == parameters["blob"][:2]
        )

    with Flow("days") as flow:
        for parameter in (
            Parameter("day"),
            Parameter("key", type=SecretStr),
            Parameter("blob", b"ab" + bytes(5000)),
        ):
            flow.add_task(parameter)
        task(body, name="body", cache_for=DAY, cache_validator=same_day)()

    def found(**parameters: Any) -> Any:
        return kit.run(flow, **parameters)["body-1"]

    key = "the key of the house"
    for state in (found(day="mon", key=key), found(day="mon", key=key, blob=b"abc" + bytes(6000))):
        assert state.cached_parameters["day"] == "mon"
        assert state.cached_parameters["blob"] == b"ab" + bytes(5000)
        assert state.cached_parameters["key"] == SecretStr(key)
        assert key not in repr(state.cached_parameters)
        back = state_from_json(state_to_json(state))
        assert type(back) is Cached
        assert back == state
        assert back.cached_parameters["day"] == "mon"
    assert kit.world.runs() == {"body": 1}
    for parameters in ({"day": "tue", "key": key}, {"day": "tue", "key": "another key of it"}):
        found(**parameters)
        found(**parameters)
    assert kit.world.runs() == {"body": 3}


@row("13", "cache: whatever the validator, no child of a map gets a sibling's value ([1,1,1] in 1.x)")
def _(kit: Kit) -> None:
    validators = [duration_only, all_parameters, partial_inputs_only, lambda *_: True]
    with Flow("siblings") as flow:
        for number, validator in enumerate(validators):
            own = task(lambda x: x, name=f"t{number}", cache_for=DAY, cache_validator=validator)
            own.map([1, 2, 3])
    kit.run(flow)
    found = kit.run(flow)
    for number in range(len(validators)):
        assert found[f"t{number}-1"].result == [1, 2, 3]
        assert {type(child) for child in found[f"t{number}-1"].map_states} == {Cached}


@row("13", "cache: a miss says why, in the state and in the log")
def _(kit: Kit) -> None:
    def version(plus: int) -> Any:
        return lambda x: x + plus

    def of(value: Any = 1, plus: int = 0, seconds: float = 60, **options: Any) -> str:
        with Flow("why") as flow:
            task(version(plus), name="body", cache_for=seconds, **options)(value)
        return str(kit.run(flow)["body-1"].message)

    logger, records = logging.getLogger("prefectlite.body"), list[logging.LogRecord]()
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        with set_temporary_config({"logging.level": "DEBUG"}):
            assert "It had to run: nothing was kept for 'body'." in of()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert [(one.levelname, one.getMessage()) for one in records] == [
        ("DEBUG", "The body runs: nothing was kept for 'body'.")
    ]
    assert "input 'x' is another than what was kept for" in of(2)
    assert "the code of 'body' is another than what was last kept for" in of(plus=1)
    assert "has no token that equal values share" in of(Opaque(), cache_key="opaque")
    assert "Its value may be used until" in of(seconds=0.001, cache_key="short")
    time.sleep(0.01)
    assert "what was kept expired at" in of(seconds=0.001, cache_key="short")


class Opaque:
    """Equal to nothing, and says so."""

    def __dask_tokenize__(self) -> Any:
        raise ValueError("no token")

    def __add__(self, other: int) -> int:
        return other


@row("13", "cache_key: tasks with the same one share their values, whatever their names, code and flows")
def _(kit: Kit) -> None:
    with Flow("a") as one:
        task(lambda x: x + 1, name="one", cache_for=DAY, cache_key="shared")(1)
    with Flow("b") as two:
        task(lambda x: x + 2, name="two", cache_for=DAY, cache_key="shared")(1)
        task(lambda x: x + 2, name="three", cache_for=DAY)(1)
    kit.run(one)
    found = kit.run(two)
    assert (found["two-1"].result, found["three-1"].result) == (2, 3)


@row("13", "cache: code that names the flow's parameters is used for the same ones alone")
def _(kit: Kit) -> None:
    with Flow("parameters") as flow:
        flow.add_task(Parameter("p", 1))
        task(lambda: context.parameters["p"], name="reads", cache_for=DAY)()
        task(lambda: 5, name="reads_not", cache_for=DAY)()
    kit.run(flow)
    found = kit.run(flow, p=2)
    assert found["reads-1"].result == 2
    assert "parameter 'p' is another" in found["reads-1"].message
    assert found["reads_not-1"].message.startswith("The value that")


@row("13", "a Cached state carries expiry, tokens and a value; handlers, journal, JSON and explain know it")
def _(kit: Kit) -> None:
    seen: list[str] = []

    def handler(_: Any, old: Any, new: Any) -> None:
        seen.append(f"{type(old).__name__}>{type(new).__name__}")

    with Flow("told") as flow:
        cached = task(lambda x: [x] * 5000, name="cached", cache_for=DAY, state_handlers=[handler])(1)
        task(lambda x: len(x), name="reads")(cached)
    kit.run(flow)
    seen.clear()
    run = flow.start(executor=kit.world.executor)
    found = run.wait(60).result[cached]
    assert seen == ["Pending>Running", "Running>Cached"]
    assert (found.is_cached(), found.is_successful(), len(found.result)) == (True, True, 5000)
    assert set(found.hashed_inputs) == {"x"}
    assert is_kept(found.result_ref.location)
    back = state_from_json(state_to_json(found))
    assert type(back) is Cached
    assert back.hashed_inputs == found.hashed_inputs
    assert back.cached_result_expiration == found.cached_result_expiration
    assert "The value that " in run.explain("cached-1")
    assert run.counts()["Cached"] == 1


@row("13", "a reader is told that its upstream was Cached, with or without its value")
def _(kit: Kit) -> None:
    def classes(x: Any = None) -> dict[str, str]:
        return {name: type(one).__name__ for name, one in context.upstream_states.items()}

    with Flow("upstreams") as flow:
        read, after = (task(lambda: 1, name=name, cache_for=DAY) for name in ("read", "after"))
        stored = task(lambda: 1, name="stored", result=LocalResult(kit.folder))
        tells = task(classes)(read(), upstream_tasks=[after(), stored()])
    kit.run(flow)
    expected = {"read-1": "Cached", "x": "Cached", "after-1": "Cached", "stored-1": "Success"}
    assert kit.run(flow)[flow.slugs[tells]].result == expected


@row("10", "the trigger decides before target and cache: a refused or skipped run is not Cached")
def _(kit: Kit) -> None:
    def end(x: Any) -> None:
        raise {"f": ValueError, "k": signals.SKIP}[x]

    with Flow("order") as flow:
        ends = {x: task(end, name=x)(x) for x in "fk"}
        for x, upstream in ends.items():
            kept = task(lambda: 1, name=f"cached_{x}", cache_for=DAY)
            kept(upstream_tasks=[upstream])
            kept.copy(name=f"at_target_{x}", target="there", cache_for=None)(upstream_tasks=[upstream])
            kept.copy(name=f"runs_{x}", trigger=triggers.always_run, skip_on_upstream_skip=False)(
                upstream_tasks=[upstream]
            )
    FolderStore(kit.folder).write("there", pickle.dumps(1))
    kit.run(flow)
    found = kit.run(flow)
    assert {type(found[f"{name}_f-1"]) for name in ("cached", "at_target")} == {TriggerFailed}
    assert {type(found[f"{name}_k-1"]) for name in ("cached", "at_target")} == {Skipped}
    assert {type(found[f"runs_{x}-1"]) for x in "fk"} == {Cached}


@row(
    "13",
    "loops: what each iteration hands on is stored, too, but at no target, where the next one would find it",
)
def _(kit: Kit) -> None:
    @task(result=LocalResult(kit.folder, location="{task_name}-{task_slug}"))
    def overwrites() -> int:
        if context.get("task_loop_count", 1) < 3:
            raise signals.LOOP(result=0)
        return 6

    @task(
        result=LocalResult(kit.folder, location=lambda **names: f"lap-{names.get('task_loop_count', 1)}"),
    )
    def each() -> int:
        if context.get("task_loop_count", 1) < 3:
            raise signals.LOOP(result=context.get("task_loop_result", 0) + 1)
        return 6

    class Nowhere(LocalResult):
        def write(self, value: Any, /, **kwargs: Any) -> Any:
            raise OSError("no room")

    @task(result=Nowhere(kit.folder))
    def nowhere() -> int:
        raise signals.LOOP(result=1)

    with Flow("laps") as flow:
        overwrites()
        each()
        nowhere()
    states = kit.run(flow)
    assert (states["overwrites-1"].result, states["each-1"].result) == (6, 6)
    assert kit.files == {"overwrites-overwrites-1", "lap-1", "lap-2", "lap-3"}
    read = LocalResult(kit.folder).read
    assert [read(f"lap-{lap}").value for lap in (1, 2, 3)] == [1, 2, 6]
    assert read("overwrites-overwrites-1").value == 6
    assert states["nowhere-1"].message == "Its value cannot be stored: OSError: no room"


@row(
    "13",
    "loops, retries and bodies apart: what is stored is the last value, and no body runs for what is there",
)
def _(kit: Kit) -> None:
    ran = kit.ran

    @task(cache_for=DAY, max_retries=1)
    def retried() -> int:
        ran("retried")
        if context.task_run_count == 1:
            raise ValueError
        return 5

    @task(target="{task_name}")
    def loops() -> int:
        ran("loops")
        if context.get("task_loop_count", 1) < 3:
            raise signals.LOOP(result=0)
        return 6

    @task(timeout=60, cache_for=DAY, result=LocalResult(kit.folder, location="apart"))
    def apart(x: int) -> int:
        ran("apart")
        return x

    @task(isolate=True, target="{x}")
    def late(x: int) -> None:
        ran("late")
        raise signals.SUCCESS("it says so", result=x)

    with Flow("many kinds") as flow:
        retried()
        loops()
        apart(7)
        late.map([8, 9])
    first = kit.run(flow)
    assert (first["retried-1"].result, first["loops-1"].result, first["apart-1"].result) == (5, 6, 7)
    assert (
        first["late-1"]
        .map_states[0]
        .message.startswith("it says so It had to run: nothing is stored at '8'.")
    )
    assert set(kit.names(flow).values()) == {"Cached", "Mapped", "Success"}  # Success: the mapped constant
    assert kit.world.runs() == {"retried": 2, "loops": 3, "apart": 1, "late": 2}
    assert kit.files == {"loops", "apart", "8", "9"}


class Vault(SecretBase):
    def run(self) -> str:
        return "correct horse battery"


@row("13", "secrets are stored nowhere: nor is a value in which one stands")
def _(kit: Kit) -> None:
    for option in (
        {"result": LocalResult(kit.folder)},
        {"target": "x"},
        {"cache_for": 60},
        {"cache_key": "x"},
    ):
        with pytest.raises(ValueError, match=r"is a secret and has \w+="):
            Vault(**option)
    with Flow("secret", result=LocalResult(kit.folder)) as flow:
        secret = Vault()()
        task(lambda s: f"x{s}", name="tells", target="tells", cache_for=DAY)(secret)
        task(lambda s: len(s), name="counts", target="counts", cache_for=DAY)(secret)
        task(lambda s: len(s), name="names", target="by {s}")(secret)
    found = kit.run(flow)
    assert type(found["tells-1"]) is Success
    assert found["tells-1"].message.endswith("Its value is not stored: a secret stands in it.")
    assert kit.files == {"counts", "by correct horse battery"}  # who puts it into a name wants it there
    assert found["names-1"].result_ref.location is None
    assert "correct horse" not in json.dumps(state_to_json(found["names-1"]))
    everything = b"".join(path.read_bytes() for path in kit.folder.rglob("*") if path.is_file())
    assert b"correct horse" not in everything


@pytest.mark.parametrize("rule", row)
def test_row(kit: Kit, rule: str) -> None:
    row[rule](kit)


def test_what_is_simulated_stores_nothing_and_finds_nothing(tmp_path: Path) -> None:
    with Flow("simulated", result=LocalResult(tmp_path)) as flow:
        tasks = [task(lambda: 1, name="a", cache_for=DAY)(), task(lambda: 2, name="b", target="b")()]
    for _ in range(2):
        simulation = simulate(flow)
        assert [type(simulation[one]) for one in tasks] == [Success, Success]
    assert not list(tmp_path.rglob("*"))


def test_a_validator_without_a_time_and_two_locations_are_warned_of(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="has a cache_validator and no cache_for"):
        task(lambda: 1, name="a", cache_validator=all_inputs)
    with pytest.warns(UserWarning, match="has target='t' and a result with location='r'"):
        one = task(lambda: 1, name="a", target="t", result=LocalResult(tmp_path, location="r"))
    plain = task(lambda: 1, name="a", cache_validator=never_use)
    assert (plain.cache_validator, plain.copy(cache_for=1).cache_validator) == (never_use, all_inputs)
    assert (one.target, one.result, one.cache_for) == ("t", LocalResult(tmp_path, location="t"), None)
    assert task(lambda: 1, name="a", cache_for=86400).cache_for == DAY
    assert task(lambda: 1, name="a", cache_for=1, cache_validator=None).cache_validator is all_inputs
    with pytest.raises(TypeError, match="Flow 'f' has result='x'; give a Result"):
        Flow("f", result="x")  # type: ignore[arg-type]
    flow = Flow("f", result=LocalResult(tmp_path))
    assert flow.copy().result == LocalResult(tmp_path)
