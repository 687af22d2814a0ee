"""Values at rest and on their way: how they are stored, pickled and weighed. Knows neither engine nor Dask.

``LocalResult(dir)`` stores a task's value as a file, ``Result(store=...)`` wherever its store does. Their
serializers are in ``prefectlite.serializers``.
"""

from prefectlite.results.result import ConstantResult, LocalResult, Result
from prefectlite.results.store import FolderStore, FsspecStore, Store

__all__ = ["ConstantResult", "FolderStore", "FsspecStore", "LocalResult", "Result", "Store"]
