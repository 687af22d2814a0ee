"""Facts about Python source files, as small values. Knows ast and folders; knows no flow."""

from __future__ import annotations

import ast
import os
import stat
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

_NESTED: Final = ("body", "orelse", "finalbody", "handlers", "cases")
#: Folders inside the standard library's that hold other people's packages.
_OTHERS: Final = frozenset({"site-packages", "dist-packages"})


class SourceFile(NamedTuple):
    """A file to be looked at.

    Parameters
    ----------
    path : str
        Where it is.
    package : str
        The top-level package or module that it belongs to.
    """

    path: str
    package: str


class Definition(NamedTuple):
    """A function or class of a file.

    Parameters
    ----------
    kind : str
        ``"function"`` or ``"class"``.
    name : str
        Its own name.
    lines : int
        How many lines it takes.
    documented : bool
        Whether it has a docstring.
    """

    kind: str
    name: str
    lines: int
    documented: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """What is left of a syntax tree when all but its definitions is forgotten.

    Parameters
    ----------
    file : SourceFile
        The file.
    lines : int
        Its lines.
    documented : bool
        Whether the module has a docstring.
    definitions : tuple of Definition
        Its functions and classes, nested ones too.
    """

    file: SourceFile
    lines: int
    documented: bool
    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a file counts for.

    Parameters
    ----------
    file : SourceFile
        The file.
    lines, functions, classes : int
        How many of each.
    documentable, documented : int
        How many definitions could have a docstring (the module itself is one), and how many do.
    longest : str
        The name of the longest function; empty if there is none.
    longest_lines : int
        Its lines.
    """

    file: SourceFile
    lines: int
    functions: int
    classes: int
    documentable: int
    documented: int
    longest: str = ""
    longest_lines: int = 0


@dataclass(slots=True)
class Totals:
    """What many files count for together.

    Parameters
    ----------
    files, lines, functions, classes, documentable, documented : int
        Sums over the files.
    """

    files: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    documentable: int = 0
    documented: int = 0

    def add(self, metrics: Metrics) -> None:
        """Count one more file.

        Parameters
        ----------
        metrics : Metrics
            The file's.
        """
        self.files += 1
        self.lines += metrics.lines
        self.functions += metrics.functions
        self.classes += metrics.classes
        self.documentable += metrics.documentable
        self.documented += metrics.documented

    @property
    def docstring_share(self) -> float:
        """The fraction of modules, classes and functions that have a docstring, in [0, 1]."""
        return self.documented / self.documentable if self.documentable else 0.0


@dataclass(slots=True)
class Census:
    """The whole count.

    Parameters
    ----------
    roots : list of str
        The folders that were searched.
    python : str
        The version of the Python that parsed.
    states : dict of str to int
        How many files ended in which state of the parsing task.
    total : Totals
        Over all files that were parsed.
    packages : dict of str to Totals
        Per top-level package, the largest first.
    largest : list of (str, int)
        Paths and lines of the largest files.
    longest : list of (str, str, int)
        Path, name and lines of the longest functions.
    """

    roots: list[str]
    python: str
    states: dict[str, int]
    total: Totals = field(default_factory=Totals)
    packages: dict[str, Totals] = field(default_factory=dict)
    largest: list[tuple[str, int]] = field(default_factory=list)
    longest: list[tuple[str, str, int]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the census as a JSON value.

        Returns
        -------
        dict
            The fields by name, with a ``version`` of the format.
        """
        return {"version": 1, **asdict(self)}


def default_roots() -> list[str]:
    """Return where this interpreter's own and installed modules lie.

    Returns
    -------
    list of str
        The standard library and the site-packages folders, without repetitions.
    """
    paths = sysconfig.get_paths()
    return list(dict.fromkeys(paths[name] for name in ("stdlib", "purelib", "platlib")))


