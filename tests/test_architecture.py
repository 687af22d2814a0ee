"""The import law of DESIGN.md as data, and a reader that holds the package to it. Imports nothing of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "prefectlite"

# DESIGN.md, the picture of the house, in which FlowRun is on the floor of the Flow that hands it out. The package's
# own ``__init__`` is the room "".
FLOORS = (
    ("states", "settings", "errors", "faces", "kinds", "late", "masking", "moments", "printable"),
    ("rules", "results", "schedules"),
    ("core", "engine"),
    ("lowering", "tasks"),
    ("worker", "journal", "notifications"),
    ("executors", "views"),
    ("driver",),
    ("flow_run",),
    ("flow", "triggers", "signals", "serializers", "cache_validators"),
    (
        "",
        "cli",
        "testing",
        "examples",
        "pytest_plugin",
        "utilities",
        "client",
        "exceptions",
        "former",
        "absent",
    ),
)
# Modules at paths that they had in Prefect 1, inside of rooms that know nothing of what they lead to. They are a room
# of their own, which holds nothing, and which nobody imports.
FORMER = frozenset(
    {
        "core.flow",
        "engine.cache_validators",
        "engine.executors",
        "engine.executors.dask",
        "engine.executors.local",
        "engine.result",
        "engine.result.base",
        "engine.results",
        "engine.results.constant_result",
        "engine.results.local_result",
        "engine.results.prefect_result",
        "engine.results.secret_result",
        "engine.serializers",
        "engine.signals",
        "engine.state",
    }
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, start=1) for room in rooms}


def _below(floor: int, *but: str) -> frozenset[str]:
    return frozenset(room for room, number in FLOOR.items() if number < floor and room not in but)


# DESIGN.md, the column "may import of ours". All may import errors, and faces, kinds, late, masking, moments and printable:
# whoever takes an argument may have to refuse it, whoever writes a text may have to keep a secret out of it, and has to
# keep a hostile name from driving the terminal, whoever has to do with moments tells a user's from ours, and any room
# may have names that are dear to import.
BY_ALL = frozenset({"errors", "faces", "kinds", "late", "masking", "moments", "printable"})
MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "faces": frozenset(),
    "kinds": frozenset(),
    "late": frozenset(),
    "masking": frozenset(),
    "moments": frozenset(),
    "printable": frozenset(),
    "settings": frozenset(),
    "states": frozenset(),
    "rules": frozenset({"states"}),
    # The settings: which folder is home.
    "results": frozenset({"states", "settings"}),
    "schedules": frozenset(),
    "core": frozenset({"rules", "results", "schedules", "states", "settings"}),
    "engine": frozenset({"rules", "states"}),
    # The results: a task's travels with it.
    "lowering": frozenset({"core", "engine", "results", "rules", "states"}),
    # Tasks that come with the house: made of what users can use, and light, since workers import them.
    "tasks": frozenset({"core", "rules", "states"}),
    "worker": frozenset({"lowering", "core", "results", "rules", "states"}),
    "journal": frozenset({"engine", "states", "settings"}),
    "notifications": frozenset({"core", "states"}),
    "executors": frozenset({"worker", "lowering", "engine", "results", "states", "settings"}),
    "views": frozenset({"journal", "engine", "core", "states"}),
    "driver": _below(7, "views", "tasks"),
    "flow_run": _below(8, "tasks"),
    "flow": _below(9, "tasks"),
    "": _below(10),
    # These stand beside the public names and may use them.
    "cli": _below(10) | {""},
    "testing": _below(10) | {""},
    "examples": _below(10) | {""},
    # Loaded by every pytest where the package is installed: the public names, which come when needed.
    "pytest_plugin": frozenset({""}),
    # Names for users, who import what lies in a room below: `from prefectlite.triggers import all_finished`.
    "triggers": frozenset({"rules"}),
    "signals": frozenset({"states"}),
    "serializers": frozenset({"results"}),
    "cache_validators": frozenset({"lowering", "rules"}),
    # The same under the paths of Prefect 1. `utilities` defines what has no room of its own, too.
    "utilities": frozenset({"core", "lowering", "notifications", "settings", "tasks", "views"}),
    "client": frozenset({"core"}),
    "exceptions": frozenset({"states"}),
    # What is not there: asked by name alone, when Python has found nothing.
    "absent": frozenset(),
    "former": frozenset({"cache_validators", "executors", "flow", "results", "rules", "states"}),
}
# Where a room may see only a part of another.
PARTS: dict[tuple[str, str], frozenset[str]] = {
    ("executors", "engine"): frozenset({"events", "instructions"})
}

# Third parties have one door each: a room, or one module of it.
DOORS: dict[str, frozenset[str]] = {
    "distributed": frozenset({"executors", "worker"}),
    "dask": frozenset({"lowering", "executors"}),
    # What Dask's event loops are made of.
    "tornado": frozenset({"worker.timers"}),
    "cloudpickle": frozenset({"lowering.envelope", "results.serializers"}),
    "pydantic": frozenset({"settings", "states.json", "core.parameter", "core.schema"}),
    # The errors of pydantic's serializer.
    "pydantic_core": frozenset({"core.parameter"}),
    "fsspec": frozenset({"results"}),
    "pandas": frozenset({"results.formats"}),
    # All but the first name a type of it, for type checkers alone.
    "pendulum": frozenset({"moments", "core.moment_parameter", "results.formats", "schedules"}),
    "graphviz": frozenset({"views"}),
    "sqlalchemy": frozenset({"journal"}),
    "click": frozenset({"cli"}),
    "croniter": frozenset({"schedules"}),
    "cryptography": frozenset({"cli.certificates"}),
    "dateutil": frozenset({"schedules"}),
    "requests": frozenset({"notifications"}),
    "rich": frozenset({"cli", "views"}),
    "pytest": frozenset({"pytest_plugin"}),
    "psutil": frozenset({"pytest_plugin", "executors.silence", "worker.descendants", "worker.apart"}),
}
# Imports of third parties inside functions, because they are dear and not every user needs them.
LAZY: dict[str, frozenset[str]] = {
    "executors": frozenset({"distributed", "dask"}),
    "worker": frozenset({"distributed"}),
    "worker.timers": frozenset({"distributed", "tornado"}),
    "worker.descendants": frozenset({"psutil"}),
    "lowering": frozenset({"dask"}),
    "lowering.envelope": frozenset({"cloudpickle"}),
    "results.serializers": frozenset({"cloudpickle"}),
    "results.fsspec_store": frozenset({"fsspec"}),
    "results.formats": frozenset({"pandas"}),
    "views": frozenset({"graphviz", "rich"}),
    "cli": frozenset({"rich"}),
    "cli.certificates": frozenset({"cryptography"}),
    "moments": frozenset({"pendulum"}),
    "settings": frozenset({"pydantic"}),
    "states.json": frozenset({"pydantic"}),
    "core.parameter": frozenset({"pydantic", "pydantic_core"}),
    "core.schema": frozenset({"pydantic"}),
    "schedules": frozenset({"croniter", "dateutil"}),
    "notifications": frozenset({"requests"}),
    "pytest_plugin": frozenset({"psutil"}),
}
# Modules that turn names into modules: lazy public names, also where Prefect 1 had names of rooms above (`core`, and
# `core.parameter`, which `core.moment_parameter` imports; `engine`), state classes, cluster classes, users' flow
# files, and users' functions on workers.
IMPORT_BY_NAME = frozenset(
    {
        "",
        "late",
        "core",
        "core.parameter",
        "engine",
        "executors",
        "tasks",
        "utilities",
        "states.json",
        "lowering.functions",
        "executors.cluster",
        "cli.loading",
    }
)
# Imports of ours that a type checker needs and the law forbids at run time: (module, target).
TYPING_ONLY: frozenset[tuple[str, str]] = frozenset()

# Rooms that are told the time and never look, reach out or draw lots.
PURE = frozenset({"states", "rules", "engine", "schedules"})
IMPURE_MODULES = frozenset(
    [
        "asyncio",
        "concurrent",
        "contextvars",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "queue",
        "random",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
        "warnings",
    ]
)
IMPURE_CALLS = frozenset({"now", "utcnow", "today", "open", "print", "input"})
# `schedule.next(3)` means after now in Prefect 1, and `Scheduled()` means now: one function of each room looks at the
# time where a user leaves it unsaid.
MAY_CALL = frozenset({("schedules.moments", "now"), ("states.surroundings", "now")})


@dataclass(frozen=True)
class Import:
    """One import statement's one target, with where it stands."""

    module: str  # the importing module, without the package's name
    target: str  # the imported module, with it if it is ours
    line: int
    nested: bool = False
    typing: bool = False

    @property
    def is_ours(self) -> bool:
        return self.target.split(".")[0] == PACKAGE

    @property
    def inside(self) -> str:
        return self.target.partition(".")[2]


