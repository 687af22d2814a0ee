"""Results: under which name a value is stored, read, and found again."""

from __future__ import annotations

import logging
import pickle
from datetime import UTC, datetime
from pathlib import Path
from re import fullmatch
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, set_temporary_config, task
from prefectlite.errors import ResultCorrupt, ResultError
from prefectlite.masking import MASK, mask
from prefectlite.results import (
    ConstantResult,
    FolderStore,
    FsspecStore,
    LocalResult,
    PrefectResult,
    Result,
    SecretResult,
)
from prefectlite.results.kept import Kept, address, is_kept, pack, unpack
from prefectlite.results.location import default_location
from prefectlite.results.result import digest_in
from prefectlite.results.store import digest_of
from prefectlite.serializers import DateTimeSerializer, JSONSerializer, PickleSerializer
from prefectlite.states import NO_RESULT, Success


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("value", [None, 0, [1, {"a": None}]])
def test_what_is_written_is_found_and_read(tmp_path: Path, value: Any) -> None:
    for result in (
        LocalResult(tmp_path, location="{x}/v"),
        Result(store=FsspecStore("memory://results"), location="{x}/v"),
    ):
        assert not result.exists("{x}/v", x=tmp_path.name)
        written = result.write(value, x=tmp_path.name)
        assert type(written) is type(result)
        assert result.exists("{x}/v", x=tmp_path.name)
        assert isinstance(written.location, str)
        assert (result.read(written.location).value, written.value) == (value, value)
        assert (result.value, result.location) == (None, "{x}/v")


def test_a_local_result_says_the_whole_path_of_a_file_that_others_can_read(tmp_path: Path) -> None:
    result = LocalResult(tmp_path, location="{name}.json", serializer=JSONSerializer())
    location = result.write({"a": 1}, name="n").location
    assert location == str(tmp_path / "n.json")
    assert Path(location).read_text() == '{"a": 1}'


def test_a_local_result_lies_at_home_unless_it_is_told_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert LocalResult().dir == str(tmp_path / ".prefectlite" / "results")
    assert LocalResult("here").dir == str(tmp_path / "here")
    later = LocalResult("~/x", validate_dir=False)
    assert later.dir == "~/x"
    later.write(1, task_run_id="r/a")
    assert LocalResult(tmp_path / "x").read("r/a").value == 1


def test_a_result_that_a_function_names_has_no_location_until_it_is_named() -> None:
    def by_function(**_: Any) -> str:
        return "x.pkl"

    made = Result(location=by_function)

    assert (made.location, made.from_value(1).location) == (None, None)
    assert made.format().location == made.copy().format().location == "x.pkl"
    assert (made == Result(location=by_function), made == Result(location=lambda **_: "x.pkl")) == (
        True,
        False,
    )
    made.location = "y.pkl"
    assert made.format().location == "y.pkl"


def test_a_location_may_name_an_argument_called_self(tmp_path: Path) -> None:
    result = LocalResult(tmp_path, location="{self}.pkl")
    assert Path(str(result.write(1, self=5).location)) == tmp_path / "5.pkl"
    assert result.format(self=5).location == result.named(self=5) == "5.pkl"
    assert result.exists("{self}.pkl", self=5)


def test_a_location_is_a_template_or_a_function() -> None:
    when = datetime(2030, 1, 2, tzinfo=UTC)
    assert Result(location="{date:%Y}/{x[0]}.pkl").format(date=when, x=["a"]).location == "2030/a.pkl"
    assert Result(location=lambda x, **_: f"{x}.pkl").format(x=1, y=2).location == "1.pkl"
    with pytest.raises(
        ResultError, match=r"location '\{x\}' cannot be filled in \(KeyError: 'x'\); it may name y"
    ):
        Result(location="{x}").format(y=1)
    with pytest.raises(ResultError, match="returned 5, which is no text"):
        Result(location=lambda **_: 5).format()  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("location", ["{out}/{{x}}", "../{{x}}", "{out}/a/../{{x}}", "a/../../{{x}}"])
def test_a_local_result_writes_where_its_author_wrote(location: str, tmp_path: Path) -> None:
    location = location.format(out=tmp_path)
    result = LocalResult(tmp_path / "in", location=location)
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    written = str(result.write([1], x="5").location)
    assert Path(written).resolve() == tmp_path / "5"
    assert result.exists(location, x="5")
    assert not result.exists(location, x="6")
    assert result.read(written).value == result.read(location.format(x="5")).value == [1]


