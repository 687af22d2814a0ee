"""The inventory: each rule of the reference, and the rows and tests that show it.

The rules stand in ``tests/contract/rules``, a page for a group of sections; a section that is new brings a page
of its own. A rule that nobody shows, a row that belongs to no rule, and a name that nothing bears are problems,
in words.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType

from tests.contract.rows import Rows

TESTS = Path(__file__).parents[1]
CONTRACT = TESTS / "contract"
#: The sections of SEMANTICS.md, which say where we differ, and what we add.
SEMANTICS = {
    "S1": "The promises",
    "S2": "Tasks",
    "S3": "Context inside a body",
    "S4": "States and signals",
    "S5": "Rules",
    "S6": "Mapping",
    "S7": "Flows",
    "S8": "Where it runs",
}
#: What may be said of a rule beside those: Prefect 1 was wrong there and is mended, or odd and is kept; or
#: we differ, and SEMANTICS.md does not say so yet.
OTHERWISE = ("mended", "kept", "proposed")
#: Marks with which a test does not always run.
_NOT_ALWAYS = {"skip", "skipif", "xfail"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, where it is shown, and where we differ.

    ``section`` is one of the reference, or of SEMANTICS.md for what only we have. ``shown`` names rows
    (``"2: a call makes a copy, binds it and returns it"``) and tests (``"core/test_task.py::test_..."``).
    ``differs`` cites the section of SEMANTICS.md that decides otherwise than Prefect 1, or is one of
    ``OTHERWISE``; it is empty where Prefect 1 did the same.
    """

    section: str
    name: str
    says: str
    shown: tuple[str, ...]
    differs: str = ""

    def __str__(self) -> str:
        return f"{self.section} {self.name}"


#: ``- **4.2 cycle** (S7): Is refused when the flow is built.``
_RULE = re.compile(
    r"- \*\*(?P<section>[\d.]+|S\d) (?P<name>[^*]+)\*\*( \((?P<differs>\w+)\))?: (?P<says>.+)", re.ASCII
)
#: ``  - 4.2: a cycle is a ValueError when built ...`` or ``  - core/test_graph.py::test_...``
_SHOWN = re.compile(r"  - (?P<name>.+)")


def inventory() -> list[Rule]:
    """All rules, from all pages."""
    return [rule for page in sorted((CONTRACT / "rules").glob("*.md")) for rule in rules_of(page)]


def rules_of(page: Path) -> list[Rule]:
    """The rules of a page: behind its heading and what it says of itself stands nothing else."""
    found: list[Rule] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if rule := _RULE.fullmatch(line):
            found.append(Rule(rule["section"], rule["name"], rule["says"], (), rule["differs"] or ""))
        elif found and (shown := _SHOWN.fullmatch(line)):
            found[-1] = replace(found[-1], shown=(*found[-1].shown, shown["name"]))
        else:
            assert not (found and line), f"{page.name}:{number} is neither a rule nor what shows one: {line}"
    return found


@dataclass(frozen=True, slots=True)
class Shows:
    """What can show a rule: the rows that a test plays, and the tests."""

    rows: frozenset[str]
    tests: frozenset[str]
    #: The tests of the contract that stand for themselves, and do not play rows.
    own: frozenset[str]


@cache
def shows() -> Shows:
    """Find the rows and tests that there are."""
    tests = {
        f"{path.relative_to(TESTS)}::{name}" for path in TESTS.rglob("test_*.py") for name in named(path)
    }
    rows: set[str] = set()
    players: set[str] = set()
    for module in _modules(CONTRACT, "test_contract_*.py"):
        file = f"contract/{module.__name__.rpartition('.')[2]}.py"
        played = {f"{file}::{test}": names for test, names in _played(module).items()}
        for name, value in vars(module).items():
            if isinstance(value, Rows) and value:
                plays = {test for test, names in played.items() if names >= set(value)} & tests
                assert plays, f"{file}: no test plays the rows of {name!r}"
                rows |= set(value)
                players |= plays
    contract = {name for name in tests if name.startswith("contract/test_contract_")}
    return Shows(frozenset(rows), frozenset(tests), frozenset(contract - players))


def problems(rules: Iterable[Rule], found: Shows) -> Iterator[str]:
    """Say in words what is wrong with an inventory."""
    rules = list(rules)
    for name, times in Counter(map(str, rules)).items():
        if times > 1:
            yield f"{name}: stands there {times} times"
    listed = {show for rule in rules for show in rule.shown}
    for rule in rules:
        if not rule.shown:
            yield f"{rule}: nothing shows it"
        for show in rule.shown:
            if show not in found.rows | found.tests:
                yield f"{rule}: there is no {show!r}"
        if rule.differs and rule.differs not in {*SEMANTICS, *OTHERWISE}:
            yield f"{rule}: differs={rule.differs!r} is no section of SEMANTICS.md, nor one of {OTHERWISE}"
    for show in sorted((found.rows | found.own) - listed):
        yield f"{show!r} belongs to no rule"
    for show in sorted(found.rows & listed):
        differs = {rule.differs for rule in rules if show in rule.shown}
        for cited in cited_by(show) - differs:
            yield f"{show!r} cites {cited}, and no rule that it shows does"
        if "1.x" in show and not any(differs):
            yield f"{show!r} tells what was otherwise in Prefect 1, and no rule that it shows does"


def cited_by(row: str) -> set[str]:
    """The sections of SEMANTICS.md that the text of a row names: ``S2``, ``S1.5`` or ``SEMANTICS 5``."""
    return {f"S{number}" for number in re.findall(r"\bS(?:EMANTICS )?(\d)", row)}


def named(path: Path) -> Iterator[str]:
    """The names of the tests of a file that always run, also of those in classes."""
    yield from _named(ast.parse(path.read_text(encoding="utf-8")).body)


def _named(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id="pytestmark")], value=marks) if _may_rest([marks]):
                return  # it stands above the tests that it is of
            case ast.ClassDef(name=name) if name.startswith("Test") and not _may_rest(node.decorator_list):
                yield from _named(node.body)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name.startswith("test_") and not _may_rest(node.decorator_list):
                    yield name


def _may_rest(marks: list[ast.expr]) -> bool:
    """Return whether one of some marks lets a test be skipped, or fail."""
    words = {one.attr for mark in marks for one in ast.walk(mark) if isinstance(one, ast.Attribute)}
    return bool(_NOT_ALWAYS & words)


def _played(module: ModuleType) -> dict[str, set[str]]:
    """The rows that each test of a module is played with, by pytest's own mark."""
    return {
        name: {
            value for mark in test.pytestmark if mark.name == "parametrize" for value in _texts(mark.args[1])
        }
        for name, test in vars(module).items()
        if name.startswith("test_") and hasattr(test, "pytestmark")
    }


def _texts(values: object) -> Iterator[str]:
    return (value for value in values if isinstance(value, str)) if isinstance(values, Iterable) else iter(())


def _modules(folder: Path, pattern: str) -> list[ModuleType]:
    package = ".".join(["tests", *folder.relative_to(TESTS).parts])
    return [importlib.import_module(f"{package}.{path.stem}") for path in sorted(folder.glob(pattern))]
