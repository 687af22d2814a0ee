"""Tasks whose values are secrets, and where those are looked up. Knows context, settings and environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from prefectlite.core.base import Task
from prefectlite.core.layers import current_layer
from prefectlite.core.options import OptionArgs
from prefectlite.core.standing import SecretsHere
from prefectlite.errors import DefinitionError, SecretError
from prefectlite.kinds import check_kind, shown
from prefectlite.masking import hide

if TYPE_CHECKING:
    from typing import Any as _Fitting
else:
    _Fitting = object

#: Options that would write a value down.
_WRITING: Final = (
    "keep_result",
    "result",
    "target",
    "checkpoint",
    "cache_for",
    "cache_key",
    "cache_validator",
)


class SecretBase(Task, _Fitting):  # type: ignore[misc]  # for a type checker it fits every argument
    """A task whose value is a secret; subclasses define ``run``, which looks it up.

    Its value goes from worker to worker, to the tasks that take it as an argument, and is let go of when the
    last of them is done. It is in no report, no journal and no file, ``state.result`` does not keep it, and
    texts that prefectlite writes where the value is known (messages, tracebacks, log lines) show a mask in
    its place. What a reader makes of it is the reader's: print it to a file, and it is there.

    Parameters
    ----------
    name : str or None
        What the task is called; by default, its class's name.
    **options : OptionArgs
        Retries, trigger, tags and the like; what would keep the value is refused.

    Raises
    ------
    DefinitionError
        When an option would keep the value.
    """

    is_secret: ClassVar[bool] = True

    def __init__(self, name: str | None = None, **options: Unpack[OptionArgs]) -> None:
        # A value that is lost with its worker is looked up again.
        options.setdefault("max_crashes", 3)
        super().__init__(name, **options)

    def _change(self, changes: Mapping[str, Any], *, alone: bool = False) -> None:
        for option in _WRITING:
            if changes.get(option):
                raise DefinitionError(
                    f"Task {self.name!r} is a secret and has {option}={changes[option]!r}, but the value "
                    f"of a secret is never kept; remove {option}."
                )
        super()._change(changes, alone=alone)


class Secret(SecretBase):
    """A secret by name, from ``context.secrets``, else from the configuration where the task runs.

    Put it there with ``flow.run(context={"secrets": {"DB_PASSWORD": ...}})``, with
    ``context.secrets["DB_PASSWORD"] = ...``, with the environment variable
    ``PREFECTLITE__CONTEXT__SECRETS__DB_PASSWORD``, or under ``[context.secrets]`` in the configuration file.
    A text that is JSON is read as such.

    In a flow it is a task, whose value other tasks take as an argument. In the body of a task,
    ``Secret("DB_PASSWORD").get()`` gives the value.

    Parameters
    ----------
    name : str or None
        The secret's name, and the task's; None when ``run`` gets it.
    **options : OptionArgs
        As of ``SecretBase``.

    Examples
    --------
    >>> from prefectlite import set_temporary_config
    >>> with set_temporary_config({"context.secrets.DB_PASSWORD": "correct horse"}):
    ...     len(Secret("DB_PASSWORD").get())
    13
    """

    def __init__(self, name: str | None = None, **options: Unpack[OptionArgs]) -> None:
        self.secret_name = name
        super().__init__(name, **options)

    def run(self, name: str | None = None) -> Any:
        """Return the secret.

        Parameters
        ----------
        name : str or None
            Its name; by default, the one that the task was made with.

        Returns
        -------
        object
            Its value.

        Raises
        ------
        SecretError
            When there is none of that name.
        """
        wanted = name or self.secret_name
        if not wanted:
            raise SecretError(
                f"Task {self.name!r} knows no name of a secret; give one: Secret('DB_PASSWORD')."
            )
        secrets = SecretsHere()
        if wanted in secrets:
            return _meaning(secrets[wanted])
        raise SecretError(
            f"There is no secret {wanted!r}; set the environment variable "
            f"PREFECTLITE__CONTEXT__SECRETS__{wanted}, write it under [context.secrets] in the configuration "
            f"file, set context.secrets[{wanted!r}], or run the flow with "
            f"context={{'secrets': {{{wanted!r}: ...}}}}."
        )

    def get(self) -> Any:
        """Return the secret now, in the body of a task.

        Returns
        -------
        object
            Its value.

        Raises
        ------
        SecretError
            When there is none, or a flow is being built, into which the value would be written.
        """
        if "flow" in current_layer().values:
            raise SecretError(
                f"Secret({self.secret_name!r}).get() was called while a flow is being built, which would "
                f"write the value into the flow; pass Secret({self.secret_name!r}) itself as the argument."
            )
        value = self.run()
        hide(value)
        return value

    def exists(self) -> bool:
        """Return whether there is a secret of that name here.

        Returns
        -------
        bool
            As ``get`` would find it.
        """
        try:
            self.run()
        except SecretError:
            return False
        return True


class EnvVarSecret(SecretBase):
    """A secret from an environment variable of the worker that runs the task.

    Parameters
    ----------
    name : str or None
        The variable's name, and the task's; None when ``run`` gets it.
    cast : callable or None
        Makes the value of the variable's text: ``int``, ``json.loads``.
    raise_if_missing : bool
        Whether a variable that is not set fails the task; else its value is None.
    **options : OptionArgs
        As of ``SecretBase``.

    Raises
    ------
    DefinitionTypeError
        When ``cast`` is no function.
    """

    def __init__(
        self,
        name: str | None = None,
        cast: Callable[[str], Any] | None = None,
        raise_if_missing: bool = False,
        **options: Unpack[OptionArgs],
    ) -> None:
        check_kind(f"EnvVarSecret {shown(name)}", "cast", cast, Callable | None, "give a function: cast=int.")
        self.secret_name = name
        self.cast = cast
        self.raise_if_missing = raise_if_missing
        super().__init__(name, **options)

    def run(self, name: str | None = None) -> Any:
        """Return the value of the variable.

        Parameters
        ----------
        name : str or None
            Its name; by default, the one that the task was made with.

        Returns
        -------
        object
            Its text, or what ``cast`` makes of it; None when it is not set.

        Raises
        ------
        SecretError
            When it has no name, or is not set and must be.
        """
        wanted = name or self.secret_name
        if not wanted or not isinstance(wanted, str):
            raise SecretError(
                f"Task {self.name!r} knows no name of a variable, but {wanted!r}; give one: "
                "EnvVarSecret('DB_PASSWORD')."
            )
        text = os.environ.get(wanted)
        if text is None:
            if self.raise_if_missing:
                raise SecretError(
                    f"The environment variable {wanted!r} is not set where task {self.name!r} runs; set it "
                    "for the workers, before they start."
                )
            return None
        hide(text)  # before cast can complain of it
        return text if self.cast is None else self.cast(text)


def _meaning(value: Any) -> Any:
    """Return what a text means as JSON, as in Prefect 1; anything else is what it is."""
    try:
        return json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return value
