"""The version of a task's code, and tokens: what changes them, and what does not."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from prefectlite import Task, context, task
from prefectlite.lowering.tokens import token_of
from prefectlite.lowering.versions import version_of

FACTOR = 3
counter = 0
table: dict[str, int] = {}


def helper(x: int) -> int:
    return x * FACTOR


def tower(x: int) -> int:
    return 1 if x < 2 else x * tower(x - 1)


@task
def uses(x: int) -> int:
    global counter
    counter += 1
    table[str(x)] = x
    return helper(x) + tower(x)


def made(source: str, **names: Any) -> Any:
    scope = {"__name__": "made", **names}
    exec(source, scope)
    return task(scope["f"])


def made_with(k: Any) -> Any:
    calls: list[int] = []
    count = 0

    @task
    def inner(x: int) -> Any:
        nonlocal count
        count += 1
        calls.append(x)
        return x, k

    return inner


def test_what_others_fill_and_count_is_no_part_of_the_code() -> None:
    before = version_of(uses)
    uses.run(3)
    assert version_of(uses) == before
    one = made_with(1)
    before = version_of(one)
    one.run(3)
    assert version_of(one) == before


def test_a_constant_or_function_that_the_code_names_is_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = version_of(uses)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 4)
    assert version_of(uses) != before
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "helper", tower)
    assert version_of(uses) != before


def test_comments_and_places_are_no_part_of_the_code() -> None:
    assert version_of(made("def f(x):\n    return x + 1")) == version_of(
        made("\n\n# more\ndef f(x):\n    # one more\n\n    return x + 1\n")
    )
    assert version_of(made("def f(x):\n    return x + 1")) != version_of(made("def f(x):\n    return x + 2"))


class Plus:
    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, x: int) -> int:
        return x + self.k


class Times(Plus):
    def __call__(self, x: int) -> int:
        return x * self.k


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made_with(1), made_with(2)),
        (made_with((1, frozenset("ab"))), made_with((1, frozenset("ac")))),
        (made_with(helper), made_with(tower)),
        (made_with(uses), made_with(made_with(3))),
        (made_with(True), made_with(1)),
        (task(functools.partial(helper, 1), name="a"), task(functools.partial(helper, 2), name="a")),
        (task(Plus(1), name="a"), task(Times(1), name="a")),
        (made_with(functools.cache(helper)), made_with(functools.cache(tower))),
        (made("def f(x, y=1):\n    return x"), made("def f(x, y=2):\n    return x")),
        (made("def f(x, *, y=1):\n    return x"), made("def f(x, *, y=2):\n    return x")),
        (made("def f(x):\n    return [y + 1 for y in x]"), made("def f(x):\n    return [y + 2 for y in x]")),
        (made("def f(x):\n    return len(x)"), made("def f(x):\n    return sum(x)")),
    ],
)
def test_code_that_does_something_else_has_another_version(one: Any, other: Any) -> None:
    assert version_of(one) != version_of(other)
    assert version_of(one) == version_of(one)


class Greet(Task):
    def __init__(self, words: Any, **options: Any) -> None:
        self.words = words
        super().__init__(**options)

    def run(self) -> Any:
        return self.polite()

    def polite(self) -> Any:
        return self.words


class Shout(Greet):
    def polite(self) -> Any:
        return self.words * 2


def test_attributes_and_methods_of_a_task_are_a_part_of_what_it_does() -> None:
    assert version_of(Greet(["hi"])) == version_of(Greet(["hi"], name="other", max_retries=1))
    assert version_of(Greet(["hi"])) != version_of(Greet(["ho"]))
    assert version_of(Greet(["hi"])) != version_of(Shout(["hi"]))
    assert version_of(Greet(object())) == version_of(Greet(object()))


class Slotted(Task):
    __slots__ = ()

    def run(self) -> int:
        return 1


def test_odd_tasks_have_versions_too() -> None:
    assert version_of(Slotted()) == version_of(Slotted())
    assert version_of(made_with(10**5000)) != version_of(made_with(10**5000 + 1))
    assert version_of(task(Whim(), name="whim")) == version_of(task(Whim(), name="whim"))


class Whim(str):
    """A text whose ``repr`` raises, and that can be called."""

    def __repr__(self) -> str:
        raise ValueError

    def __call__(self, x: int) -> int:
        return x


def test_code_that_may_read_parameters_is_known() -> None:
    def inner() -> Any:
        return context["parameters"]

    assert version_of(task(lambda: context.parameters["p"])).reads_parameters
    assert version_of(task(lambda: inner())).reads_parameters
    assert not version_of(task(lambda: context.map_index)).reads_parameters


def test_a_cell_that_is_not_filled_yet_is_taken_as_it_is() -> None:
    def outer() -> Any:
        @task
        def early() -> Any:
            return later

        version = version_of(early)
        later = 1
        return version, version_of(early)

    one, other = outer()
    assert one != other


def test_versions_and_tokens_are_the_same_in_another_process() -> None:
    code = (
        "from tests.lowering.test_versions import uses, token_of, version_of\n"
        "print(version_of(uses).digest, token_of({'a': [1, None, (2.5, {'x', 'y', 'z'})]}))"
    )
    done = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "12"
    }
    expected = version_of(uses).digest, token_of({"a": [1, None, (2.5, {"x", "y", "z"})]})
    assert done == {"{} {}\n".format(*expected)}


def test_equal_values_share_a_token_and_others_have_none() -> None:
    assert token_of(np.arange(5)) == token_of(np.arange(5)) != token_of(np.arange(6))
    assert token_of(threading.Lock()) is None

    class Odd:
        def __dask_tokenize__(self) -> Any:
            raise ValueError("no token")

    assert token_of(Odd()) is None
