"""The acceptance flows, each with its input, and with all that should come of it. Knows what; runs nothing."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefectlite import Flow
from prefectlite.states import Mapped, State
from tests.acceptance import etl, release, survey, sweep, words

#: What a task came to: its state's class, or those of its children where it is a map.
Shape = str | list[str]


@dataclass(frozen=True)
class Case:
    """A flow, run once on one input.

    ``make_input`` fills a folder and returns the flow's parameters; ``effect`` looks at what the run left there.
    """

    name: str
    flow: Flow
    make_input: Callable[[Path], dict[str, Any]]
    ends: str
    states: dict[str, Shape]
    results: dict[str, Any]
    status: int
    stdout: str
    counts: list[str]
    effect: Callable[[Path], Any]
    left: Any

    @property
    def file(self) -> Path:
        """The flow's file, as `prefectlite run` takes it."""
        return Path(__file__).with_name(f"{self.flow.name}.py")


def shape(state: State) -> Shape:
    if isinstance(state, Mapped):
        return [type(child).__name__ for child in state.map_states]
    return type(state).__name__


def shapes(flow: Flow, states: dict[Any, State]) -> dict[str, Shape]:
    return {flow.slugs[task]: shape(state) for task, state in states.items()}


def all_in(state: str, *slugs: str) -> dict[str, Shape]:
    return dict.fromkeys(slugs, state)


def shop(outages: int) -> Callable[[Path], dict[str, Any]]:
    """Two days of orders, of which one has no amount; rates fail once, orders as often as told."""

    def make_input(folder: Path) -> dict[str, Any]:
        orders = {
            "2026-03-01": [
                {"id": 1, "amount": 115, "currency": "NOK"},
                {"id": 2, "amount": None, "currency": "NOK"},
                {"id": 3, "amount": 5.5, "currency": "EUR"},
            ],
            "2026-03-02": [{"id": 4, "amount": 46, "currency": "NOK"}],
        }
        Path(folder, "orders.json").write_text(json.dumps(orders))
        Path(folder, "rates.json").write_text(json.dumps({"EUR": 1, "NOK": 11.5}))
        Path(folder, "orders.outages").write_text(str(outages))
        Path(folder, "rates.outages").write_text("1")
        return {"shop": str(folder), "database": str(folder / "sales.db"), "day": "2026-03-01"}

    return make_input


def sales(folder: Path) -> list[tuple[int, float]]:
    """The database's rows, if it was made."""
    if not (folder / "sales.db").exists():
        return []
    with closing(sqlite3.connect(folder / "sales.db")) as connection:
        return connection.execute("SELECT id, euro FROM sales ORDER BY id").fetchall()


def texts(**parameters: Any) -> Callable[[Path], dict[str, Any]]:
    """Four files: one that is no text, and one that is empty."""

    def make_input(folder: Path) -> dict[str, Any]:
        contents = (b"the cat and the dog and a bird", b"\xff\xfe", b"", b"The end, and\nthe best test")
        for number, content in enumerate(contents):
            Path(folder, f"{number}.txt").write_bytes(content)
        return {"folder": str(folder), **parameters}

    return make_input


def report(folder: Path) -> str | None:
    path = folder / "report"
    return path.read_text() if path.exists() else None


def points(folder: Path) -> dict[str, Any]:
    """Five points of the line 3 x."""
    path = folder / "points.csv"
    path.write_text("".join(f"{x / 5},{3 * x / 5}\n" for x in range(1, 6)))
    return {"points": str(path)}


def answers(of_grace: str) -> Callable[[Path], dict[str, Any]]:
    """Two tables in an archive."""

    def make_input(folder: Path) -> dict[str, Any]:
        with zipfile.ZipFile(folder / "survey.zip", "w") as archive:
            archive.writestr("north.csv", "name,age\nAda,36\nAlan,41\n")
            archive.writestr("south.csv", f"name,age\nGrace,{of_grace}\n")
        return {"archive": str(folder / "survey.zip"), "out": str(folder)}

    return make_input


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


