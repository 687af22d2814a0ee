"""Texts that must not be found anywhere: twenty, from the environment, and how they are looked for."""

from __future__ import annotations

import base64
import os
from pathlib import Path


def canary(number: int) -> str:
    """The canary of a number; what stands before a bar in it is in no other text."""
    return os.environ[f"CANARY_{number:02}"]


def forms_of(text: str) -> list[bytes]:
    """How a text may stand in a file: as it is, or in base64, which has three ways to begin within a word."""
    forms = [text.encode()]
    for skipped in range(3):
        padded = base64.b64encode(b"?" * skipped + text.encode())
        # The first characters and the last depend on the neighbours.
        forms.append(padded[4 * bool(skipped) : len(padded) - 4])
    return forms


def canaries_in(content: bytes) -> list[int]:
    """The numbers of the canaries that stand in bytes."""
    cores = {number: canary(number).split("|")[0] for number in range(20)}
    return [number for number, core in cores.items() if any(form in content for form in forms_of(core))]


def hits(root: Path) -> list[str]:
    """The files below a folder in which a canary stands, and the processes that show one on their command line."""
    found = []
    for path in [*root.rglob("*"), *Path("/dev/shm").glob("*"), *Path("/proc").glob("[0-9]*/cmdline")]:
        try:
            content = path.read_bytes() if path.is_file() else b""
        except OSError:
            continue
        found += [f"{path} holds canary {number}" for number in canaries_in(content)]
    return found
