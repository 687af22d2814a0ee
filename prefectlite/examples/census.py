"""The census: a flow that counts the Python code installed on a machine. Knows files; knows no cluster.

``prefectlite run`` alone runs it. It shows, on real input, most of what a flow is made of: a map over
thousands of files, files that fail on their own, a reduce that tolerates them, retries for a reason
that occurs, a task that only runs if something failed, and one that is skipped under a condition.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from prefectlite import Flow, Parameter, context, signals, task, triggers
from prefectlite.examples import census_table, source_facts
from prefectlite.examples.source_facts import Census, Metrics, Outline, SourceFile

_TRANSIENT: Final = frozenset(
    getattr(errno, name)
    for name in ("EAGAIN", "EBUSY", "EINTR", "EIO", "EMFILE", "ENFILE", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)
)
_COMPARED: Final = ("files", "lines", "functions", "classes")


def is_transient(error: BaseException) -> bool:
    """Return whether an error may be gone a moment later, as those of busy network folders are.

    Parameters
    ----------
    error : BaseException
        What a task raised.

    Returns
    -------
    bool
        True for an ``OSError`` about a resource that is busy, away or used up for now.
    """
    return isinstance(error, OSError) and error.errno in _TRANSIENT


@task
def find_files(root: Path | None, limit: int | None) -> list[SourceFile]:
    """Find the files to be counted.

    Parameters
    ----------
    root : Path or None
        The folder to search; None for this interpreter's own and installed modules.
    limit : int or None
        How many files at most; None for all.

    Returns
    -------
    list of SourceFile
        In a fixed order.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit={limit} is negative; pass how many files to count, or leave it out for all")
    return list(itertools.islice(source_facts.python_files(_roots(root)), limit))


@task(max_retries=2, retry_delay=[0.5, 2.0], retry_on=is_transient)
def parse(file: SourceFile) -> Outline:
    """Parse one file; one that cannot be read, decoded or parsed fails in its own state.

    Parameters
    ----------
    file : SourceFile
        The file.

    Returns
    -------
    Outline
        Its definitions.
    """
    return source_facts.outline(file)


@task
def measure(outline: Outline) -> Metrics:
    """Count what a parsed file defines.

    Parameters
    ----------
    outline : Outline
        The file's definitions.

    Returns
    -------
    Metrics
        Its numbers.
    """
    return source_facts.measure(outline)


@task(trigger=triggers.all_finished)
def total_up(root: Path | None, files: Sequence[SourceFile], metrics: Sequence[Any]) -> Census:
    """Sum up the files that were parsed, whatever became of the others.

    Parameters
    ----------
    root : Path or None
        The folder that was searched.
    files : sequence of SourceFile
        All files that were found.
    metrics : sequence
        A file's numbers, or the exception that its task ended with.

    Returns
    -------
    Census
        The whole count.
    """
    if isinstance(files, BaseException):
        raise LookupError("no files were found, so there is nothing to count") from files
    parsing = context.upstream_states["parse-1"]
    return source_facts.total_up(
        _roots(root), (one for one in metrics if isinstance(one, Metrics)), dict(parsing.context["counts"])
    )


@task
def compare(census: Census, output: Path) -> dict[str, int]:
    """Compare with the report of an earlier run; skipped if there is none of the same folders.

    Parameters
    ----------
    census : Census
        The new count.
    output : Path
        Where the earlier report would be.

    Returns
    -------
    dict of str to int
        By how much each number grew.
    """
    where = census_table.shown(str(output))
    try:
        earlier = json.loads(output.read_bytes())
        before = {name: int(earlier["total"][name]) for name in _COMPARED}
    except FileNotFoundError:
        raise signals.SKIP(f"there is no earlier report at {where}") from None
    except (ValueError, LookupError, TypeError):
        raise signals.SKIP(f"the file at {where} is not a report") from None
    if earlier.get("roots") != census.roots:
        raise signals.SKIP(f"the report at {where} is of other folders")
    return {name: getattr(census.total, name) - before[name] for name in _COMPARED}


@task(skip_on_upstream_skip=False, max_retries=3, retry_delay=[0.5, 2.0, 5.0], retry_on=is_transient)
def report(census: Census, changes: dict[str, int] | None, output: Path) -> str:
    """Write the report, and return it as a page of text.

    Parameters
    ----------
    census : Census
        The count.
    changes : dict of str to int or None
        What changed since the earlier report, if there was one.
    output : Path
        Where to write; the file is replaced as a whole, so a reader never sees half of it.

    Returns
    -------
    str
        Tables of the largest packages and modules.
    """
    _write(output, json.dumps({**census.to_json(), "changes": changes}, indent=1))
    return census_table.page(census, changes, str(output.absolute()))


@task(trigger=triggers.any_failed, max_retries=3, retry_delay=[0.5, 2.0, 5.0], retry_on=is_transient)
def list_failures(files: Sequence[SourceFile], outlines: Sequence[Any], output: Path) -> str:
    """Write down which files failed and why; runs only if some did.

    Parameters
    ----------
    files : sequence of SourceFile
        All files that were found.
    outlines : sequence
        A file's definitions, or the exception that its task ended with.
    output : Path
        The report's path; the list is written beside it.

    Returns
    -------
    str
        Where the list was written.
    """
    if isinstance(files, BaseException):
        lines = [f"find_files: {type(files).__name__}: {files}"]
    else:
        lines = [
            f"{census_table.shown(file.path)}: {type(found).__name__}: {found}"
            for file, found in zip(files, outlines, strict=True)
            if isinstance(found, BaseException)
        ]
    path = output.with_suffix(".failures.txt")
    _write(path, "\n".join([*lines, ""]))
    return str(path.absolute())


def _roots(root: Path | None) -> list[str]:
    return source_facts.default_roots() if root is None else [str(root)]


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8", errors="backslashreplace")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


with Flow("census") as flow:
    root = Parameter("root", default=None, type=Path | None)
    limit = Parameter("limit", default=None, type=int | None)
    output = Parameter("output", default=Path("census.json"), type=Path)

    files = find_files(root, limit)
    outlines = parse.map(files)
    metrics = measure.map(outlines)
    census = total_up(root, files, metrics, upstream_tasks=[outlines])
    changes = compare(census, output)
    written = report(census, changes, output)
    list_failures(files, outlines, output)

flow.set_reference_tasks([written])
