"""The settings that hold now, in this process: read once, changed for a block. Knows sources and checks."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from prefectlite.errors import ConfigError
from prefectlite.masking import MASK, Secrets
from prefectlite.settings.checks import settings_of
from prefectlite.settings.former import idle
from prefectlite.settings.names import is_replaced, named, within
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
        #: None for what was said and is to be forgotten.
        self._read: dict[str, Given | None] | None = None
        self._layers: list[dict[str, Given | None]] = []
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
                self._read = {**read()}
                _tell_without_effect(self._read)
            merged = dict(self._read)
            for layer in self._layers:
                merged.update(layer)
            return {key: given for key, given in merged.items() if given is not None}

    def forget(self) -> None:
        """Read again when somebody asks."""
        with self._lock:
            self._read = self.settings = None

    def put_on(self, said: Mapping[str, Any]) -> dict[str, Given | None]:
        """Let what a block says go first, and return it as a layer."""
        with self._lock:
            layer = self._layer_of(said, "set_temporary_config")
            self._layers.append(layer)
            self.settings = None
            return layer

    def write(self, said: Mapping[str, Any]) -> dict[str, Given | None]:
        """Let settings have values: until the innermost block is left, if there is one, else for good."""
        with self._lock:
            changes = self._layer_of(said, "An assignment to config")
            self._change(changes)
            return changes

    def erase(self, key: str) -> None:
        """Forget what was said of a setting or a section, as long as ``write`` would hold."""
        with self._lock:
            self._change(dict.fromkeys(self._below(key)))

    def _change(self, changes: Mapping[str, Given | None]) -> None:
        self.given()
        assert self._read is not None
        layer = self._layers[-1] if self._layers else self._read
        before = dict(layer)
        layer.update(changes)
        try:
            self.settings = settings_of(self.given())
        except ConfigError:
            layer.clear()
            layer.update(before)
            raise

    def _layer_of(self, said: Mapping[str, Any], source: str) -> dict[str, Given | None]:
        found: dict[str, Given] = {}
        gone: dict[str, Given | None] = {}
        for key, value in said.items():
            if is_replaced(key):
                gone |= dict.fromkeys(self._below(key))
            put(found, key, value, source)
        return gone | found

    def _below(self, key: str) -> list[str]:
        return within(key, self.given())

    def take_off(self, layer: dict[str, Given | None]) -> None:
        """Let it go; blocks in several threads need not end in order."""
        with self._lock:
            self._layers = [one for one in self._layers if one is not layer]
            self.settings = None


class _Place:
    """Who is asked for settings before the book is."""

    def __init__(self) -> None:
        self.settings: Callable[[], Settings | None] = lambda: None
        self.amend: Callable[[Mapping[str, Any]], AbstractContextManager[None]] = lambda _: nullcontext()


_book: Final = _Book()
_place: Final = _Place()


def current() -> Settings:
    """Return the settings that hold now, where this code runs.

    Returns
    -------
    Settings
        The same object as long as nothing changes; those of the context, where it has some of its own.

    Raises
    ------
    ConfigError
        When the file cannot be read, or file or environment name an unknown setting or a wrong value.
    """
    return _place.settings() or _book.settings or _book.open()


def amended(settings: Settings, said: Mapping[str, Any], *, replaces: bool = False) -> Settings:
    """Return settings in which some are others.

    Parameters
    ----------
    settings : Settings
        What holds for what is not named.
    said : mapping of str to object
        Values by key, as for ``set_temporary_config``.
    replaces : bool
        Whether a section of a person's own is replaced as a whole, as where it is set; else it is added to.

    Returns
    -------
    Settings
        Checked.

    Raises
    ------
    ConfigError
        When there is no such setting, or a value does not fit.
    """
    found: dict[str, Given] = {}
    for key, value in named(said, "context.config").items():
        if replaces and is_replaced(key):
            settings = lessened(settings, key)
        put(found, key, value, "The context's config")
    _tell_without_effect(found, level=5)
    return settings_of(found, settings)


def lessened(settings: Settings, key: str) -> Settings:
    """Return settings in which nothing is said of one, or of those of a section.

    Parameters
    ----------
    settings : Settings
        What holds for the others.
    key : str
        Which; all for an empty text.

    Returns
    -------
    Settings
        With defaults in their place.
    """

    def kept(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        gone = within(key, [f"{prefix}{name}" for name in values])
        return {name: value for name, value in values.items() if f"{prefix}{name}" not in gone}

    others = replace(
        settings,
        context=kept(settings.context, "context."),
        secrets=Secrets(kept(settings.secrets, "context.secrets.")),
        other=kept(settings.other),
    )
    return settings_of(
        {one: Given(known()[one].default, "the default") for one in within(key, known())}, others
    )


def ask_first(
    settings: Callable[[], Settings | None],
    amend: Callable[[Mapping[str, Any]], AbstractContextManager[None]],
) -> None:
    """Say who knows whether code has settings of its own where it runs.

    Parameters
    ----------
    settings : callable
        Returns them; None where those of the process hold.
    amend : callable
        Returns a block in which some of them are others, as ``set_temporary_config`` is given them.
    """
    _place.settings, _place.amend = settings, amend


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
    given, held = _book.given(), config
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


def _tell_without_effect(said: Mapping[str, Given | None], level: int = 4) -> None:
    if text := without_effect({key: given for key, given in said.items() if given is not None}):
        warnings.warn(text, stacklevel=level)


@contextmanager
def set_temporary_config(temp_config: Mapping[str, Any]) -> Iterator[Config]:
    """Let some settings have other values in this process inside a block; meant for tests.

    Parameters
    ----------
    temp_config : mapping of str to object
        Values by key: ``{"results.inline_limit": 0}``, or ``{"results": {"inline_limit": 0}}``.

    Yields
    ------
    Config
        ``config``, which shows the values; what is set on it meanwhile ends with the block, too.

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
    layer = _book.put_on(named(temp_config, "set_temporary_config"))
    try:
        _tell_without_effect(layer)
        _book.open()
        with _place.amend(temp_config):
            yield config
    finally:
        _book.take_off(layer)


class Config(Section):
    """The settings that hold now: ``config.results.inline_limit``, or ``config["results"]``.

    They are read when first asked for. ``prefectlite config`` lists them, with where each comes from. They
    can be set too, as in a dict with attributes, and both by the names that they had in Prefect 1:
    ``config.tasks.defaults.max_retries = 3`` and ``config.update({"tasks": {"max_retries": 3}})`` hold in
    this process, inside ``with set_temporary_config(...)`` until the block is left.

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
        context: Section
        secrets: MutableMapping[str, Any]

    def __repr__(self) -> str:
        """Return the settings; secrets by name."""
        return f"<Config: {self._held()!r}>" if not self._prefix else super().__repr__()

    def __reduce__(self) -> tuple[Any, ...] | str:
        """Pickle as a reference: a function that reads it reads the one where it runs."""
        return (Config, (self._prefix,)) if self._prefix else "config"

    def _held(self) -> Settings:
        return _book.settings or _book.open()

    def _write(self, said: Mapping[str, Any]) -> None:
        _tell_without_effect(_book.write(said))

    def _forget(self, key: str) -> None:
        _book.erase(key)

    def _at(self, prefix: str) -> Self:
        return type(self)(prefix)

    def reload(self) -> None:
        """Read file and environment again, when the next setting is asked for."""
        _book.forget()


config: Final = Config()
