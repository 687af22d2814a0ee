from __future__ import annotations

from pathlib import Path

import prefectlite.errors
from prefectlite.views.frames import own_lines

HOUSE = str(Path(prefectlite.errors.__file__).parent)


def test_frames_of_the_house_and_of_the_import_machinery_are_left_out():
    text = f"""Traceback (most recent call last):
  File "{HOUSE}/worker/attempt.py", line 10, in perform
    value = body(**arguments)
            ^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/home/me/etl.py", line 3, in load
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero
"""
    assert own_lines(text) == [
        '  File "/home/me/etl.py", line 3, in load',
        "    return 1 / 0",
        "           ~~^~~",
        "ZeroDivisionError: division by zero",
    ]


def test_frames_of_the_examples_are_a_users():
    text = f'  File "{HOUSE}/examples/census.py", line 3, in parse\n    ast.parse(source)'
    assert own_lines(text) == text.splitlines()


def test_chained_tracebacks_keep_what_joins_them():
    text = f"""Traceback (most recent call last):
  File "/home/me/etl.py", line 3, in load
    one()
KeyError: 'a'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{HOUSE}/worker/attempt.py", line 10, in perform
    value = body(**arguments)
ValueError: no a"""
    assert own_lines(text) == [
        '  File "/home/me/etl.py", line 3, in load',
        "    one()",
        "KeyError: 'a'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "ValueError: no a",
    ]


def test_members_of_an_exception_group_keep_their_bars():
    text = f"""  + Exception Group Traceback (most recent call last):
  |   File "{HOUSE}/worker/attempt.py", line 10, in perform
  |     body()
  |   File "/home/me/etl.py", line 3, in load
  |     raise ExceptionGroup
  | ExceptionGroup: two (2 sub-exceptions)"""
    lines = own_lines(text)
    assert not any(HOUSE in line or "body()" in line for line in lines)
    assert lines[-2:] == ["  |     raise ExceptionGroup", "  | ExceptionGroup: two (2 sub-exceptions)"]


def test_of_too_many_lines_the_last_ones_stay():
    text = "\n".join(f"line {n}" for n in range(20))
    assert own_lines(text, 3) == ["  ... 17 lines above", "line 17", "line 18", "line 19"]
    assert own_lines(text, 20) == text.splitlines()
