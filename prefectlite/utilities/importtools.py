"""Objects by their names, at the path that they had in Prefect 1: Python's own function does it."""

from pkgutil import resolve_name as import_object

__all__ = ["import_object"]
