"""Names and values that somebody chose to do harm, and what may never come of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

#: Each broke something of a workflow engine, as the reference on reliability tells, or is of the same kind.
NAMES = (
    "../../../../tmp/x",
    "/abs/x",
    "..",
    "~root/.bashrc",
    "a\x00b",
    "\x00",
    "x" * 1_000,
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "a\r\nb",
    "done\n09:41:07 INFO    etl · load-1 · attempt 1 | all is well",
    "tab\tbed",
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style><a href=javascript:alert(1)>",
    "$(touch x)",
    "`id`; rm -rf /",
    "{task_name.__class__.__mro__}",
    "{config}",
    "{{7*7}}",
    "%s%n%(message)s",
    "[red]x[/]",
    "'); DROP TABLE runs;--",
    "\ud800",
    "caf\udce9.csv",
    "\u202egnp.exe",
    "\u2066x\u2028y",
    "\ufeff",
    "🦀",
    "-",
    "load-1",
    "load[3]",
    "load@2",
    "__class__",
    "",
)


def deep(levels: int = 5_000) -> list[Any]:
    """A list in a list in a list."""
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def ring() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


#: What makes a value, by what is odd about it.
VALUES: dict[str, Callable[[], Any]] = {
    "nested 5,000 deep": deep,
    "a ring": ring,
    "a number of 5,000 digits": lambda: 10**5000,
    "no number": lambda: float("nan"),
    "infinity": lambda: float("-inf"),
    "bytes": lambda: b"\xff\x00",
    "a set of mixed kinds": lambda: {1, "a", None},
    "mixed keys": lambda: {1: 2, "a": 3, None: 4},
    "a class": lambda: {"__class__": "x"},
    "a template": lambda: "{{7*7}}",
    "a lone surrogate": lambda: "\ud800",
    "like a Dask key": lambda: ("x", 1),
    "like a Dask task": lambda: (print, "called"),
}

_anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
#: A byte stands for one of these: drawing bytes is fast.
_PIECES = (*NAMES, *map(chr, range(256 - len(NAMES))))


def _from_bytes(drawn: bytes) -> tuple[str, str, str]:
    pieces = [_PIECES[byte] for byte in drawn]
    third = len(pieces) // 3
    return "".join(pieces[:third]), "".join(pieces[third : 2 * third]), "".join(pieces[2 * third :])


#: Three texts, any at all or put together from hostile pieces; some are alike.
texts = st.one_of(
    st.binary(max_size=9).map(_from_bytes),
    st.binary(max_size=3).map(_from_bytes),
    st.sampled_from(NAMES).map(lambda name: (name, name, name)),
    st.tuples(_anything, st.sampled_from(NAMES), _anything),
)


def unshowable(text: str) -> set[str]:
    """The characters of a text that no log and no terminal may get."""
    return set() if text.isascii() and text.isprintable() else set(_UNSHOWABLE.findall(text))


#: By what Unicode says of each character: controls, halves of a pair, ends of lines, turns of direction.
_UNSHOWABLE = re.compile(
    "[{}]".format(
        "".join(
            re.escape(one)
            for one in map(chr, range(0x10000))
            if (unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one not in "\n\t")
            or unicodedata.bidirectional(one)
            in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        )
    )
)


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path is in a folder, whatever links and dots say."""
    return path.resolve().is_relative_to(root.resolve())


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


def tags(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of an HTML text, with the names of their attributes."""
    parser = _Tags()
    parser.feed(html)
    parser.close()
    return parser.found


def html_of(objects: Iterable[object]) -> list[str]:
    """What notebooks show of objects that have a view in HTML or SVG."""
    names = ("_repr_html_", "_repr_svg_")
    return [getattr(one, name)() for one in objects for name in names if hasattr(type(one), name)]
