"""Prints the settings as TOML, each with what it says and where its value comes from. Knows no file."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Final

from prefectlite.settings import Setting
from prefectlite.views.printable import printable

_WIDTH: Final = 100
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def settings_text(settings: Iterable[Setting]) -> str:
    """Return settings as a text to be printed.

    Parameters
    ----------
    settings : iterable of Setting
        In any order: those of a section are put side by side, and those of none first.

    Returns
    -------
    str
        TOML, with comments.
    """
    by_section: dict[str, list[str]] = {"": []}
    for setting in settings:
        by_section.setdefault(_parts(setting.key)[0], []).extend(_lines(setting))
    parts = [[f"[{section}]", *lines] if section else lines for section, lines in by_section.items()]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _lines(setting: Setting) -> list[str]:
    told = textwrap.wrap(setting.description, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    name = _parts(setting.key)[2]
    # TOML has no word for nothing.
    line = f"# {name} =" if setting.value is None else f"{name} = {_toml(setting.value)}"
    return [*told, printable(f"{line}  # {setting.source}")]


def _parts(key: str) -> tuple[str, str, str]:
    # A name that somebody made up may hold dots.
    for section in ("context.secrets", "context"):
        if key.startswith(f"{section}."):
            return section, ".", _name(key.removeprefix(f"{section}."))
    return key.rpartition(".")


def _name(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_name(str(name))} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, nan
    # Texts, numbers and truth are written as in JSON.
    return json.dumps(value, ensure_ascii=False, default=repr)
