"""Whether an object arrives in another process, found out in one."""

from __future__ import annotations

import os
import threading
from subprocess import CalledProcessError
from typing import Any

import pytest

from prefectlite import Flow, is_serializable, task


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
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object") as refusal:
        is_serializable(threading.Lock(), raise_on_error=True)
    assert refusal.value.__notes__ == [
        "This lock cannot be pickled; make what it refuses in the task that needs it."
    ]


def test_what_cannot_be_opened_elsewhere_says_why() -> None:
    assert not is_serializable(Homesick())
    with pytest.raises(CalledProcessError, match="non-zero exit status 1") as failure:
        is_serializable(Homesick(), raise_on_error=True)
    assert "(RuntimeError: not at home); install what" in failure.value.__notes__[0]


def test_a_process_that_says_nothing_is_told_by_its_status() -> None:
    class Fatal:
        def __reduce__(self) -> Any:
            return os._exit, (3,)

    with pytest.raises(CalledProcessError) as failure:
        is_serializable(Fatal(), raise_on_error=True)
    assert "(exit status 3)" in failure.value.__notes__[0]
