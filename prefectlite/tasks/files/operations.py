"""The tasks that handle single files, at the path that Prefect 1 defined them in. Holds nothing itself."""

from prefectlite.tasks.files import Copy, Glob, Move, Remove

__all__ = ["Copy", "Glob", "Move", "Remove"]
