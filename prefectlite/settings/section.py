"""A section of settings, to be read and set by attribute and by item. Knows all names; knows no file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, NoReturn, Self

from prefectlite.masking import OpenSecrets, Secrets
from prefectlite.settings import former
from prefectlite.settings.names import is_table, mend, named, sections
from prefectlite.settings.schema import Settings, known

_CONTEXT = "context"
_SECRETS = "context.secrets"


class Section(MutableMapping[str, Any]):
    """Settings by name, those of Prefect 1 and a person's own too; attributes and items are the same things.

    ``section.tasks.defaults.max_retries``, ``section["tasks"]["max_retries"]`` and ``section.get("tasks")``
    read. Its names are those of the settings; what Prefect 1 called them can be read as well. These are the
    settings of one moment, and cannot be set; those of the process and of the context can.

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
        if key == _SECRETS:
            return self._secrets()
        idle = former.idle(key)
        if idle is not None and idle.holds not in (former.NOTHING, former.WHATEVER):
            return idle.holds
        free, _, rest = key.partition(".")
        values, own = (settings.context, rest) if free == _CONTEXT else (settings.other, key)
        if own in values and not (isinstance(values[own], Mapping) and is_table(key)):
            return values[own]
        if key in sections() or any(one == key or one.startswith(f"{key}.") for one in settings.other):
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
        """Set the setting, or the section, of that name."""
        self._write({self._key(name): value})

    def __setitem__(self, name: str, value: Any) -> None:
        """Set it as an attribute."""
        self._write({self._key(name): value})

    def __delattr__(self, name: str) -> None:
        """Forget what was said of a setting or a section."""
        if name not in self:
            raise AttributeError(self._missing(name))
        del self[name]

    def __delitem__(self, name: str) -> None:
        """Forget what was said of a setting or a section."""
        if name not in self:
            raise KeyError(self._missing(name))
        self._forget(self._key(name))

    def update(  # type: ignore[override]  # without the overloads for each kind of dict
        self, other: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), /, **values: Any
    ) -> None:
        """Set several settings, or none of them if one is wrong.

        Parameters
        ----------
        other : mapping of str to object, or iterable of pairs
            Values by name, those of a section in a mapping of their own, or with its name and a dot before
            theirs. One of a person's own is replaced as a whole; of the others, what is not named stays.
        **values : object
            More of them.

        Raises
        ------
        ConfigError
            When there is no such setting, or a value does not fit.
        """
        said = {**named(other, f"config.{self._key('update')}"), **values}
        if said:
            self._write({self._key(name): value for name, value in said.items()})

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the setting, or the section, of that name, which is set if it is not there.

        Parameters
        ----------
        name : str
            Which.
        default : object
            What it is set to; for a section, a dict.

        Returns
        -------
        object
            What is there now.
        """
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str, /, *default: Any) -> Any:
        """Forget what was said of a setting or a section, and return it.

        Parameters
        ----------
        name : str
            Which.
        *default : object
            What is returned if there is none.

        Returns
        -------
        object
            What it was; of a section, a copy.

        Raises
        ------
        KeyError
            When there is none, and no default.
        """
        if default and name not in self:
            return default[0]
        found = self[name]
        if isinstance(found, Section):
            found = found.copy()
        elif isinstance(found, OpenSecrets):
            found = Secrets(found)
        del self[name]
        return found

    def clear(self) -> None:
        """Forget what was said of all settings of the section; those of ours have their defaults then."""
        self._forget(self._prefix)

    def copy(self) -> Section:
        """Return the settings of this moment, of which a later change takes no notice.

        Returns
        -------
        Section
            To be read, or given to ``update``.
        """
        return Section(self._held(), self._prefix)

    def __iter__(self) -> Iterator[str]:
        """Return the names of settings and sections."""
        before = f"{self._prefix}." if self._prefix else ""
        held = self._held()
        keys = [*known(), *held.other, *(f"{_CONTEXT}.{name}" for name in held.context)]
        if held.secrets or not before:
            keys += [_SECRETS]
        inside = (key.removeprefix(before) for key in keys if key.startswith(before))
        return iter(dict.fromkeys(key if before == "context." else key.partition(".")[0] for key in inside))

    def to_dict(self) -> dict[str, Any]:
        """Return a copy, in which sections are dicts.

        Returns
        -------
        dict
            Values by name; secrets by themselves, and hidden.
        """
        return {name: _copied(value) for name, value in self.items()}

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

    def __copy__(self) -> Section:
        """Return the settings of this moment."""
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Section:
        """Return the settings of this moment."""
        return self.copy()

    def _held(self) -> Settings:
        settings: Settings = self._settings
        return settings

    def _secrets(self) -> Mapping[str, Any]:
        return _SecretsOf(self._at(""))

    def _write(self, said: Mapping[str, Any]) -> None:
        self._refuse(next(iter(said)))

    def _forget(self, key: str) -> None:
        self._refuse(key)

    def _at(self, prefix: str) -> Self:
        return type(self)(self._settings, prefix)

    def _key(self, name: str) -> str:
        if self._prefix:
            return f"{self._prefix}.{name}"
        return _SECRETS if name == "secrets" else str(name)

    def _missing(self, name: str) -> str:
        key = self._key(name)
        if former.idle(key) is not None:
            return (
                f"There is no setting {key!r}: it was about a server, and there is none; nobody has set it."
            )
        todo = mend(key, f"set it before, or read it with get({name!r}).")
        return f"There is no setting {key!r}; {todo} `prefectlite config` lists them."

    def _refuse(self, key: str) -> NoReturn:
        raise AttributeError(
            f"The setting {key!r} cannot be set here: these are the settings of one moment; set it on "
            "prefectlite.config."
        )


class _SecretsOf(OpenSecrets):
    """The secrets that settings hold.

    Parameters
    ----------
    settings : Section
        All of them.
    """

    __slots__ = ("_settings",)

    def __init__(self, settings: Section) -> None:
        object.__setattr__(self, "_settings", settings)

    def _held(self) -> Secrets:
        secrets: Secrets = self._settings._held().secrets
        return secrets

    def _keep(self, name: str, value: Any) -> None:
        self._settings._write({f"{_SECRETS}.{name}": value})

    def _drop(self, name: str) -> None:
        self._settings._forget(f"{_SECRETS}.{name}")


def settings_in(value: object) -> Settings | None:
    """Return all settings that a section holds.

    Parameters
    ----------
    value : object
        An outermost section, for example ``config``.

    Returns
    -------
    Settings or None
        As they are now; None for anything else.
    """
    return value._held() if isinstance(value, Section) and not value._prefix else None


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


def _copied(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_dict()
    return Secrets(value) if isinstance(value, OpenSecrets) else value


def _ours(settings: Settings, key: str) -> Any:
    value: Any = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value
