"""The result in a folder, at the path that Prefect 1 defined it in. Holds nothing itself."""

from prefectlite.results import LocalResult

__all__ = ["LocalResult"]
