"""A section of settings, to be read by attribute and by item. Knows all names; knows no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NoReturn, Self

from prefectlite.masking import Secrets
from prefectlite.settings import former
from prefectlite.settings.names import mend, sections
from prefectlite.settings.schema import Settings, known

_CONTEXT = "context"
_SECRETS = "context.secrets"


class Section(Mapping[str, Any]):
    """Settings by name, those of Prefect 1 and a person's own too; attributes and items are the same things.

    ``section.tasks.defaults.max_retries``, ``section["tasks"]["max_retries"]`` and ``section.get("tasks")``
    read. Its names are those of the settings; what Prefect 1 called them can be read as well.

    Parameters
    ----------
    settings : Settings
        All that there are.
    prefix : str
        Which section it is; by default, the outermost.
    """

    __slots__ = ("_prefix", "_settings")

    def __init__(self, settings: Settings, prefix: str = "") -> None:
        object.__setattr__(self, "_settings", settings)
        object.__setattr__(self, "_prefix", prefix)

    def __getitem__(self, name: str) -> Any:
        """Return the setting, or the section, of that name."""
        key = self._key(name)
        settings = self._held()
        renamed = former.RENAMED.get(key)
        if renamed is not None:
            return renamed.shown(_ours(settings, renamed.key))
        if key in known():
            return _ours(settings, key)
        if key in (_SECRETS, "secrets"):
            return settings.secrets
        idle = former.idle(key)
        if idle is not None and idle.holds not in (former.NOTHING, former.WHATEVER):
            return idle.holds
        free, _, own = key.partition(".")
        values = settings.context if free == _CONTEXT else settings.other
        if (own if free == _CONTEXT else key) in values:
            return values[own if free == _CONTEXT else key]
        if key in sections() or any(one.startswith(f"{key}.") for one in settings.other):
            return self._at(key)
        if idle is not None and idle.holds is former.WHATEVER:
            return []
        raise KeyError(self._missing(name))

    def __getattr__(self, name: str) -> Any:
        """Return the setting, or the section, of that name."""
        if name.startswith("__"):
            raise AttributeError(name)  # Python itself asks for such
        try:
            return self[name]
        except KeyError as missing:
            raise AttributeError(missing.args[0]) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: these are the settings of one moment."""
        self._refuse(name)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set it as an attribute."""
        setattr(self, name, value)

    def __iter__(self) -> Iterator[str]:
        """Return the names of settings and sections."""
        before = f"{self._prefix}." if self._prefix else ""
        keys = [*known(), *self._held().other, *(f"{_CONTEXT}.{name}" for name in self._held().context)]
        if not before:
            keys += [f"{_CONTEXT}."]
        inside = (key.removeprefix(before) for key in keys if key.startswith(before))
        return iter(dict.fromkeys(key if before == "context." else key.partition(".")[0] for key in inside))

    def to_dict(self) -> dict[str, Any]:
        """Return a copy, in which sections are dicts.

        Returns
        -------
        dict
            Values by name.
        """
        return {
            name: value.to_dict() if isinstance(value, Section) else value for name, value in self.items()
        }

    def __len__(self) -> int:
        """Return how many names there are."""
        return sum(1 for _ in self)

    def __dir__(self) -> list[str]:
        """Return the names too."""
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        """Return the values; secrets by name."""
        return f"<Settings {self._prefix}: {dict(self)!r}>"

    def __reduce__(self) -> tuple[Any, ...] | str:
        """Pickle the settings with it."""
        return type(self), (self._settings, self._prefix)

    def _held(self) -> Settings:
        settings: Settings = self._settings
        return settings

    def _at(self, prefix: str) -> Self:
        return type(self)(self._settings, prefix)

    def _key(self, name: str) -> str:
        return f"{self._prefix}.{name}" if self._prefix else str(name)

    def _missing(self, name: str) -> str:
        key = self._key(name)
        if former.idle(key) is not None:
            return (
                f"There is no setting {key!r}: it was about a server, and there is none; nobody has set it."
            )
        todo = mend(key, f"set it before, or read it with get({name!r}).")
        return f"There is no setting {key!r}; {todo} `prefectlite config` lists them."

    def _refuse(self, name: str) -> NoReturn:
        raise AttributeError(
            f"The setting {self._key(name)!r} cannot be set here: these are the settings that the flow run "
            "began with; set it on prefectlite.config, before the run."
        )


def to_travel(settings: Settings) -> Section:
    """Return the settings without secrets, which travel on their own.

    Parameters
    ----------
    settings : Settings
        Those that hold now.

    Returns
    -------
    Section
        For ``context.config``.
    """
    return Section(replace(settings, secrets=Secrets({})))


def _ours(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value
