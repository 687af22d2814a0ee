"""What holds of names, tags, parameters, values and messages, whatever they are, and a program that tries many.

    python -m tests.security.checks --cases 100000

Keys are safe, texts that people see are clean, errors are typed, paths stay where they belong. The tests try some
hundreds; CI tries a hundred thousand, which takes minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
from hypothesis import HealthCheck, example, given, settings

from prefectlite import Flow, Parameter, task
from prefectlite.cli.parameters import context_from, gather
from prefectlite.cli.results import results_text
from prefectlite.cli.settings import settings_text
from prefectlite.driver.approval import Prompt
from prefectlite.driver.echo import Echo
from prefectlite.engine.transitions import Transition
from prefectlite.errors import PrefectliteError
from prefectlite.executors.dask import DaskExecutor
from prefectlite.journal.memory import MemoryJournal
from prefectlite.lowering.keys import data_key, key_prefix
from prefectlite.results import FolderStore, LocalResult, Result
from prefectlite.results.location import Location, default_location
from prefectlite.rules.verdict import Reason
from prefectlite.settings import Setting
from prefectlite.states import Failed, Paused, Pending, RunKey, Skipped, State, Success
from prefectlite.states.json import state_from_json, state_to_json
from prefectlite.states.report import Report
from prefectlite.views.describe import description_lines
from prefectlite.views.explain import explain
from prefectlite.views.logs import log_text
from prefectlite.views.summary import lay_out, plain, summarize
from prefectlite.worker.logs import LogLine
from prefectlite.worker.wire import plain_facts
from tests.security.hostile import html_of, is_inside, tags, texts, unshowable

RUN_ID = "0123456789abcdef0123456789abcdef"
SAFE = re.compile(r"[A-Za-z0-9_.\-]{1,200}")
#: What makes a path of a folder and two texts of the user's, as a result store does: each is inside the folder,
#: or refused with an error of ours.
PATHS: tuple[Callable[[Path, str, str], Path], ...] = (
    lambda folder, name, other: FolderStore(folder).path(f"{name}/{other}"),
    lambda folder, name, other: FolderStore(folder).path(default_location(task_run_id=f"{RUN_ID}/{name}")),
    lambda folder, name, other: FolderStore(folder).path(
        Result(location="{a}/{b}.pkl").named(a=name, b=other)
    ),
    # What an author wrote may lead out of the result's folder; what is filled in leads out of neither.
    lambda folder, name, other: path_of_local(folder, "{a}/{b}.pkl", name, other),
    lambda folder, name, other: path_of_local(folder, "..{a}{b}", name, other),
    lambda folder, name, other: path_of_local(folder, lambda a, b: a + b, name, other),
    lambda folder, name, other: path_of_local(folder / "in", "../{a}{b}", name, other),
    lambda folder, name, other: path_of_local(folder / "in", "x/../../{a}/../{b}", name, other),
    lambda folder, name, other: path_of_local(folder.parent / "in", f"{folder}/{{a}}{{b}}", name, other),
)


def path_of_local(folder: Path, location: Location, name: str, other: str) -> Path:
    """Where a ``LocalResult`` would write."""
    return Path(LocalResult(folder).dir, LocalResult(folder, location=location).named(a=name, b=other))


def body(x: Any) -> None: ...


def refused(act: Callable[[], Any]) -> str:
    """What an error of ours says, which is all that may be raised; empty when there was none."""
    try:
        act()
    except PrefectliteError as error:
        return str(error) or "nothing"
    return ""


def build(name: str, tag: str, value: str) -> Flow | None:
    """A flow in which all that can have a name has that one; None where it is refused, in words."""
    flow = Flow(name or "flow")

    def fill() -> None:
        with flow:
            given_value = Parameter(name, default=value)
            first = task(body, name=name, tags=[tag])(given_value)
            task(body, name=name, slug=tag)(first)
            task(body, name="map").map([value, name])
        _ = [one.resources for one in flow]

    said = refused(fill)
    shown_lines(said)
    return None if said else flow


def check_keys(name: str, slug: str) -> None:
    prefix = key_prefix(name, slug, RUN_ID)
    for key in (RunKey(slug), RunKey(slug, 7), RunKey(slug, 7, 3)):
        group = data_key(prefix, key, 1, 2)[0]
        assert SAFE.fullmatch(group), group
        assert msgpack.packb(group)
        if RunKey.parse(slug) == RunKey(slug):
            assert RunKey.parse(str(key)) == key


def check_state(message: str) -> None:
    for state in (Failed(message), Success(message, result=message), Skipped(message)):
        assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state
        assert not unshowable(repr(state))
    assert msgpack.packb(plain_facts(Report(None, 0.0, 1.0, success=Success(message))))


def shown_lines(text: str) -> list[str]:
    """The lines of a text that is shown to people, each of which must be clean."""
    assert not unshowable(text), sorted(map(ascii, unshowable(text)))
    text.encode()
    return text.split("\n")


def check_logs(name: str, slug: str, message: str) -> None:
    line = LogLine(
        0.0, logging.WARNING, name or "x", message, name, slug, 1, "tcp://a", f"Traceback\n{message}"
    )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        echo().log([line])
    for text in (log_text(line), said.getvalue().removesuffix("\n")):
        first, *others = shown_lines(text)
        assert not first.startswith(" ")
        # Whatever else it says is indented, so that no line of it passes for a record of its own.
        assert all(other.startswith("    ") for other in others)


_echoes: list[Echo] = []


def echo() -> Echo:
    # The handlers that pytest installs would get the lines, so the logger is taken for one without.
    if not _echoes:
        _echoes.append(Echo())
    return _echoes[0]


def check_texts(flow: Flow, slug: str, message: str) -> None:
    objects = [flow, *flow, *flow.edges]
    for one in objects:
        assert len(shown_lines(repr(one))) == 1
    assert all(len(shown_lines(line)) == 1 for line in description_lines(flow))

    failed = Failed(message, result=ValueError(message))
    states: list[tuple[str, State]] = [
        (slug, failed),
        (slug, Skipped(message)),
        (slug, Success(result=message)),
    ]
    shown_lines(plain(lay_out(summarize(flow.name, failed, states, 1.0))))
    shown_lines(results_text(states))

    key = RunKey(slug)
    journal = MemoryJournal()
    why = Reason("rule", message, ((slug, message),))
    journal.record([Transition(1.0, 0, key, 1, Pending(), failed, why)])
    journal.commit()
    shown_lines(explain(journal, key, flow.name))
    asked: list[str] = []
    Prompt(lambda text: asked.append(text) or "n")(flow.name, {key: Paused(message)})  # type: ignore[func-returns-value]
    shown_lines(asked[0])
    # The values are what Hypothesis made of the text, so what they show has to be the same elements as ever.
    assert [tags(html) for html in html_of([*objects, failed])] == tame_tags(len(flow.tasks))


def tame_tags(count: int) -> list[Any]:
    """The elements that the same views show of a flow whose names are letters."""
    if count not in _tame:
        flow = build("name", "tag", "value")
        assert flow is not None
        assert len(flow.tasks) == count
        objects = [flow, *flow, *flow.edges, Failed("message", result=ValueError("message"))]
        _tame[count] = [tags(html) for html in html_of(objects)]
    return _tame[count]


_tame: dict[int, list[Any]] = {}


def check_settings(name: str, value: str) -> None:
    text = settings_text([Setting(f"context.{name}", value, f"the variable {value}", "What it says.")])
    shown_lines(text)


def check_arguments(name: str, value: str) -> None:
    for act in (
        lambda: gather([Parameter(name, type=int)], [f"{name}={value}"], None),
        lambda: context_from([f"{name}={value}"]),
        lambda: Flow("f").run({name: value}),
        lambda: Flow("f").run(value),
        lambda: DaskExecutor(value),
    ):
        shown_lines(refused(act))


def check(root: Path, name: str, other: str, message: str) -> None:
    flow = build(name, other, message)
    slugs = [name, other] if flow is None else list(flow.slugs.values())
    for slug in slugs[:2]:
        check_keys(name, slug)
    check_logs(name, slugs[0], message)
    check_state(message)
    check_settings(name, message)
    if flow is not None:
        check_texts(flow, slugs[0], message)
    check_arguments(name, message)
    for path_of in PATHS:
        with contextlib.suppress(PrefectliteError):
            assert is_inside(path_of(root, name, other), root)


def try_cases(count: int, root: Path) -> None:
    """Check as many cases of Hypothesis's choice."""

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(texts)
    @example(("load", "etl", "all is well"))
    def holds(drawn: tuple[str, str, str]) -> None:
        check(root, *drawn)

    holds()


def main() -> None:
    parser = argparse.ArgumentParser(description="Try hostile names, tags, parameters, values and messages.")
    parser.add_argument("--cases", type=int, default=100_000, help="how many; by default %(default)s")
    count = parser.parse_args().cases
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try_cases(count, Path(folder))
        assert list(Path(folder).iterdir()) == []
    print(f"{count:,} cases hold, after {time.monotonic() - begun:.0f} s.")


if __name__ == "__main__":
    main()
