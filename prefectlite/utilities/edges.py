"""How an argument is handed over, at the path that it had in Prefect 1. Holds nothing itself."""

from prefectlite.core.annotations import EdgeAnnotation, flatten, mapped, unmapped

__all__ = ["EdgeAnnotation", "flatten", "mapped", "unmapped"]
