from __future__ import annotations

import os

from prefectlite.examples.census_table import page, shown
from prefectlite.examples.source_facts import Census, Metrics, SourceFile, total_up


def census(count: int) -> Census:
    found = [
        Metrics(SourceFile(f"/code/p{n}/m.py", f"p{n}"), 1000 + n, 3, 1, 5, 2, f"f{n}", 40)
        for n in range(count)
    ]
    return total_up(["/code"], found, {"Success": count, "Failed": 2})


def test_the_page_has_packages_modules_functions_and_states():
    text = page(census(2), {"files": 2, "lines": -3, "classes": 0}, "/out/census.json")
    assert text.splitlines()[0].endswith("code below /code")
    assert "package  files  lines  functions  classes  docstrings" in text
    assert "p1           1  1,001          3        1         40%" in text
    assert "total        2  2,001          6        2         40%" in text
    assert "1,001  /code/p1/m.py" in text
    assert "40  f0  in /code/p0/m.py" in text
    assert "Files by state: 2 Success, 2 Failed. With a docstring: 40% of 10" in text
    assert "Since the earlier report: +2 files, -3 lines." in text
    assert text.endswith("Report: /out/census.json")


def test_many_packages_end_in_a_row_for_the_others():
    text = page(census(40))
    assert "25 others     25  25,300         75       25         40%" in text
    assert "earlier" not in text
    assert len(text) < 8000


def test_a_page_about_nothing_is_a_page():
    text = page(total_up(["/code"], [], {}), {"files": 0})
    assert "Files by state: none." in text
    assert "Since the earlier report: no change." in text


def test_bytes_that_are_no_utf8_show_as_escapes():
    assert shown(os.fsdecode(b"caf\xe9.py")) == "caf\\xe9.py"
