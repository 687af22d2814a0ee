"""Bodies that are async functions: whoever calls one gets its value. Knows no task, no flow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

#: How often a loop in which nothing happens wakes, in seconds: a body cannot be interrupted while it sleeps.
WAKES_EVERY: Final = 0.1


class Awaited:
    """An async function that is called like a plain one, and runs in an event loop of its own.

    Parameters
    ----------
    body : callable
        The async function.
    """

    __slots__ = ("body",)

    def __init__(self, body: Callable[..., Any]) -> None:
        self.body = body

    def __call__(self, /, **arguments: Any) -> Any:
        """Await the function.

        Parameters
        ----------
        **arguments : object
            Its arguments.

        Returns
        -------
        object
            What it returns.
        """
        # Imported here: they cost a tenth of a small program's time, and few bodies need them.
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        def run() -> Any:
            # A loop that is made by hand leaves the thread's own alone.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                _keep_awake(runner.get_loop())
                return runner.run(self.body(**arguments))

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run()
        # A notebook calls ``flow.run`` from a loop of its own, and a thread runs one at a time.
        with ThreadPoolExecutor(1) as aside:
            return aside.submit(copy_context().run, run).result()


def _keep_awake(loop: AbstractEventLoop) -> None:
    loop.call_later(WAKES_EVERY, _keep_awake, loop)


def awaited(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that can be called, whether or not its body is async.

    Parameters
    ----------
    body : callable
        A function.

    Returns
    -------
    callable
        Itself, or one that awaits it.
    """
    return Awaited(body) if inspect.iscoroutinefunction(body) else body
