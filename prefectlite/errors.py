"""Typed errors, each with a mend in its text. Knows nothing of the rest of the house."""

from __future__ import annotations


class PrefectliteError(Exception):
    """The base of every error that prefectlite raises on its own behalf."""


class DefinitionError(PrefectliteError, ValueError):
    """A task or flow was declared with a value that cannot work."""


class DefinitionTypeError(PrefectliteError, TypeError):
    """A task or flow was declared with an object of the wrong kind."""


class ParameterError(PrefectliteError, ValueError):
    """A flow was given a parameter that is unknown, missing or of the wrong type."""


class ContextError(PrefectliteError, ValueError):
    """A flow run was given a context that it cannot have."""


class ConfigError(PrefectliteError, ValueError):
    """A configuration file, an environment variable or a temporary setting says what cannot be."""


class SecretError(PrefectliteError, ValueError):
    """A secret is not there, or was asked for where its value would be written down."""


class FlowLoadError(PrefectliteError):
    """A file or module does not hold the flow that was asked for."""


class ExecutorError(PrefectliteError):
    """The place where a flow should run cannot be reached or cannot be used."""


class CertificateError(PrefectliteError):
    """Certificates cannot be made or written as asked."""


class InsecureClusterWarning(UserWarning):
    """A Dask cluster is open to the network without certificates; the text says how to close it."""


class SerializationError(PrefectliteError):
    """A function, argument or value cannot travel to or from a worker."""


class ResultUnavailable(PrefectliteError, LookupError):
    """A result was asked for that no longer exists; the text says when and why it went."""


class EngineError(PrefectliteError, RuntimeError):
    """An event reached the engine that cannot happen; the text carries the run's story."""


class AuditError(PrefectliteError, AssertionError):
    """The engine's books do not agree with each other."""


class TaskError(Exception):
    """The stand-in for a task's exception that could not travel as itself.

    Parameters
    ----------
    type_name : str
        The qualified name of the original exception's class.
    message : str
        What the original said.
    traceback_text : str
        The original's traceback, formatted where it was raised.
    """

    def __init__(self, type_name: str, message: str, traceback_text: str = "") -> None:
        super().__init__(type_name, message, traceback_text)
        self.type_name = type_name
        self.message = message
        self.traceback_text = traceback_text

    def __str__(self) -> str:
        """Return the original's type and message."""
        return f"{self.type_name}: {self.message}"
