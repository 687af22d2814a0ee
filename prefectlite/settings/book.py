"""The settings that hold now, in this process: read once, changed for a block. Knows sources and checks."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from prefectlite.errors import ConfigError
from prefectlite.masking import MASK, Secrets
from prefectlite.settings.checks import settings_of
from prefectlite.settings.former import idle
from prefectlite.settings.schema import (
    DaskSettings,
    FlowSettings,
    LoggingSettings,
    ResultSettings,
    Settings,
    TaskSettings,
    known,
)
from prefectlite.settings.section import Section
from prefectlite.settings.sources import Given, put, read, without_effect

#: Names of what nobody should read over somebody's shoulder.
_DELICATE: Final = re.compile(r"^context\.secrets\.|(?:[._]|api)(?:key|token|secret|password)", re.IGNORECASE)


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
                self._read = read()
                _tell_without_effect(self._read)
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

    def write(self, key: str, value: Any) -> None:
        """Let a setting have a value: until the innermost block is left, if there is one, else for good."""
        with self._lock:
            self.given()
            assert self._read is not None
            layer = self._layers[-1] if self._layers else self._read
            before = dict(layer)
            try:
                put(layer, key, value, "An assignment to config")
                self.settings = settings_of(self.given())
            except ConfigError:
                layer.clear()
                layer.update(before)
                raise
            _tell_without_effect({one: given for one, given in layer.items() if before.get(one) != given})

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
    given, held = _book.given(), Section(current())
    found: list[Setting] = []
    for key, one in known().items():
        value: Any = held
        for name in key.split("."):
            value = value[name]
        found.append(Setting(key, value, _source(given.get(key)), one.description))
    for key in sorted(given.keys() - known().keys()):
        value = MASK if _DELICATE.search(key) else given[key].value
        remark = "It was a setting of Prefect 1, and changes nothing." if idle(key) else ""
        found.append(Setting(key, value, _source(given[key]), remark))
    return found


def _source(given: Given | None) -> str:
    if given is None:
        return "default"
    return f"{given.source}, as {given.written}" if given.written else given.source


def _tell_without_effect(given: Mapping[str, Given]) -> None:
    if text := without_effect(given):
        warnings.warn(text, stacklevel=4)


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
    _tell_without_effect(layer)
    _book.put_on(layer)
    try:
        current()
        yield
    finally:
        _book.take_off(layer)


class Config(Section):
    """The settings that hold now: ``config.results.inline_limit``, or ``config["results"]``.

    They are read when first asked for. ``prefectlite config`` lists them, with where each comes from. They
    can be set too, and both by the names that they had in Prefect 1:
    ``config.tasks.defaults.max_retries = 3`` holds in this process, inside ``with set_temporary_config(...)``
    until the block is left.

    Parameters
    ----------
    prefix : str
        Which section it is; by default, the outermost.
    """

    __slots__ = ()

    def __init__(self, prefix: str = "") -> None:
        object.__setattr__(self, "_prefix", prefix)

    if TYPE_CHECKING:
        executor: str
        n_workers: int | None
        bundle_size: int | Literal["auto"]
        progress: bool
        debug: bool
        home_dir: str
        results: ResultSettings
        logging: LoggingSettings
        tasks: TaskSettings
        flows: FlowSettings
        dask: DaskSettings
        context: Mapping[str, Any]
        secrets: Secrets

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the setting of that name, in this process."""
        _book.write(self._key(name), value)

    def __repr__(self) -> str:
        """Return the settings; secrets by name."""
        return f"<Config: {current()!r}>" if not self._prefix else super().__repr__()

    def __reduce__(self) -> tuple[Any, ...] | str:
        """Pickle as a reference: a function that reads it reads the one where it runs."""
        return (Config, (self._prefix,)) if self._prefix else "config"

    def _held(self) -> Settings:
        return current()

    def _at(self, prefix: str) -> Self:
        return type(self)(prefix)

    def reload(self) -> None:
        """Read file and environment again, when the next setting is asked for."""
        _book.forget()


config: Final = Config()
