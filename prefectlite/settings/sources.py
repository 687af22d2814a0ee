"""Where settings are said: a file, the environment. Knows TOML; checks names, and no values."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from prefectlite.errors import ConfigError
from prefectlite.masking import MASK
from prefectlite.settings.schema import known, mend, sections

#: The variable that names the configuration file.
FILE_VARIABLE: Final = "PREFECTLITE_CONFIG"
#: The configuration file where that variable is not set.
DEFAULT_FILE: Final = "~/.prefectlite/config.toml"

_PREFIX: Final = re.compile(r"PREFECTLITE_{1,2}(?=[^_])")
_CONTEXT: Final = re.compile(r"CONTEXT_{1,2}(?:(SECRETS)_{1,2})?(?=[^_])(.+)")
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


class Given(NamedTuple):
    """A value that somebody gave.

    Parameters
    ----------
    value : object
        As it was written; checked later.
    source : str
        Who gave it: ``"the environment variable PREFECTLITE_EXECUTOR"``.
    """

    value: Any
    source: str


def from_file() -> dict[str, Given]:
    """Return what the configuration file says.

    Returns
    -------
    dict of str to Given
        By key; empty without a file.

    Raises
    ------
    ConfigError
        When it cannot be read, is not TOML, or names what is no setting.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = Path(os.path.expanduser(named or DEFAULT_FILE))  # noqa: PTH111  # Path's raises without a home
    try:
        content = path.read_bytes()
    except OSError as error:
        if named is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return {}
        told_by = f", which {FILE_VARIABLE} names," if named else ""
        raise ConfigError(
            f"The configuration file {str(path)!r}{told_by} cannot be read: {error.strerror}; mend its path "
            "or its permissions."
        ) from error
    import tomllib

    try:
        tables = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"The configuration file {str(path)!r} is not TOML: {error}; write lines such as "
            "progress = true, under headings such as [results]."
        ) from error
    found: dict[str, Given] = {}
    _put_table(found, "", tables, f"the file {str(path)!r}")
    return {key: _filled(key, given, found) for key, given in found.items()}


def _put_table(found: dict[str, Given], prefix: str, table: Mapping[str, Any], source: str) -> None:
    for name, value in table.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and key in sections():
            _put_table(found, f"{key}.", value, source)
        else:
            put(found, key, value, source)


def _filled(key: str, given: Given, others: Mapping[str, Given]) -> Given:
    """Put what ``${NAME}`` stands for into a text of the file: a variable, or another setting of it."""
    if not isinstance(given.value, str):
        return given

    def meant(found: re.Match[str]) -> str:
        name = found[1]
        value = others[name].value if name in others else os.environ.get(name)
        if value is None:
            raise ConfigError(
                f"In {given.source}, {key} says ${{{name}}}, which is neither an environment variable nor a "
                "setting of the file; set it, or write the value itself."
            )
        return str(value)

    return given._replace(value=_REFERENCE.sub(meant, given.value))


def from_environment() -> dict[str, Given]:
    """Return what the environment says.

    Sections are set off by one underscore or, as in Prefect 1, by two.

    Returns
    -------
    dict of str to Given
        By key.

    Raises
    ------
    ConfigError
        When a variable with our prefix names no setting.
    """
    found: dict[str, Given] = {}
    by_name = {key.upper().replace(".", "_"): key for key in known()}
    for variable, text in sorted(os.environ.items()):
        prefix = _PREFIX.match(variable)
        if prefix is None or variable == FILE_VARIABLE:
            continue
        name, source = variable[prefix.end() :], f"the environment variable {variable}"
        free = _CONTEXT.fullmatch(name)
        if free is None:
            key = by_name.get(re.sub("_+", "_", name.upper()))
            put(found, key or name.lower().replace("__", "."), text, source)
        elif free[1]:
            found[f"context.secrets.{free[2]}"] = Given(text, source)
        else:
            found[f"context.{free[2].lower()}"] = Given(_meaning(text), source)
    return found


def _meaning(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def put(found: dict[str, Given], key: str, value: Any, source: str) -> None:
    """Take what somebody says of a setting, or of a table of them.

    Parameters
    ----------
    found : dict of str to Given
        Where it goes.
    key : str
        Which setting.
    value : object
        What is said.
    source : str
        Who says it.

    Raises
    ------
    ConfigError
        When there is no such setting.
    """
    if key in ("context", "context.secrets"):
        if not isinstance(value, Mapping):
            shown = MASK if key == "context.secrets" else repr(value)
            raise ConfigError(
                f"{opening(source)} sets {key} = {shown}, but it must be a table of names and values; write "
                f"[{key}], and below it a line for each name."
            )
        _put_table(found, f"{key}.", value, source)
        return
    if key in sections():
        raise ConfigError(
            f"{opening(source)} sets {key} = {value!r}, but {key} is a section; its settings are "
            f"{', '.join(one for one in known() if one.startswith(f'{key}.'))}."
        )
    if key not in known() and not key.startswith("context."):
        # Who misspells the name of a secret still means it to be one.
        shown = MASK if "secret" in key.lower() else repr(value)
        raise ConfigError(
            f"{opening(source)} sets {key} = {shown}, which is no setting; {mend(key)} "
            "`prefectlite config` lists the settings."
        )
    found[key] = Given(value, source)


def opening(source: str) -> str:
    """Return a source as the beginning of a sentence.

    Parameters
    ----------
    source : str
        As of ``Given``.

    Returns
    -------
    str
        With a capital letter, where it is no name.
    """
    return source[:1].upper() + source[1:] if source.startswith("the ") else source
