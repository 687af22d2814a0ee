"""Hostile names, tags, parameters, values and messages: what ``checks.py`` says holds of them, and of the lists."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest

from prefectlite import Flow, task
from prefectlite.errors import PrefectliteError
from prefectlite.executors.cluster import import_object
from prefectlite.executors.reach import reach_address
from tests.security.checks import body, check, refused, try_cases
from tests.security.hostile import NAMES, is_inside, tags, unshowable


@pytest.fixture(autouse=True)
def _nobody_set_up_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefectlite.driver.echo.is_set_up", lambda _: False)


def test_whatever_the_texts_keys_are_safe_logs_are_clean_and_errors_are_typed(tmp_path: Path) -> None:
    try_cases(300, tmp_path)


def test_each_name_of_the_hostile_list_is_kept_in_its_place(tmp_path: Path) -> None:
    for name in NAMES:
        check(tmp_path, name, name, name)
        check(tmp_path, "load", name, name)
        check(tmp_path, name, "tag", "message")


def test_what_is_no_place_is_refused_with_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefectlite.executors.reach.CONNECT_TIMEOUT", 0.1)
    for name in NAMES:
        for act in (
            lambda name=name: import_object(name),
            lambda name=name: import_object(f"{name}.x"),
            lambda name=name: reach_address(name, {}),
            lambda name=name: reach_address(f"tls://{name}", {}),
            lambda name=name: reach_address(f"tcp://{name}.invalid:8786", {}),
        ):
            assert refused(act), ascii(name)


def test_a_flow_is_saved_where_that_is_a_path_and_refused_in_words_where_it_is_none(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        flow, file = Flow(name or "flow"), f"{name.replace('/', '_')[:200]}.flow"
        folder = tmp_path / str(number)
        if said := refused(lambda flow=flow, path=folder / file: flow.save(path)):
            assert "is no path" in said
            assert "\x00" in name or "\ud800" in name
        else:
            assert [one.name for one in folder.iterdir()] == [file]
            assert Flow.load(folder / file).name == flow.name
        assert "cannot be read" in refused(lambda path=tmp_path / "none" / file: Flow.load(path))


@pytest.mark.parametrize("where", ["resources", "workers", "tags"])
def test_a_name_that_would_cut_the_schedulers_connection_is_refused(where: str) -> None:
    for name in ("\ud800", "caf\udce9"):
        options: dict[str, Any] = {
            "resources": {"resources": {name: 1}},
            "workers": {"workers": [name]},
            "tags": {"tags": [f"dask-resource:{name}=1"]},
        }[where]
        with pytest.raises(PrefectliteError, match="lone surrogate in it cannot be sent"):
            _ = task(body, name="t", **options).resources
    assert task(body, name="t", resources={"µ-GPU": 1}).resources == {"µ-GPU": 1}


def test_the_checks_see_what_they_are_for(tmp_path: Path) -> None:
    assert unshowable("\x1b\x9b\ud800\u202e\r a\n\tü") == set("\x1b\x9b\ud800\u202e\r")
    assert tags("<p title='&lt;b&gt;'>&lt;script&gt;</p>") == [("p", ("title",))]
    assert tags("<p><script>x</script>") == [("p", ()), ("script", ())]
    assert not is_inside(tmp_path / ".." / "x", tmp_path)
    assert all(not unshowable(one) for one in string.printable if one not in "\r\x0b\x0c")
