"""Executors as Prefect 1 had them: one that calls what it is given, one with threads. Knows nothing of places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from prefectlite.executors import Executor


class Calls:
    """Calls a function at once, in the thread that submits it; of no class of ours."""

    def start(self) -> Any:
        return _nothing()

    def submit(self, fn: Callable[..., Any], *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def wait(self, futures: Any) -> Any:
        return futures


@contextmanager
def _nothing() -> Iterator[None]:
    yield


class Threads(Executor):
    """Calls functions in two threads of a pool."""

    def __init__(self) -> None:
        self.pool: Any = None

    @contextmanager
    def start(self) -> Iterator[None]:
        with ThreadPoolExecutor(2) as self.pool:
            yield
        self.pool = None

    def submit(self, fn: Callable[..., Any], *args: Any, extra_context: Any = None, **kwargs: Any) -> Any:
        return self.pool.submit(fn, *args, **kwargs)

    def wait(self, futures: Any) -> Any:
        if isinstance(futures, dict):
            return {key: self.wait(one) for key, one in futures.items()}
        if isinstance(futures, list | tuple):
            return [self.wait(one) for one in futures]
        return futures.result() if isinstance(futures, Future) else futures
