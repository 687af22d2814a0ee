"""Values at rest and on their way: how they are stored, pickled and weighed. Knows neither engine nor Dask.

``LocalResult(dir)`` stores a task's value as a file, ``Result(store=...)`` wherever its store does. Their
serializers are in ``prefectlite.serializers``.
"""

from prefectlite.results.fsspec_store import FsspecStore
from prefectlite.results.result import LocalResult, Result
from prefectlite.results.store import FolderStore, Store
from prefectlite.results.storeless import ConstantResult, PrefectResult, SecretResult

__all__ = [
    "ConstantResult",
    "FolderStore",
    "FsspecStore",
    "LocalResult",
    "PrefectResult",
    "Result",
    "SecretResult",
    "Store",
]
