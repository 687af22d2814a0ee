"""What is stored when places to store fail, fill up or are emptied; in this process, with bodies that are counted."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Parameter, context, set_temporary_config, task
from prefectlite.cache_validators import duration_only, partial_inputs_only
from prefectlite.errors import ResultUnavailable
from prefectlite.results import FolderStore, LocalResult, PrefectResult, Result
from prefectlite.results.kept import unpack
from prefectlite.serializers import JSONSerializer
from prefectlite.states import Cached, Crashed, Success


class Full(FolderStore):
    """Has no room for what is kept for later."""

    def write(self, location: str, content: bytes) -> None:
        if location.startswith("kept/"):
            raise OSError(28, "No space left on device")
        super().write(location, content)


def run(flow: Flow, **parameters: Any) -> dict[str, Any]:
    state = flow.run(executor=LocalExecutor(), **parameters)
    return {flow.slugs[one]: found for one, found in state.result.items()}


def files(folder: Path) -> list[Path]:
    """Return what was stored, without the sums beside it."""
    return sorted(path for path in folder.rglob("[!.]*") if path.is_file())


def test_a_value_that_cannot_be_kept_for_later_is_a_success_all_the_same(tmp_path: Path, lines: Any) -> None:
    with Flow("full", result=Result(store=Full(tmp_path), location="{x}")) as flow:
        task(lambda x: x, name="kept", cache_for=60)(1)
    found = run(flow)["kept-1"]
    assert type(found) is Success
    assert found.message.endswith(
        "Its value could not be kept (OSError: [Errno 28] No space left on device)."
    )
    assert found.result_ref.location == "1"
    told = [
        one
        for one in lines
        if "could not be kept" in one.getMessage() and one.name != "prefectlite.TaskRunner"
    ]
    assert [one.levelname for one in told] == ["WARNING"]


def test_what_was_deleted_is_said_to_be_gone(tmp_path: Path) -> None:
    with Flow("gone", result=LocalResult(tmp_path)) as flow:
        task(lambda x: (x, context.get("parameters")), name="kept", cache_for=60)(1)
    run(flow)
    shutil.rmtree(tmp_path / "kept" / "value")
    assert "It had to run: what was kept is gone." in run(flow)["kept-1"].message
    shutil.rmtree(tmp_path / "kept" / "last")
    assert run(flow)["kept-1"].message.startswith("The value that ")


def test_a_validator_of_ones_own_is_asked_about_each_kept_value_the_oldest_first(tmp_path: Path) -> None:
    asked: list[float] = []

    def is_near(state: Cached, inputs: Any, parameters: Any) -> bool:
        asked.append(state.cached_parameters["x"])
        return abs(asked[-1] - parameters["x"]) < 2

    with Flow("near", result=LocalResult(tmp_path)) as flow:
        x = Parameter("x")
        task(lambda x: x, name="kept", cache_for=60, cache_validator=is_near, cache_key="near")(x)

    def value_for(x: float) -> float:
        asked.clear()
        found: float = run(flow, x=x)["kept-1"].result
        return found

    assert [value_for(x) for x in (1, 5, 9)] == [1, 5, 9]
    assert (value_for(4), asked) == (5, [1, 5])
    assert (value_for(10), asked) == (9, [1, 5, 9])
    assert (value_for(3), asked) == (3, [1, 5, 9])
    assert (value_for(2), asked) == (1, [1])


def test_of_what_a_validator_of_ones_own_may_see_the_broken_and_the_expired_is_not_there(
    tmp_path: Path,
) -> None:
    def is_same(state: Cached, inputs: Any, parameters: Any) -> bool:
        return bool(state.cached_parameters["x"] == parameters["x"])

    def keeps(seconds: float) -> Flow:
        with Flow("broken", result=LocalResult(tmp_path)) as flow:
            task(lambda x: x, name="kept", cache_for=seconds, cache_validator=is_same, cache_key="same")(
                Parameter("x")
            )
        return flow

    lasting = keeps(60)
    for x in (1, 2):
        assert run(lasting, x=x)["kept-1"].message.startswith("The body returned. It had to run")
    first, _ = files(tmp_path / "kept" / "value")
    first.write_bytes(first.read_bytes() + b"?")
    messages = sorted(run(lasting, x=x)["kept-1"].message for x in (1, 2))
    assert "It had to run: what was kept cannot be used (ResultCorrupt: " in messages[0]
    assert messages[1].startswith("The value that ")

    run(keeps(1e-6), x=3)
    (listed,) = files(tmp_path / "kept" / "list")
    assert len(json.loads(unpack(listed.read_bytes(), "")[1])) == 3
    run(lasting, x=4)
    assert len(json.loads(unpack(listed.read_bytes(), "")[1])) == 3
    listed.write_bytes(b"broken")
    assert "what was kept cannot be used (ResultCorrupt: " in run(lasting, x=4)["kept-1"].message
    assert run(lasting, x=4)["kept-1"].message.startswith("The value that ")


@pytest.mark.parametrize("options", [{"target": "there"}, {"cache_for": 60}])
def test_a_value_that_was_let_go_of_is_read_from_where_it_is_stored(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    with Flow("large", result=LocalResult(tmp_path)) as flow:
        large = task(lambda: bytes(100_000), name="large", **options)()
        task(lambda x: len(x), name="reads", checkpoint=False)(large)
    for _ in range(2):
        found = run(flow)
        assert (found["large-1"].result, found["reads-1"].result) == (bytes(100_000), 100_000)
    assert type(found["large-1"]) is Cached
    shutil.rmtree(tmp_path)
    with pytest.raises(
        ResultUnavailable, match=r"What was stored of it cannot be read: Nothing can be read at"
    ):
        _ = found["large-1"].result


def test_a_small_value_may_be_its_own_location() -> None:
    with Flow("json", result=PrefectResult()) as flow:
        task(lambda: {"a": 1}, name="small")()
    assert run(flow)["small-1"].result_ref.location == '{"a": 1}'


def test_a_kept_value_is_used_until_its_time_is_over(tmp_path: Path) -> None:
    with Flow("time", result=LocalResult(tmp_path)) as flow:
        task(lambda: 1, name="kept", cache_for=60)()
    before = datetime.now(UTC)
    first, second = run(flow)["kept-1"], run(flow)["kept-1"]
    assert 59 < (first.cached_result_expiration - before).total_seconds() < 70
    assert second.cached_result_expiration == first.cached_result_expiration
    assert f"until {first.cached_result_expiration:%Y-%m-%d %H:%M:%S} UTC" in first.message


def test_only_inputs_that_count_have_their_tokens_taken(tmp_path: Path) -> None:
    asked = []

    class Large:
        def __dask_tokenize__(self) -> Any:
            asked.append(self)
            return "large"

    with Flow("tokens", result=LocalResult(tmp_path)) as flow:
        for name, validator in (("x_only", partial_inputs_only(validate_on="x")), ("all", duration_only)):
            kept = task(lambda x, y: x, name=name, cache_for=60, cache_validator=validator, checkpoint=None)
            kept(1, Large())
    found = run(flow)
    assert (list(found["x_only-1"].hashed_inputs), found["all-1"].hashed_inputs) == (["x"], {})
    assert not asked


class Exits(FolderStore):
    """Ends the process where it is to store something."""

    def write(self, location: str, content: bytes) -> None:
        raise SystemExit(3)


def test_a_body_is_not_blamed_for_what_exits_before_or_after_it(tmp_path: Path) -> None:
    def place(**names: Any) -> str:
        raise KeyboardInterrupt

    with Flow("exits") as flow:
        task(lambda: 1, name="stored", result=Result(store=Exits(tmp_path)))()
        task(lambda: 1, name="placed", result=LocalResult(tmp_path, location=place))()
    found = run(flow)
    assert {type(state) for state in found.values()} == {Crashed}
    assert found["stored-1"].message == (
        "Its value cannot be stored: the code for it tried to end its process with SystemExit: 3"
    )
    assert found["placed-1"].message == (
        "The place of its value cannot be told: the code for it tried to end its process with "
        "KeyboardInterrupt"
    )


class Registry(LocalResult):
    """Forgets to return what it wrote."""

    def write(self, value: Any, /, **kwargs: Any) -> Any:
        super().write(value, **kwargs)


class Reader(LocalResult):
    """Forgets to return what it read."""

    def read(self, location: str) -> Any:
        super().read(location)


def test_a_result_of_ones_own_that_returns_nothing_is_told_by_name(tmp_path: Path) -> None:
    with Flow("own") as flow:
        task(lambda: 1, name="written", target="there", result=Registry(tmp_path))()
    with Flow("own") as again:
        task(lambda: 1, name="read", target="there", result=Reader(tmp_path))()
    assert run(flow)["written-1"].message == (
        "Its value cannot be stored: ResultError: Registry.write returned None; return a copy with its location."
    )
    assert (
        "It had to run: what is stored at 'there' cannot be used (ResultError: Reader.read returned None; "
        "return a copy with its value.)."
    ) in run(again)["read-1"].message


@pytest.mark.parametrize(
    "options",
    [
        {"target": "{self}-{x}"},
        {"target": lambda **names: f"{names['self']}-{names['x']}"},
        {"cache_for": 60},
        {},
    ],
)
def test_a_body_may_have_an_argument_called_self(tmp_path: Path, options: dict[str, Any]) -> None:
    def body(self: int, x: int) -> int:
        return self + x

    with Flow("self", result=LocalResult(tmp_path)) as flow:
        task(body, **options)(1, 2)
        task(body, name="mapped", **options).map([1, 2], [3, 4])
    for _ in range(2):
        found = run(flow)
        assert (found["body-1"].result, found["mapped-1"].result) == (3, [4, 6])


OTHER = r"stored by another run since; put \{map_index\} or \{flow_run_id\} into the location"


def large(x: int) -> list[int]:
    return [x] * 20_000


def shared(folder: Path, **options: Any) -> Flow:
    """Return a flow whose runs all store at one location, and let go of what they made."""
    with Flow("shared", result=LocalResult(folder, location="{task_name}.pkl")) as flow:
        rows = task(large, **options)(Parameter("x"))
        task(lambda xs: len(xs), name="reads", checkpoint=False)(rows)
    return flow


def test_what_a_later_run_stored_at_a_location_is_not_taken_for_the_value_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    first, second = run(shared(tmp_path), x=1)["large-1"], run(shared(tmp_path), x=2)["large-1"]
    assert second.result == large(2)
    with pytest.raises(ResultUnavailable, match=OTHER):
        _ = first.result
    assert LocalResult(tmp_path).read("large.pkl").value == large(2)


def test_equal_values_may_share_a_location(tmp_path: Path) -> None:
    found = [run(shared(tmp_path), x=1)["large-1"] for _ in range(2)]
    assert [one.result for one in found] == [large(1)] * 2


def test_of_children_that_share_a_location_the_last_one_alone_finds_its_value(tmp_path: Path) -> None:
    with Flow("children", result=LocalResult(tmp_path, location="{task_name}.pkl")) as flow:
        rows = task(large).map([1, 2, 3])
        reads = task(lambda xs: sum(xs), name="adds", checkpoint=False).map(rows)
    state = flow.run(executor=LocalExecutor())
    assert state.result[reads].result == [20_000, 40_000, 60_000]
    stored = LocalResult(tmp_path).read("large.pkl").value
    for x, child in enumerate(state.result[rows].map_states, start=1):
        if stored == large(x):
            assert child.result == stored
        else:
            with pytest.raises(ResultUnavailable, match=OTHER):
                _ = child.result


def test_what_was_found_at_a_target_is_not_what_is_put_there_later(tmp_path: Path) -> None:
    put = LocalResult(tmp_path, location="there")
    put.write(large(1))
    found = run(shared(tmp_path, target="there"), x=5)["large-1"]
    assert type(found) is Cached
    assert found.result == large(1)
    put.write(large(2))
    with pytest.raises(ResultUnavailable, match=OTHER):
        _ = found.result


def test_a_kept_value_that_has_expired_is_not_taken_for_the_one_that_replaced_it(tmp_path: Path) -> None:
    def keeps(factor: int, seconds: float) -> Flow:
        with Flow("kept") as flow:
            options = {"cache_for": seconds, "cache_validator": duration_only, "cache_key": "rows"}
            rows = task(lambda: large(factor), name="rows", **options)()
            task(lambda xs: len(xs), name="reads", checkpoint=False)(rows)
        return flow

    with set_temporary_config({"results.dir": str(tmp_path)}):
        first = run(keeps(1, 1e-6))["rows-1"]
        second, found = run(keeps(2, 60))["rows-1"], run(keeps(3, 60))["rows-1"]
    assert second.result == found.result == large(2)
    with pytest.raises(ResultUnavailable, match=r"by another run since; give the task keep_result=True"):
        _ = first.result


class Shelf(LocalResult):
    """Reads by itself, so that nobody knows which bytes it read."""

    def read(self, location: str) -> Any:
        new = self.from_value(json.loads(Path(location).read_bytes()))
        new.location = location
        return new


def test_a_result_of_ones_own_that_reads_by_itself_is_taken_at_its_word(tmp_path: Path) -> None:
    with Flow("own", result=Shelf(tmp_path, location="rows", serializer=JSONSerializer())) as flow:
        rows = task(large)(Parameter("x"))
        task(lambda xs: len(xs), name="reads", checkpoint=False)(rows)
    first, _ = run(flow, x=1)["large-1"], run(flow, x=2)
    assert first.result == large(2)