def room_of(module: str) -> str:
    return "former" if module in FORMER else module.split(".")[0]


def modules(root: Path) -> dict[str, Path]:
    """All modules under ``root``, by dotted name without the package's own."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.Module, module: str, is_package: bool, known: set[str]) -> Iterator[Import]:
    """Every import of a module, wherever it stands."""

    def visit(node: ast.AST, nested: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner = nested or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            match child:
                case ast.Import(names=names):
                    for name in names:
                        yield Import(module, name.name, child.lineno, nested, typing)
                case ast.ImportFrom(names=names):
                    base = _absolute(child, module, is_package)
                    for name in names:
                        whole = f"{base}.{name.name}"
                        target = whole if whole.partition(".")[2] in known else base
                        yield Import(module, target, child.lineno, nested, typing)
                case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                    for part in child.body:
                        yield from visit(ast.Module([part], []), inner, True)
                    for part in child.orelse:
                        yield from visit(ast.Module([part], []), inner, typing)
                case _:
                    yield from visit(child, inner, typing)

    yield from visit(tree, False, False)


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = [PACKAGE, *module.split(".")] if module else [PACKAGE]
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def violations(root: Path) -> list[str]:
    """Say in words where the package under ``root`` breaks the law."""
    known = modules(root)
    found, seen = [], []
    for module, path in known.items():
        where = path.relative_to(root).as_posix()
        if room_of(module) not in FLOOR:
            found.append(f"{where}: the room {room_of(module)!r} is not in DESIGN.md")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for one in imports(tree, module, path.name == "__init__.py", set(known)):
            seen.append(one)
            found += [f"{where}:{one.line}: {text}" for text in _breaches(one)]
        found += [f"{where}:{line}: {text}" for line, text in _acts(tree, module)]
    return found + _circles(seen, set(known))


def _breaches(one: Import) -> Iterator[str]:
    room = room_of(one.module)
    top = one.target.split(".")[0]
    if one.is_ours:
        target = room_of(one.inside)
        if (one.module, one.inside) in TYPING_ONLY and one.typing:
            return
        if one.nested:
            yield f"imports {one.target} inside a function"
        if target not in FLOOR:
            yield f"imports {one.target}, which is in no room of DESIGN.md"
        elif target not in MAY_IMPORT[room] | {room} | BY_ALL:
            yield f"{room or PACKAGE} may not import {target or 'the public names'}"
        elif (part := PARTS.get((room, target))) and one.inside.partition(".")[2].split(".")[0] not in part:
            yield f"{room} may see only {sorted(part)} of {target}, not {one.target}"
    elif top in sys.stdlib_module_names:
        if room in PURE and top in IMPURE_MODULES:
            yield f"{room} is pure and may not import {top}"
    elif not any(_is_in(one.module, door) for door in DOORS.get(top, ())):
        yield f"{top} has no door in {one.module or PACKAGE}"
    elif one.nested and not any(top in tops for door, tops in LAZY.items() if _is_in(one.module, door)):
        yield f"imports {top} inside a function, which is not in the list"


def _is_in(module: str, door: str) -> bool:
    return module == door or module.startswith(f"{door}.")


def _acts(tree: ast.Module, module: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if room_of(module) in PURE and name in IMPURE_CALLS and (module, name) not in MAY_CALL:
            yield node.lineno, f"{room_of(module)} is pure and may not call {name}()"
        if name in {"import_module", "__import__", "late_names"} and module not in IMPORT_BY_NAME:
            yield node.lineno, f"{module} may not import by name"


def _circles(seen: list[Import], known: set[str]) -> list[str]:
    """Modules that need each other while they are imported."""
    edges: dict[str, set[str]] = {}
    for one in seen:
        if one.is_ours and not one.typing and not one.nested and one.inside in known:
            edges.setdefault(one.module, set()).add(one.inside)
    found, done = [], set()
    for start in sorted(edges):
        trail: list[str] = []
        pending = [(start, iter(sorted(edges[start])))]
        while pending:
            module, rest = pending[-1]
            if trail[-1:] != [module]:
                trail.append(module)
            follow = next((target for target in rest if target not in done), None)
            if follow is None:
                done.add(module)
                trail.pop()
                pending.pop()
            elif follow in trail:
                circle = [*trail[trail.index(follow) :], follow]
                found.append("circle: " + " -> ".join(circle))
            else:
                pending.append((follow, iter(sorted(edges.get(follow, ())))))
    return found


def test_the_package_keeps_the_law() -> None:
    assert violations(ROOT) == []


def test_every_allowed_import_goes_down_a_floor() -> None:
    assert set(MAY_IMPORT) == set(FLOOR)
    for room, targets in MAY_IMPORT.items():
        for target in targets - {""}:
            assert FLOOR[target] < FLOOR[room], f"{room} -> {target}"


@pytest.mark.parametrize("module", sorted(FORMER))
def test_a_former_path_holds_nothing_itself(module: str) -> None:
    tree = ast.parse(modules(ROOT)[module].read_text(encoding="utf-8"))

    assert {type(node) for node in tree.body[1:]} <= {ast.ImportFrom, ast.Assign}
    assert all(
        isinstance(node.value, ast.Name | ast.List) for node in tree.body if isinstance(node, ast.Assign)
    )


PLANTED = {
    "up a floor": ("engine/a.py", "from prefectlite.driver import loop", "engine may not import driver"),
    "across a wing": ("core/a.py", "import prefectlite.engine.plan", "core may not import engine"),
    "by a relative path": ("lowering/a.py", "from ..driver import loop", "lowering may not import driver"),
    "of the public names": (
        "rules/a.py",
        "from prefectlite import task",
        "rules may not import the public names",
    ),
    "of a submodule by from": ("rules/a.py", "from prefectlite import core", "rules may not import core"),
    "of a part kept shut": (
        "executors/a.py",
        "from prefectlite.engine.board import Board",
        "executors may see only ['events', 'instructions'] of engine",
    ),
    "for types alone": (
        "states/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from prefectlite.core import task",
        "states may not import core",
    ),
    "inside a function": (
        "driver/a.py",
        "def f():\n    from prefectlite.engine import plan",
        "imports prefectlite.engine inside a function",
    ),
    "inside a method of a class in an if": (
        "driver/a.py",
        "if True:\n    class A:\n        async def f(self):\n            import prefectlite.states",
        "imports prefectlite.states inside a function",
    ),
    "by name": (
        "driver/a.py",
        "import importlib\nimportlib.import_module('json')",
        "driver.a may not import by name",
    ),
    "by name, when first used": (
        "driver/a.py",
        "from prefectlite.late import late_names\n__getattr__ = late_names(__name__, {})",
        "driver.a may not import by name",
    ),
    "of a former path": ("driver/a.py", "import prefectlite.engine.state", "driver may not import former"),
    "of distributed": ("driver/a.py", "import distributed", "distributed has no door in driver.a"),
    "of dask's inside": ("worker/a.py", "from dask.base import tokenize", "dask has no door in worker.a"),
    "of cloudpickle beside its door": (
        "lowering/a.py",
        "import cloudpickle",
        "cloudpickle has no door in lowering.a",
    ),
    "of an unknown third party": ("views/a.py", "import pandas", "pandas has no door in views.a"),
    "of a dear third party, lazily, unlisted": (
        "results/a.py",
        "def f():\n    import fsspec",
        "imports fsspec inside a function, which is not in the list",
    ),
    "of the clock": ("engine/a.py", "import time", "engine is pure and may not import time"),
    "of the moment": (
        "rules/a.py",
        "from datetime import datetime\nx = datetime.now()",
        "rules is pure and may not call now()",
    ),
    "of a file": ("states/a.py", "x = open('y')", "states is pure and may not call open()"),
    "into no room": ("utils/a.py", "", "the room 'utils' is not in DESIGN.md"),
    "from no room": ("driver/a.py", "import prefectlite.helpers", "which is in no room of DESIGN.md"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_import_is_caught(name: str, tmp_path: Path) -> None:
    path, source, expected = PLANTED[name]
    plant(tmp_path, {path: source, "core/__init__.py": "", "engine/state.py": ""})

    found = violations(tmp_path)

    assert [text for text in found if expected in text], found


def test_a_planted_circle_is_caught(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "engine/a.py": "from prefectlite.engine import b",
            "engine/b.py": "import prefectlite.engine.c",
            "engine/c.py": "from prefectlite.engine.a import x",
        },
    )

    assert violations(tmp_path) == ["circle: engine.a -> engine.b -> engine.c -> engine.a"]


def test_a_lawful_tree_passes(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "__init__.py": "from prefectlite.flow import Flow",
            "flow.py": "from prefectlite.driver.loop import Loop\nfrom prefectlite.views import graph",
            "driver/loop.py": "import time\nfrom prefectlite.engine.plan import FlowPlan",
            "engine/plan.py": "from prefectlite.errors import EngineError",
            "executors/dask.py": "def f():\n    import distributed",
            "views/graph.py": "",
            "errors.py": "",
        },
    )

    assert violations(tmp_path) == []


def plant(root: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        path = root / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


# Run in a fresh interpreter: what happens while a module is imported.
PROBE = """
import os, sys, threading
acts, code = [], tuple({os.path.realpath(p) for p in [*sys.path, sys.prefix, sys.base_prefix] if p})
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path, flags = os.path.realpath(arguments[0]), arguments[2] or 0
        if not path.startswith(code):
            acts.append(f"opens {path}")
        elif flags & (os.O_WRONLY | os.O_RDWR) and not path.endswith(".pyc") and ".pyc." not in path:
            acts.append(f"writes {path}")
    elif event.startswith(("socket.connect", "socket.bind", "subprocess", "os.fork", "_thread.start")):
        acts.append(event)
