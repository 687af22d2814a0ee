from __future__ import annotations

import linecache
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


def test_lines_that_a_worker_lacked_are_put_in(monkeypatch):
    cell = "/tmp/ipykernel_7/1.py"
    lines = ["def boom(x):\n", "    return 1 / x\n", "boom(0)\n"]
    monkeypatch.setitem(linecache.cache, cell, (sum(map(len, lines)), None, lines, cell))
    text = f'''Traceback (most recent call last):
  File "{HOUSE}/worker/attempt.py", line 3, in call
  File "{cell}", line 3, in <module>
  File "/gone.py", line 9, in unknown
  File "{cell}", line 2, in boom
    return 1 / x
           ~~^~~
  File "{cell}", line 2, in boom
ZeroDivisionError: division by zero'''

    assert own_lines(text) == [
        f'  File "{cell}", line 3, in <module>',
        "    boom(0)",
        '  File "/gone.py", line 9, in unknown',
        f'  File "{cell}", line 2, in boom',
        "    return 1 / x",
        "           ~~^~~",
        f'  File "{cell}", line 2, in boom',
        "    return 1 / x",
        "ZeroDivisionError: division by zero",
    ]


def test_a_traceback_that_ends_with_a_frame_gets_its_line_too(monkeypatch):
    monkeypatch.setitem(linecache.cache, "<cell>", (6, None, ["f(1)\n"], "<cell>"))

    assert own_lines('  File "<cell>", line 1, in f') == ['  File "<cell>", line 1, in f', "    f(1)"]
