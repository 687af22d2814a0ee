"""Copies of immutable things with other facts, whatever they are made of."""

from __future__ import annotations

import dataclasses
from typing import Any


def replace(thing: Any, **facts: Any) -> Any:
    """Return a dataclass's instance, or a named tuple, with other facts."""
    return thing._replace(**facts) if isinstance(thing, tuple) else dataclasses.replace(thing, **facts)
