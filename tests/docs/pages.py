"""The Python of our pages, as a script and as definitions. Knows Markdown fences; knows nothing of flows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def python_of(text: str) -> str:
    """All Python blocks as one script, each on the lines where the page has it, so that a traceback points there."""
    lines = [""] * (text.count("\n") + 1)
    for block in FENCE.finditer(text):
        first = text.count("\n", 0, block.start(1))
        for place, line in enumerate(block[1].splitlines()):
            lines[first + place] = line
    return "\n".join(lines)


def definitions_of(page: str) -> dict[str, Any]:
    """The classes and functions of a page, by name; nothing else of it is run."""
    path = ROOT / page
    tree = ast.parse(python_of(path.read_text(encoding="utf-8")))
    kinds = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)
    kept = ast.Module([one for one in tree.body if isinstance(one, kinds)], [])
    names: dict[str, Any] = {"__name__": path.stem}
    exec(compile(kept, str(path), "exec"), names)
    return names
