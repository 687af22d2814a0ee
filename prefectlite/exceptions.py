"""Exceptions under the names that they had in Prefect 1. Holds nothing itself."""

from prefectlite.errors import FlowLoadError as FlowStorageError
from prefectlite.errors import PrefectliteError as PrefectException
from prefectlite.states.signals import Signal as PrefectSignal

__all__ = ["FlowStorageError", "PrefectException", "PrefectSignal", "TaskTimeoutSignal"]

TaskTimeoutSignal = TimeoutError
