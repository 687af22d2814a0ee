"""What the context holds where nobody put it there: settings, secrets, what the configuration says for it.

``context.config`` and ``context.secrets`` show what holds for the code that asks: what a block, a script or
a body has set there, before what the settings of the process say. What is set on them goes where ``context``
puts what is set, and ends with that. Knows layers and settings; knows no task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from prefectlite.core.layers import current_layer, enter_layer, own_layer, push
from prefectlite.core.loggers import get_logger
from prefectlite.errors import ContextError
from prefectlite.kinds import shown
from prefectlite.masking import OpenSecrets, Secrets
from prefectlite.settings import Section, Settings, amended, ask_first, config, current, lessened, settings_in

#: The names that the context always holds, with what is to be given under them.
STANDING: Final[Mapping[str, str]] = {
    "config": "context(config={'debug': True})",
    "secrets": "context(secrets={'DB_PASSWORD': ...})",
}

_BENEATH: Final = {"logger": get_logger()}


def beneath() -> Mapping[str, Any]:
    """Return what the context shows unless a layer says otherwise.

    Returns
    -------
    mapping of str to object
        Values by name: the ``logger`` of all that is no task's, and what the configuration says, which a flow
        run brings along.
    """
    if "flow_run_id" in current_layer().values:
        return _BENEATH
    return {**_BENEATH, **current().context}


def held(name: str) -> Any:
    """Return what the context shows under a standing name.

    Parameters
    ----------
    name : str
        ``"config"`` or ``"secrets"``.

    Returns
    -------
    Section or OpenSecrets
        As they hold here; they can be set. Where nobody set any settings, ``prefectlite.config``.
    """
    if name == "secrets":
        return SecretsHere()
    return config if current_layer().values.get(name, config) is config else _ConfigHere()


def copied(name: str) -> Any:
    """Return what the context shows under a standing name, to be kept.

    Parameters
    ----------
    name : str
        ``"config"`` or ``"secrets"``.

    Returns
    -------
    Section or Secrets
        Later changes do not show in it.
    """
    values = current_layer().values
    if name in values and "flow_run_id" in values:
        return values[name]
    return held(name).copy() if name == "config" else Secrets(held(name))


def taken_in(name: str, value: Any) -> Any:
    """Return what the context keeps of a value that is set under a standing name.

    Parameters
    ----------
    name : str
        ``"config"`` or ``"secrets"``.
    value : object
        What it is set to.

    Returns
    -------
    Section or Secrets
        All settings, those that are not named as they hold here; or secrets, which are hidden from now on.

    Raises
    ------
    ContextError
        When it has no names.
    ConfigError
        When there is no such setting, or its value does not fit.
    """
    if not isinstance(value, Mapping):
        # Who gives a text as the secrets may well give one.
        given = f"of type {type(value).__name__}" if name == "secrets" else shown(value)
        raise ContextError(
            f"The context is given {name} {given}, which has no names; write {STANDING[name]}."
        )
    if name == "secrets":
        return Secrets(value)
    if value is config:
        return config
    return Section(settings_in(value) or amended(_settings_here(), value))


class _ConfigHere(Section):
    """The settings that the innermost block or body has for itself.

    Parameters
    ----------
    prefix : str
        Which section; by default, the outermost.
    """

    __slots__ = ()

    def __init__(self, prefix: str = "") -> None:
        object.__setattr__(self, "_prefix", prefix)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings with it."""
        return Section, (self._held(), self._prefix)

    def _held(self) -> Settings:
        return _settings_here()

    def _at(self, prefix: str) -> Self:
        return type(self)(prefix)

    def _secrets(self) -> OpenSecrets:
        return SecretsHere()

    def _write(self, said: Mapping[str, Any]) -> None:
        _set("config", Section(amended(self._held(), said, replaces=True)))

    def _forget(self, key: str) -> None:
        _set("config", Section(lessened(self._held(), key)))


class SecretsHere(OpenSecrets):
    """The secrets that ``Secret`` finds where it runs: the context's, and else the configuration's."""

    __slots__ = ("_own",)

    def __init__(self) -> None:
        object.__setattr__(self, "_own", _own_secrets())

    def __getitem__(self, name: str) -> Any:
        """Return the secret of that name."""
        # What came with a flow run is found without a look at the worker's configuration.
        return self._own[name] if name in self._own else current().secrets[name]

    def _held(self) -> Mapping[str, Any]:
        return {**current().secrets, **self._own}

    def _keep(self, name: str, value: Any) -> None:
        self._change(Secrets({**_own_secrets(), name: value}))

    def _drop(self, name: str) -> None:
        if name not in _own_secrets():
            raise KeyError(
                f"The secret {name!r} is the configuration's; "
                f"del config.context.secrets[{name!r}] removes it."
            )
        self._change(Secrets({one: value for one, value in _own_secrets().items() if one != name}))

    def _change(self, own: Secrets) -> None:
        object.__setattr__(self, "_own", own)
        _set("secrets", own)


def _settings_here() -> Settings:
    return settings_in(current_layer().values.get("config")) or current()


def _own_secrets() -> Mapping[str, Any]:
    return current_layer().values.get("secrets") or {}


def _set(name: str, value: Any) -> None:
    layer = own_layer()
    layer.values[name] = value
    layer.given.add(name)


def _own_settings() -> Settings | None:
    layer = current_layer()
    return settings_in(layer.values["config"]) if "config" in layer.given else None


@contextmanager
def _amended_here(said: Mapping[str, Any]) -> Iterator[None]:
    before = current_layer()
    if before.values.get("config", config) is not config:
        # For flow runs that begin inside, too, where the others were.
        push({"config": Section(amended(_settings_here(), said))}, given="config" in before.given)
    try:
        yield
    finally:
        enter_layer(before)


ask_first(_own_settings, _amended_here)
