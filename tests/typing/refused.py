"""Calls that a type checker must refuse, each with mypy's code for it. Checked by ``test_typing``; never run."""

from __future__ import annotations

from prefectlite import Flow, Parameter, task
from prefectlite.core.task import FunctionTask


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@task(max_retries=1)
def words(text: str) -> list[str]:
    return text.split()


with Flow("etl") as flow:
    inc("a")  # refused: call-overload
    inc()  # refused: call-overload
    inc(1, 2, 3)  # refused: call-overload
    inc(1, z=2)  # refused: call-overload
    inc(words("a b"))  # refused: call-overload
    words(inc(1))  # refused: call-overload
    inc([1, 2])  # refused: call-overload
    inc(1, task_args={"max_retry": 1})  # refused: call-overload
    inc(1, task_args={"max_retries": "three"})  # refused: call-overload
    inc.map([1], task_args={"timeout": "1"})  # refused: arg-type
    text: str = inc(1)  # refused: assignment
    texts: list[str] = inc.map([1])  # refused: assignment

inc.max_retry = 3  # refused: attr-defined
task(inc.run, max_retry=3)  # refused: call-overload
task(3)  # refused: call-overload
wrong: FunctionTask[[str], int] = inc  # refused: assignment
flow.add_edge(1, 2, key=3)  # refused: arg-type
Parameter(3)  # refused: arg-type
Flow()  # refused: call-arg
Flow("etl", storage=None)  # refused: call-arg
task(trigger="all_failed")  # refused: call-overload