def python_files(roots: Iterable[str]) -> Iterator[SourceFile]:
    """Yield the ``.py`` files below some folders, in a fixed order.

    A folder that cannot be listed is yielded as if it were a file, so that whoever reads it learns
    why. Links to folders are not followed, so that no loop of them traps the search.

    Parameters
    ----------
    roots : iterable of str
        Folders.

    Yields
    ------
    SourceFile
        Each file once, even if one root lies inside another.

    Raises
    ------
    NotADirectoryError
        When a root is no folder.
    """
    stdlib = sysconfig.get_paths()["stdlib"]
    seen: set[str] = set()
    for root in roots:
        if not Path(root).is_dir():
            raise NotADirectoryError(
                f"root {root!r} is not a folder on {os.uname().nodename}; pass the path of one, "
                "-p root=/path/to/code"
            )
        unlisted: list[OSError] = []
        for folder, inside, names in os.walk(root, onerror=unlisted.append):
            inside[:] = sorted(
                name for name in inside if name != "__pycache__" and not (root == stdlib and name in _OTHERS)
            )
            wanted = [str(Path(folder, name)) for name in sorted(names) if name.endswith(".py")]
            wanted += [str(error.filename) for error in unlisted]
            unlisted.clear()
            for path in wanted:
                if path not in seen:
                    seen.add(path)
                    yield SourceFile(path, _package(path, root))
        for error in unlisted:
            yield SourceFile(str(error.filename), _package(str(error.filename), root))


def outline(file: SourceFile) -> Outline:
    """Read and parse a file, and return what defines it.

    Parameters
    ----------
    file : SourceFile
        The file.

    Returns
    -------
    Outline
        A few hundred bytes, where the syntax tree has megabytes.

    Raises
    ------
    OSError
        When the file cannot be read, or is no regular file (a pipe would never end).
    SyntaxError, ValueError
        When it cannot be decoded or parsed.
    """
    if not stat.S_ISREG(Path(file.path).stat().st_mode):
        raise OSError(f"{file.path!r} is not a regular file, so it is not read")
    source = Path(file.path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in strings are no news here
        tree = ast.parse(source, filename=file.path)
    lines = source.count(b"\n") + (not source.endswith(b"\n") if source else 0)
    return Outline(file, lines, ast.get_docstring(tree, clean=False) is not None, tuple(_definitions(tree)))


def measure(found: Outline) -> Metrics:
    """Return what a file counts for.

    Parameters
    ----------
    found : Outline
        The file's definitions.

    Returns
    -------
    Metrics
        Its numbers.
    """
    functions = [one for one in found.definitions if one.kind == "function"]
    longest = max(functions, key=lambda one: one.lines, default=None)
    return Metrics(
        found.file,
        found.lines,
        len(functions),
        len(found.definitions) - len(functions),
        len(found.definitions) + 1,
        sum(one.documented for one in found.definitions) + found.documented,
        longest.name if longest else "",
        longest.lines if longest else 0,
    )


def total_up(roots: Iterable[str], metrics: Iterable[Metrics], states: dict[str, int]) -> Census:
    """Sum up what files count for.

    Parameters
    ----------
    roots : iterable of str
        The folders that were searched.
    metrics : iterable of Metrics
        The files that were parsed.
    states : dict of str to int
        How many files ended in which state.

    Returns
    -------
    Census
        The whole count.
    """
    found = list(metrics)
    census = Census(list(roots), sys.version.split()[0], dict(states))
    for one in found:
        census.total.add(one)
        census.packages.setdefault(one.file.package, Totals()).add(one)
    census.packages = dict(sorted(census.packages.items(), key=lambda pair: (-pair[1].lines, pair[0])))
    by_size = sorted(found, key=lambda one: (-one.lines, one.file.path))
    census.largest = [(one.file.path, one.lines) for one in by_size[:10]]
    by_length = sorted(found, key=lambda one: (-one.longest_lines, one.file.path))
    census.longest = [(one.file.path, one.longest, one.longest_lines) for one in by_length[:5] if one.longest]
    return census


def _package(path: str, root: str) -> str:
    first = os.path.relpath(path, root).split(os.sep, 1)[0]
    return first.removesuffix(".py")


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    # Definitions are statements, so expressions, most of a tree, need no visit.
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            documented = ast.get_docstring(node, clean=False) is not None
            yield Definition(kind, node.name, lines, documented)
        for name in _NESTED:
            below = getattr(node, name, None)
            if isinstance(below, list):
                waiting.extend(below)
