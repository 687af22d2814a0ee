"""Whether an object arrives in another process, found out in one."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from prefectlite import Flow, is_serializable, task
from prefectlite.errors import SerializationError


class Homesick:
    """Can be pickled, and opened nowhere else."""

    def __reduce__(self) -> Any:
        return only_here, (os.getpid(),)


def only_here(pid: int) -> Homesick:
    if pid != os.getpid():
        raise RuntimeError("not at home")
    return Homesick()


def test_what_travels_is_serializable() -> None:
    @task
    def local(x: int) -> int:
        return x

    with Flow("f") as flow:
        local(1)

    assert is_serializable([flow, local, lambda: None, 1])


def test_what_cannot_be_pickled_says_what_it_refuses() -> None:
    assert not is_serializable(threading.Lock())
    with pytest.raises(
        SerializationError, match=r"This lock cannot be pickled \(.*make what it refuses in the"
    ):
        is_serializable(threading.Lock(), raise_on_error=True)


def test_what_cannot_be_opened_elsewhere_says_why() -> None:
    assert not is_serializable(Homesick())
    with pytest.raises(SerializationError, match=r"not opened .*\(RuntimeError: not at home\); install what"):
        is_serializable(Homesick(), raise_on_error=True)


def test_a_process_that_says_nothing_is_told_by_its_status() -> None:
    class Fatal:
        def __reduce__(self) -> Any:
            return os._exit, (3,)

    with pytest.raises(SerializationError, match=r"\(exit status 3\)"):
        is_serializable(Fatal(), raise_on_error=True)