CASES = [
    Case(
        name="an ETL whose shop comes back in time",
        flow=etl.flow,
        make_input=shop(outages=2),
        ends="Success",
        states={
            **all_in("Success", "shop", "day", "database", "extract_orders-1", "extract_rates-1"),
            **all_in("Success", "sort_out-1", "sort_out[0]-1", "sort_out[1]-1"),
            "to_euro-1": ["Success", "Success"],
            **all_in("Success", "load-db-1", "revenue-db-1"),
            "alarm-1": "TriggerFailed",
        },
        results={"to_euro-1": [(1, 10.0), (3, 5.5)], "sort_out[1]-1": [2], "revenue-db-1": 15.5},
        status=0,
        stdout="15.5\n",
        counts=["1 TriggerFailed", "9 Success"],
        effect=sales,
        left=[(1, 10.0), (3, 5.5)],
    ),
    Case(
        name="an ETL whose shop stays away",
        flow=etl.flow,
        make_input=shop(outages=4),
        ends="Failed",
        states={
            **all_in("Success", "shop", "day", "database", "extract_rates-1"),
            "extract_orders-1": "Failed",
            **all_in("TriggerFailed", "sort_out-1", "sort_out[0]-1", "sort_out[1]-1"),
            "to_euro-1": "Failed",  # a map that learns no width
            **all_in("TriggerFailed", "load-db-1", "revenue-db-1"),
            "alarm-1": "Success",
        },
        results={"alarm-1": "wake somebody up"},
        status=1,
        stdout="",
        counts=["2 Failed", "5 TriggerFailed", "2 Success"],
        effect=sales,
        left=[],
    ),
    Case(
        name="words of files, of which one cannot be read",
        flow=words.flow,
        make_input=texts(),
        ends="Success",
        states={
            **all_in("Success", "folder", "unit", "report", "find_files-1"),
            "read-1": ["Success", "Failed", "Skipped", "Success"],
            **all_in("Success", "FilterTask-1", "case(words)-1"),
            "count_words-1": ["Success", "Success"],
            **all_in("Skipped", "case(letters)-1", "count_letters-1"),
            **all_in("Success", "Merge-1", "add_up-1", "commonest-1"),
            **all_in("Skipped", "case(True)-1", "write_report-1"),
        },
        results={"commonest-1": [("the", 4), ("and", 3)], "count_letters-1": None},
        status=0,
        stdout="[('the', 4), ('and', 3)]\n",
        counts=["1 Failed", "10 Success", "5 Skipped"],
        effect=report,
        left=None,
    ),
    Case(
        name="letters of the same files, with a report",
        flow=words.flow,
        make_input=texts(unit="letters", report=True),
        ends="Success",
        states={
            **all_in("Success", "folder", "unit", "report", "find_files-1"),
            "read-1": ["Success", "Failed", "Skipped", "Success"],
            **all_in("Success", "FilterTask-1", "case(letters)-1"),
            "count_letters-1": ["Success", "Success"],
            **all_in("Skipped", "case(words)-1", "count_words-1"),
            **all_in("Success", "Merge-1", "add_up-1", "commonest-1", "case(True)-1", "write_report-1"),
        },
        results={"commonest-1": [("t", 8), ("e", 7)]},
        status=0,
        stdout="[('t', 8), ('e', 7)]\n",
        counts=["1 Failed", "12 Success", "3 Skipped"],
        effect=report,
        left="t 8\ne 7\n",
    ),
    Case(
        name="a sweep in which one setting diverges",
        flow=sweep.flow,
        make_input=points,
        ends="Success",
        states={
            **all_in("Success", "points", "rates", "read_points-1"),
            "settings_of-1": ["Success"] * 3,
            "fit-1": ["Success"] * 5 + ["Failed"],
            "is_close-1": ["Success"] * 5 + ["TriggerFailed"],
            "case(False)-1": ["Success"] * 3 + ["Skipped", "Success", "TriggerFailed"],
            "go_on-1": ["Success"] * 3 + ["Skipped", "Success", "TriggerFailed"],
            "Merge-1": ["Success"] * 5 + ["TriggerFailed"],
            "grade-1": ["Success"] * 5 + ["TriggerFailed"],
            "best-1": "Success",
        },
        results={"best-1": 3.0},
        status=0,
        stdout="3.0\n",
        counts=["1 Failed", "5 TriggerFailed", "33 Success", "2 Skipped"],
        effect=names,
        left=["points.csv"],
    ),
    Case(
        name="a survey whose scratch folder is gone afterwards",
        flow=survey.flow,
        make_input=answers("85"),
        ends="Success",
        states={
            **all_in("Success", "out", "archive", "Scratch-1", "Scratch.setup-1", "Scratch.cleanup-1"),
            "unpack-1": "Success",
            "convert-1": ["Success", "Success"],
            **all_in("Success", "publish-1", "announce-1"),
        },
        results={"publish-1": 3, "announce-1": "3 people answered"},
        status=0,
        stdout="3 people answered\n",
        counts=["8 Success"],
        effect=names,
        left=["ages.json", "survey.zip"],
    ),
    Case(
        name="a survey with a bad answer, whose scratch folder is gone as well",
        flow=survey.flow,
        make_input=answers("old"),
        ends="Failed",
        states={
            **all_in("Success", "out", "archive", "Scratch-1", "Scratch.setup-1", "Scratch.cleanup-1"),
            "unpack-1": "Success",
            "convert-1": ["Success", "Failed"],
            **all_in("TriggerFailed", "publish-1", "announce-1"),
        },
        results={"Scratch.cleanup-1": None},
        status=1,
        stdout="",
        counts=["1 Failed", "2 TriggerFailed", "5 Success"],
        effect=names,
        left=["survey.zip"],
    ),
    Case(
        name="a release that nobody has approved",
        flow=release.flow,
        make_input=lambda folder: {"folder": str(folder)},
        ends="Running",
        states={
            **all_in("Success", "version", "folder", "Constant[list]-1"),
            "build-1": ["Success", "Success"],
            "approve-1": ["Paused", "Paused"],
            "publish-1": ["Pending", "Pending"],
            "announce-1": "Pending",
        },
        results={"version": "1.0"},
        status=75,
        stdout="",
        counts=["2 Success", "2 Paused", "3 Pending"],
        effect=names,
        left=["app-1.0-linux.pkg", "app-1.0-mac.pkg"],
    ),
]
