"""The settings that hold now, in this process: read once, changed for a block. Knows sources and checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

from prefectlite.errors import ConfigError
from prefectlite.masking import MASK, Secrets
from prefectlite.settings.checks import settings_of
from prefectlite.settings.schema import (
    LoggingSettings,
    ResultSettings,
    Settings,
    TaskSettings,
    known,
    mend,
)
from prefectlite.settings.sources import Given, from_environment, from_file, put


class Setting(NamedTuple):
    """One setting, as a person is told of it.

    Parameters
    ----------
    key : str
        Its name: ``results.inline_limit``.
    value : object
        Its value; a secret's is masked.
    source : str
        Where that comes from.
    description : str
        What it says; empty for what a person made up.
    """

    key: str
    value: Any
    source: str
    description: str


class _Book:
    """What was read, and what is changed for a while."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._read: dict[str, Given] | None = None
        self._layers: list[dict[str, Given]] = []
        #: None when it must be made anew.
        self.settings: Settings | None = None

    def open(self) -> Settings:
        """Return the settings that hold now."""
        with self._lock:
            if self.settings is None:
                self.settings = settings_of(self.given())
            return self.settings

    def given(self) -> dict[str, Given]:
        """Return what was said, by key."""
        with self._lock:
            if self._read is None:
                self._read = {**from_file(), **from_environment()}
            merged = dict(self._read)
            for layer in self._layers:
                merged.update(layer)
            return merged

    def forget(self) -> None:
        """Read again when somebody asks."""
        with self._lock:
            self._read = self.settings = None

    def put_on(self, layer: dict[str, Given]) -> None:
        """Let what a layer says go first."""
        with self._lock:
            self._layers.append(layer)
            self.settings = None

    def take_off(self, layer: dict[str, Given]) -> None:
        """Let it go; blocks in several threads need not end in order."""
        with self._lock:
            self._layers = [one for one in self._layers if one is not layer]
            self.settings = None


_book: Final = _Book()


def current() -> Settings:
    """Return the settings that hold now.

    Returns
    -------
    Settings
        The same object as long as nothing changes.

    Raises
    ------
    ConfigError
        When the file cannot be read, or file or environment name an unknown setting or a wrong value.
    """
    return _book.settings or _book.open()


def told() -> list[Setting]:
    """Return every setting with its value and where that comes from.

    Returns
    -------
    list of Setting
        In the order of their definition; then the context's values, and secrets with their values masked.

    Raises
    ------
    ConfigError
        As ``current`` does.
    """
    given, held = _book.given(), current()
    found: list[Setting] = []
    for key, one in known().items():
        value: Any = held
        for name in key.split("."):
            value = getattr(value, name)
        found.append(Setting(key, value, given[key].source if key in given else "default", one.description))
    for key in sorted(given.keys() - known().keys()):
        value = MASK if key.startswith("context.secrets.") else given[key].value
        found.append(Setting(key, value, given[key].source, ""))
    return found


@contextmanager
def set_temporary_config(settings: Mapping[str, Any]) -> Iterator[None]:
    """Let some settings have other values in this process inside a block; meant for tests.

    Parameters
    ----------
    settings : mapping of str to object
        Values by key: ``{"results.inline_limit": 0}``.

    Yields
    ------
    None
        Nothing; ``config`` shows the values.

    Raises
    ------
    ConfigError
        When there is no such setting, or a value does not fit.

    Examples
    --------
    >>> with set_temporary_config({"executor": "local", "context.region": "north"}):
    ...     config.executor, config.context["region"]
    ('local', 'north')
    """
    layer: dict[str, Given] = {}
    given: object = settings
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise ConfigError(
            f"set_temporary_config was given {given!r}, which has no names; give keys and values: "
            "{'n_workers': 4}."
        )
    for key, value in settings.items():
        put(layer, key, value, "set_temporary_config")
    _book.put_on(layer)
    try:
        current()
        yield
    finally:
        _book.take_off(layer)


class Config:
    """The settings that hold now: ``config.results.inline_limit``.

    They are read when first asked for. ``prefectlite config`` lists them, with where each comes from.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        executor: str
        n_workers: int | None
        bundle_size: int | Literal["auto"]
        progress: bool
        results: ResultSettings
        logging: LoggingSettings
        tasks: TaskSettings
        context: Mapping[str, Any]
        secrets: Secrets
    else:

        def __getattr__(self, name: str) -> Any:
            """Return the setting, or the section, of that name."""
            try:
                return getattr(current(), name)
            except AttributeError:
                if name.startswith("__"):
                    raise  # Python itself asks for such
                raise AttributeError(
                    f"There is no setting {name!r}; {mend(name)} `prefectlite config` lists them."
                ) from None

        def __setattr__(self, name: str, value: Any) -> NoReturn:
            """Refuse: settings have one place each, and come back after a block."""
            raise AttributeError(
                f"The setting {name!r} cannot be set on config; use the configuration file, "
                f"`with set_temporary_config({{{name!r}: ...}}):` or "
                f"PREFECTLITE_{name.upper()}=... in the environment."
            )

    def __dir__(self) -> list[str]:
        """Return the names of settings and sections."""
        return [*super().__dir__(), *(one.name for one in fields(Settings))]

    def __repr__(self) -> str:
        """Return the settings; secrets by name."""
        return f"<Config: {current()!r}>"

    def __reduce__(self) -> str:
        """Pickle as a reference: a function that reads it reads the one where it runs."""
        return "config"

    def reload(self) -> None:
        """Read file and environment again, when the next setting is asked for."""
        _book.forget()


config: Final = Config()
