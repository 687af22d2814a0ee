"""Where settings are said: a file, the environment. Knows TOML; checks names, and no values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from prefectlite.errors import ConfigError
from prefectlite.masking import MASK
from prefectlite.settings import former
from prefectlite.settings.names import is_table, objection, sections
from prefectlite.settings.schema import known
from prefectlite.settings.tables import as_tables
from prefectlite.settings.texts import filled, filled_in_braces, meaning

#: The variable that names the configuration file, and what Prefect 1 called it.
FILE_VARIABLE: Final = "PREFECTLITE_CONFIG"
FILE_VARIABLES: Final = (FILE_VARIABLE, "PREFECTLITE__USER_CONFIG_PATH")
#: The configuration file where neither is set.
DEFAULT_FILE: Final = "~/.prefectlite/config.toml"

_PREFIX: Final = re.compile(r"PREFECTLITE_{1,2}(?=[^_])")
_CONTEXT: Final = re.compile(r"CONTEXT_{1,2}(?:(SECRETS)_{1,2})?(?=[^_])(.+)")


class Given(NamedTuple):
    """A value that somebody gave.

    Parameters
    ----------
    value : object
        As it was written; checked later.
    source : str
        Who gave it: ``"the environment variable PREFECTLITE_EXECUTOR"``.
    written : str
        Which setting was named, where that is not its key.
    verbatim : bool
        Whether a text means itself, and refers to nothing.
    """

    value: Any
    source: str
    written: str = ""
    verbatim: bool = False


def read() -> dict[str, Given]:
    """Return what the configuration file says and, before it, the environment.

    Returns
    -------
    dict of str to Given
        By key; what texts refer to has been put into them.

    Raises
    ------
    ConfigError
        When the file cannot be read or is not TOML, or one of them names what can be no setting.
    """
    found: dict[str, Given] = {}
    _read_file(found)
    _read_environment(found)
    return {key: given._replace(value=_value(key, found, (key,))) for key, given in found.items()}


def _read_file(found: dict[str, Given]) -> None:
    variable = next((name for name in FILE_VARIABLES if os.environ.get(name)), None)
    named = DEFAULT_FILE if variable is None else os.environ[variable]
    path = Path(os.path.expanduser(named))  # noqa: PTH111  # Path's raises without a home
    try:
        content = path.read_bytes()
    except OSError as error:
        if variable is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return
        told_by = f", which {variable} names," if variable else ""
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
    for name, value in tables.items():
        put(found, name, value, f"the file {str(path)!r}")


def _read_environment(found: dict[str, Given]) -> None:
    """Take variables; sections are set off by one underscore or, as in Prefect 1, by two."""
    by_name = {
        key.upper().replace(".", "_"): key
        for key in (*known(), *former.RENAMED, *former.IDLE, *former.RUNNERS)
    }
    for variable, text in sorted(os.environ.items()):
        prefix = _PREFIX.match(variable)
        if prefix is None or variable in FILE_VARIABLES:
            continue
        name, source = variable[prefix.end() :], f"the environment variable {variable}"
        free = _CONTEXT.fullmatch(name)
        if free is None:
            key = by_name.get(re.sub("_+", "_", name.upper())) or name.lower().replace("__", ".")
            # With one underscore nothing tells sections of a person's own from names, or names from slips.
            put(found, key, text, source, free="__" in prefix[0])
            if key in found and key not in known():  # whose types say what a text means
                del found[key]
                put(found, key, meaning(text), source)
        elif free[1]:
            found[f"context.secrets.{free[2]}"] = Given(text, source, verbatim=True)
        else:
            found[f"context.{free[2].lower()}"] = Given(as_tables(meaning(text)), source)


def _value(key: str, found: Mapping[str, Given], trail: tuple[str, ...]) -> Any:
    """Return a value with what its text refers to: another setting, or a variable."""
    given = found[key]
    if given.verbatim or not isinstance(given.value, str):
        return given.value

    def value_of(name: str) -> Any:
        wanted = former.RENAMED[name].key if name in former.RENAMED else name
        if wanted in trail:
            raise ConfigError(
                f"In {given.source}, {key} says ${{{name}}}, which refers back to {key}; write one of the "
                "values itself."
            )
        if wanted in found:
            return _value(wanted, found, (*trail, wanted))
        default = known()[wanted].default if wanted in known() else None
        value = os.environ.get(name) if default is None else default
        if value is None:
            raise ConfigError(
                f"In {given.source}, {key} says ${{{name}}}, which is neither an environment variable nor a "
                "setting; set it, or write the value itself."
            )
        return value

    fill = filled_in_braces if key.startswith("context.secrets.") else filled
    return fill(given.value, value_of)


def put(found: dict[str, Given], key: str, value: Any, source: str, *, free: bool = True) -> None:
    """Take what somebody says of a setting, or of a table of them.

    Parameters
    ----------
    found : dict of str to Given
        Where it goes.
    key : str
        Which setting; by our name, by Prefect 1's, or one of a person's own.
    value : object
        What is said.
    source : str
        Who says it.
    free : bool
        Whether a person may make up names there.

    Raises
    ------
    ConfigError
        When there can be no such setting.
    """
    if key.partition(".")[0] == "secrets":  # as config shows them
        key = f"context.{key}"
    if isinstance(value, Mapping) and is_table(key) and (value or key in sections()):
        for name, one in value.items():
            put(found, f"{key}.{name}", one, source, free=free)
        return
    renamed = former.RENAMED.get(key)
    if renamed is not None:
        found[renamed.key] = Given(renamed.taken(value), source, written=key if key != renamed.key else "")
        return
    if key in known():
        found[key] = Given(value, source)
        return
    is_free = key.startswith("context.") and key != "context.secrets"
    if problem := "" if is_free else _problem(key, value, free):
        # Who misspells the name of a secret still means it to be one.
        shown = MASK if "secret" in key.lower() else repr(value)
        raise ConfigError(f"{opening(source)} sets {key} = {shown}, {problem}")
    found[key] = Given(as_tables(value), source)


def _problem(key: str, value: object, free: bool) -> str:
    """Return why a name that is no setting of ours cannot have that value; empty if it can."""
    if key in ("context", "context.secrets"):
        return (
            f"but it must be a table of names and values; write [{key}], and below it a line for each name."
        )
    if key in sections():
        ours = (one for one in (*known(), *former.RENAMED) if one.startswith(f"{key}."))
        return f"but {key} is a section; its settings are {', '.join(ours)}."
    if key in former.RUNNERS:
        return (
            ""
            if former.is_prefect_1s_runner(value)
            else "but one engine applies the rules here, and that class would not be asked; take it out, "
            "and say what it did in triggers and state handlers."
        )
    return "" if former.idle(key) else objection(key, free=free)


def without_effect(given: Mapping[str, Given]) -> str:
    """Return what is to be said of settings that Prefect 1 had and that change nothing here.

    Parameters
    ----------
    given : mapping of str to Given
        What was said, by key.

    Returns
    -------
    str
        A text; empty if all is as they say anyway.
    """
    by_reason: dict[tuple[str, str], list[str]] = {}
    for key, one in given.items():
        idle = former.idle(key)
        if idle is not None and idle.holds is not former.WHATEVER and one.value != idle.holds:
            by_reason.setdefault((one.source, idle.why), []).append(key)
    return "\n".join(
        f"{opening(source)} sets {', '.join(keys)}, which changes nothing here: {why}."
        for (source, why), keys in by_reason.items()
    )


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