@pytest.mark.parametrize(
    ("location", "x"),
    [
        ("{x}", "/etc/passwd"),
        ("{x}", "../a"),
        ("{x}{x}/a", "."),
        (".{x}/a", "."),
        ("..{x}", "/a"),
        ("..{x}", ""),
        ("../{x}", ".."),
        ("../{x}", "a/../../b"),
        ("{x}/../../a", ""),
        ("/data/{x}", "../a"),
        ("/data{x}/a", "/.."),
        (lambda x: x, "/etc/passwd"),
        (lambda x: f"/data/{x}", "a"),
    ],
)
def test_what_is_filled_in_leads_nowhere_else(location: Any, x: str, tmp_path: Path) -> None:
    result = LocalResult(tmp_path, location=location)
    for act in (
        lambda: result.exists(location, x=x),
        lambda: result.write(1, x=x),
        lambda: result.format(x=x),
    ):
        with pytest.raises(ResultError, match="does not name a file inside"):
            act()
    assert names_in(tmp_path) == []


def test_without_a_location_a_value_has_its_task_runs_name(tmp_path: Path) -> None:
    result = LocalResult(tmp_path)
    first = result.write(1, task_run_id="8fe2/load-1[3]")
    assert first.location == str(tmp_path / "8fe2" / "load-1[3]")
    again = result.write(2, task_run_id="8fe2/load-1[3]", task_run_count=2)
    assert result.read(str(first.location)).value == 1, (
        "an attempt that was given up may store its value last"
    )
    assert result.read(str(again.location)).value == 2
    names = {result.write(1).location for _ in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize("slug", ["..", "../..", "a/b", "", ".", "x" * 500, "\0", "ä\ud800", "a\nb", "~"])
def test_a_run_of_any_name_has_a_place_inside(slug: str, tmp_path: Path) -> None:
    location = default_location(task_run_id=f"8fe2/{slug}")
    FolderStore(tmp_path / "s").write(location, b"x")
    assert names_in(tmp_path) == ["s"]
    assert names_in(tmp_path / "s") == ["8fe2"]
    assert location != default_location(task_run_id=f"8fe2/{slug}x")


def test_equality_weighs_class_and_public_attributes(tmp_path: Path) -> None:
    one = LocalResult(tmp_path, location="a")
    assert one == one.copy() == LocalResult(tmp_path, location="a")
    assert one != one.from_value(1)
    assert one != LocalResult(tmp_path, location="b")
    assert one != LocalResult(tmp_path, location="a", serializer=JSONSerializer())
    assert Result() != ConstantResult()
    assert one.copy().serializer == PickleSerializer()
    assert one.logger.name == "prefectlite.LocalResult"
    own: Any = one.copy()
    own.logger = logging.getLogger("own")
    assert own.logger.name == "own"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_a_result_shows_its_value_and_not_all_of_a_long_one() -> None:
    assert repr(Result(5)) == "<Result: 5>"
    assert repr(LocalResult(location="a")) == "<LocalResult: None>"
    assert len(repr(Result("x" * 10_000))) < 400


def test_a_subclass_may_store_under_names_that_nobody_said() -> None:
    class Shelf(Result):
        def write(self, value: Any, /, **names: Any) -> Result:
            new = self.format(**names)
            new.value = value
            return new

    class Counting(Shelf):
        @property
        def default_location(self) -> str:
            return "first"

    assert Shelf().write(1, task_run_id="8fe2/load-1[3]").location == "8fe2/load-1[3]"
    assert Counting().write(1, task_run_id="8fe2/load-1[3]").location == "first"
    assert Counting(location="{x}").write(1, x=2).location == "2"
    assert str(Shelf().write(1).location) != str(Shelf().write(1).location)


def test_outside_of_a_run_a_name_is_made_from_the_time(tmp_path: Path) -> None:
    today, local = datetime.now(UTC), LocalResult(tmp_path)
    assert fullmatch(rf"{today.year}/\d+/\d+/[0-9a-f-]{{36}}\.prefect_result", Result().default_location)
    assert fullmatch(
        rf"{tmp_path}/prefect-result-{today.year}-\d\d-\d\dt\d\d-\d\d-\d\d-\d{{6}}-00-00-[0-9a-f]{{8}}",
        local.default_location,
    )
    written = local.write(1).location
    assert local.read(str(written)).value == 1
    assert {path.parent for path in tmp_path.iterdir()} == {Path(str(written)).parent} == {tmp_path}


def test_what_a_state_has_that_was_given_no_result_passes_for_one_and_stores_nothing() -> None:
    assert isinstance(Success()._result, Result)
    assert isinstance(NO_RESULT, Result)
    assert not isinstance(NO_RESULT, LocalResult)
    for act in (lambda: task(names_in, result=NO_RESULT), lambda: Flow("f", result=NO_RESULT)):
        with pytest.raises(TypeError, match=r"result=NO_RESULT; give a Result"):
            act()


def test_a_result_without_a_store_says_what_it_needs() -> None:
    for act in (lambda: Result().read("a"), lambda: Result().write(1), lambda: Result().exists("a")):
        with pytest.raises(
            NotImplementedError, match=r"Result cannot \w+ a value: it has no store; use LocalResult"
        ):
            act()


@pytest.mark.parametrize("before", [True, False])
def test_an_attribute_of_a_subclass_may_be_called_store(before: bool, tmp_path: Path) -> None:
    class Shelf(Result):
        def __init__(self, shelf: dict[str, Any]) -> None:
            if before:
                self.store = shelf
            super().__init__(location="{x}")
            self.store = shelf

        def write(self, value: Any, /, **names: Any) -> Result:
            self.store[f"{names['x']}"] = value
            return self.format(**names).from_value(value)

        def read(self, location: str) -> Result:
            return self.from_value(self.store[location])

        def exists(self, location: Any, /, **names: Any) -> bool:
            return location.format(**names) in self.store

    calls, shelf = [], {}

    @task(result=Shelf(shelf), cache_for=60, cache_key=str(tmp_path))
    def load(x: int) -> int:
        calls.append(x)
        return x + 1

    with Flow("f") as flow:
        made = load(3)
    with set_temporary_config({"home_dir": str(tmp_path)}):
        states = [flow.run(executor=LocalExecutor()).result[made] for _ in range(2)]

    assert [state.result for state in states] == [4, 4], states
    assert (calls, shelf) == ([3], {"3": 4})
    assert Shelf({}) != Shelf(shelf)


def test_a_constant_is_always_there_and_is_not_written() -> None:
    constant = ConstantResult(value=5, location="here")
    assert constant.exists("anywhere")
    assert constant.read("anywhere").value == 5
    with pytest.raises(ResultError, match="cannot be written"):
        constant.write(6)


def test_a_prefect_result_is_its_own_location() -> None:
    result = PrefectResult()
    written = result.write({"a": [1, None]})
    assert written.location == '{"a": [1, null]}'
    assert result.exists(written.location)
    assert result.read(written.location).value == {"a": [1, None]}
    assert result.exists(lambda x, **_: f"[{x}]", x=1)
    assert not result.exists("{a}")
    with pytest.raises(TypeError, match="not JSON serializable"):
        result.write(object())
    with pytest.raises(
        ResultError, match=r"'\{a\}' of a PrefectResult is nothing that JSONSerializer\(\) reads"
    ):
        result.read("{a}")


def test_a_prefect_result_may_be_a_moment() -> None:
    when = datetime(2030, 1, 2, tzinfo=UTC)
    result = PrefectResult(serializer=DateTimeSerializer())
    written = result.write(when)
    assert written.location == "2030-01-02T00:00:00Z"
    assert result.read(written.location).value == when
    assert not result.exists("tomorrow")
    with pytest.raises(TypeError, match=r"serializer=PickleSerializer\(\); give JSONSerializer"):
        PrefectResult(serializer=PickleSerializer())  # type: ignore[arg-type]


class Vault:
    """A user's own way to look secrets up."""

    name = "db"

    def __init__(self) -> None:
        self.secrets = {"db": "in the first place", "mail": "in the second place"}

    def run(self, name: str = "db") -> str:
        return self.secrets[name]


class Single(Vault):
    """One that knows one secret alone."""

    def run(self) -> str:  # type: ignore[override]
        return super().run()


def test_a_secret_is_looked_up_each_time_it_is_read() -> None:
    vault = Vault()
    result = SecretResult(vault)
    assert (result.location, result.value) == ("db", None)
    assert result.read("db").value == "in the first place"
    vault.secrets["db"] = "in another place"
    assert result.read("db").value == "in another place"
    assert result.read("mail").value == "in the second place"
    assert SecretResult(Single()).read("db").value == "in the first place"
    assert SecretResult(vault, location="{x}il").format(x="ma").location == "mail"


def test_a_secret_is_there_if_it_can_be_looked_up() -> None:
    result = SecretResult(Vault())
    assert result.exists("{x}b", x="d")
    assert not result.exists("web")


def test_a_value_whose_module_is_missing_is_not_to_be_deleted(tmp_path: Path) -> None:
    FolderStore(tmp_path).write("a", b"cnot_here.module\nValue\n.")
    with pytest.raises(
        ResultCorrupt, match=r"needs 'not_here', which cannot be imported here \(ModuleNot"
    ) as it:
        LocalResult(tmp_path).read("a")
    assert "delete" not in str(it.value)
    assert str(it.value).endswith("install it, or put its folder on PYTHONPATH.")


def test_a_secret_that_is_read_shows_nowhere() -> None:
    read = SecretResult(Vault()).read("mail")
    assert repr(read) == f"<SecretResult: {MASK!r}>"
    assert mask(f"It is {read.value}.") == f"It is {MASK}."


def test_a_secret_is_not_written_and_needs_somebody_who_knows_it() -> None:
    with pytest.raises(ValueError, match="cannot be written, since a secret is never stored"):
        SecretResult(Vault()).write("new")
    with pytest.raises(TypeError, match=r"given 3, .* as in SecretResult\(Secret\('DB_PASSWORD'\)\)"):
        SecretResult(3)  # type: ignore[arg-type]


def test_a_kept_value_comes_back_with_what_it_was_made_from() -> None:
    kept = Kept(1.5, "8fe2/load-1", 2.5, "v", {"x": "c0a8"}, {"p": "cfea"})
    assert unpack(pack(kept, b"\nvalue\n"), "there") == (kept, b"\nvalue\n")
    assert unpack(pack(kept), "there") == (kept, b"")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b"", lambda b: b"{}\n"])
