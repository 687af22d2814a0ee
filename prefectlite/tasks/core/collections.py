"""Tasks that gather values, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.core.constants import Dict, List, Set, Tuple

__all__ = ["Dict", "List", "Set", "Tuple"]
