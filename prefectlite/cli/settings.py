"""Prints the settings as TOML, each with what it says and where its value comes from. Knows no file."""

from __future__ import annotations

import json
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
        Those of a section side by side, those of none first.

    Returns
    -------
    str
        TOML, with comments.
    """
    lines: list[str] = []
    section = ""
    for setting in settings:
        heading, _, name = _parts(setting.key)
        if heading != section:
            section = heading
            lines += ["", f"[{section}]"]
        lines += textwrap.wrap(setting.description, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        # TOML has no word for nothing.
        line = f"# {name} =" if setting.value is None else f"{name} = {_toml(setting.value)}"
        lines.append(printable(f"{line}  # {setting.source}"))
    return "\n".join(lines).lstrip("\n") + "\n"


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
    # Texts, numbers and truth are written as in JSON; a moment is a text of its own.
    return (
        value.isoformat()
        if hasattr(value, "isoformat")
        else json.dumps(value, ensure_ascii=False, default=repr)
    )