def test_a_kept_value_that_was_changed_is_corrupt(change: Any) -> None:
    with pytest.raises(
        ResultCorrupt, match="What lies at 'there' is no kept value, or a broken one; delete it"
    ):
        unpack(change(pack(Kept(1.5, "r"), b"value")), "there")


def test_an_address_is_told_from_a_users_location() -> None:
    where = address("value", "load", None, {"x": "c0a8"})
    assert (
        where == address("value", "load", None, {"x": "c0a8"}) != address("last", "load", None, {"x": "c0a8"})
    )
    assert is_kept(where)
    assert not any(map(is_kept, ["a", "kept/a", f"x/{where}", "8fe2/load-1"]))


def test_bytes_that_were_written_and_read_have_one_digest_and_a_copy_has_none(tmp_path: Path) -> None:
    result = LocalResult(tmp_path, location="x")
    written = result.write([1, 2])
    read = result.read("x")
    assert digest_in(written) == digest_in(read) == digest_of(result.serializer.serialize([1, 2]))
    assert read == LocalResult(tmp_path, value=[1, 2], location="x")
    assert digest_in(pickle.loads(pickle.dumps(read))) == digest_in(read)
    for other in (result, read.copy(), read.from_value(3), read.format(), result.from_value(1), object()):
        assert digest_in(other) is None


class Texts:
    """A store and a serializer that have agreed on what are no bytes."""

    text = ""

    def read(self, location: str) -> str:
        return self.text

    def write(self, location: str, content: str) -> None:
        self.text = content

    def exists(self, location: str) -> bool:
        return True

    serialize = deserialize = staticmethod(str)


def test_what_are_no_bytes_has_no_digest() -> None:
    texts: Any = Texts()
    result = Result(location="x", serializer=texts, store=texts)
    assert (digest_in(result.write(5)), result.read("x").value, digest_in(result.read("x"))) == (
        None,
        "5",
        None,
    )
