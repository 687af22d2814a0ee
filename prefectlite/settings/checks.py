"""What was said becomes settings, or an error with a mend. Knows pydantic, if there is anything to check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args

from prefectlite.errors import ConfigError
from prefectlite.masking import Secrets
from prefectlite.settings.schema import Settings, known
from prefectlite.settings.sources import Given, opening

if TYPE_CHECKING:
    from pydantic import ValidationError


_DEFAULTS: Final = Settings()


def settings_of(given: Mapping[str, Given], others: Settings = _DEFAULTS) -> Settings:
    """Return the settings that were said, and what there is for the others.

    Parameters
    ----------
    given : mapping of str to Given
        By key.
    others : Settings
        What holds for what was not said; by default, the defaults.

    Returns
    -------
    Settings
        Checked.

    Raises
    ------
    ConfigError
        When a value does not fit; the text names its source.
    """
    sections: dict[str, dict[str, Any]] = {"": {}}
    context: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for key, one in given.items():
        if key.startswith("context.secrets."):
            secrets[key.removeprefix("context.secrets.")] = one.value
        elif key.startswith("context."):
            context[key.removeprefix("context.")] = one.value
        elif key not in known():
            other[key] = one.value
        else:
            section, _, name = key.rpartition(".")
            sections.setdefault(section, {})[name] = _checked(key, one)
    values = sections.pop("")
    for section, changes in sections.items():
        values[section] = replace(getattr(others, section), **changes)
    if context:
        values["context"] = {**others.context, **context}
    if secrets:
        values["secrets"] = Secrets({**others.secrets, **secrets})
    if other:
        values["other"] = {**others.other, **other}
    return replace(others, **values)


def _checked(key: str, given: Given) -> Any:
    # Imported here: pydantic is dear, and who gives no setting need not have it.
    from pydantic import Field, TypeAdapter, ValidationError

    setting = known()[key]
    kind = setting.kind
    if setting.limits:
        kind = _limited(kind, Field(**setting.limits))
    try:
        value = given.value if setting.check is None else setting.check(given.value)
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        problem = _problems(error)
    except ValueError as error:
        problem = str(error)
    raise ConfigError(
        f"{opening(given.source)} sets {given.written or key} = {given.value!r}, but {problem}. Mend the "
        f"value, or take it out to have the default, {setting.default!r}."
    )


def _limited(kind: Any, limits: Any) -> Any:
    """Return a type with limits; of a union, they are those of its numbers."""
    members = get_args(kind)
    if not members:
        return Annotated[kind, limits]
    return Union[  # noqa: UP007  # its members are known only now
        tuple(Annotated[one, limits] if one in (int, float) else one for one in members)
    ]


def _problems(error: ValidationError) -> str:
    found = [one["msg"] for one in error.errors(include_url=False, include_context=False)]
    return " or ".join(f"{text[:1].lower()}{text[1:]}" for text in found)