sys.addaudithook(watch)
exec(sys.argv[1], {})
acts += [f"runs thread {one.name}" for one in threading.enumerate() if one is not threading.main_thread()]
heavy = "bokeh click dask distributed IPython numpy pandas pendulum rich sqlalchemy tornado".split()
acts += [f"imports {name}" for name in heavy if name in sys.modules]
print("\\n".join(acts))
"""


def what_importing_does(statement: str, where: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(where)!r})\n{PROBE}", statement],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize("statement", ["import prefectlite", "from prefectlite import *"])
def test_importing_the_package_and_its_names_does_nothing_else(statement: str) -> None:
    # The names come lazily, so that the bare import alone would prove little.
    assert what_importing_does(statement, ROOT) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import threading, time; threading.Thread(target=time.sleep, args=(1,)).start()", "runs thread"),
        ("import pathlib, os; pathlib.Path(os.devnull).read_bytes()", "opens /dev/null"),
        ("import pathlib; pathlib.Path(__file__).with_suffix('.txt').write_text('x')", "writes "),
        ("import socket; socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("import distributed", "imports distributed"),
        ("import rich", "imports rich"),
    ],
)
def test_a_planted_act_at_import_is_caught(source: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "planted_module.py").write_text(source)

    assert [act for act in what_importing_does("import planted_module", tmp_path) if act.startswith(expected)]
