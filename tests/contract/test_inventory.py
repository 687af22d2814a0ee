"""No rule is without a row, and no row without a rule; planted faults are caught."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract.inventory import (
    SEMANTICS,
    Rule,
    Shows,
    cited_by,
    inventory,
    named,
    problems,
    rules_of,
    shows,
)

#: How many rules there are in which section: a rule that goes is a decision.
COUNTS = {
    "1.1": 29,
    "1.2": 3,
    "2": 23,
    "3": 9,
    "4.1": 6,
    "4.2": 31,
    "5": 16,
    "6": 15,
    "7": 23,
    "8": 16,
    "9": 16,
    "10": 15,
    "11.1": 15,
    "11.2": 14,
    "12": 20,
    "13": 24,
    "14": 7,
    "15": 15,
    "16": 20,
    "17": 17,
    "18": 49,
    "19": 25,
    "S1": 5,
    "S2": 7,
    "S3": 2,
    "S4": 1,
    "S7": 4,
}


def test_each_rule_is_shown_and_each_row_belongs_to_a_rule() -> None:
    assert list(problems(inventory(), shows())) == []


def test_as_many_rules_stand_in_each_section_as_were_counted() -> None:
    counted = Counter(rule.section for rule in inventory())

    print(
        f"{counted.total()} rules, shown by {len(shows().rows)} rows of the contract and by tests: {counted}"
    )
    assert counted == COUNTS


def test_rules_are_of_a_section_and_say_what_is_so() -> None:
    for rule in inventory():
        assert rule.section in {*SEMANTICS} or 1 <= float(rule.section) < 20, rule
        assert rule.name, rule
        assert rule.says.endswith("."), rule


def test_a_page_holds_rules_and_what_shows_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Some\n\nWords.\n\n- **2 call**: So it is.\n  - 2: a call\n  - a.py::test_b\n- **2 so** (S2): So.\n"
    )
    assert rules_of(page) == [WHOLE[0], Rule("2", "so", "So.", (), "S2")]

    page.write_text("- **2 call**: So it is.\n * 2: a call\n")
    with pytest.raises(
        AssertionError, match=r"page\.md:2 is neither a rule nor what shows one:  \* 2: a call"
    ):
        rules_of(page)


FOUND = Shows(
    frozenset({"2: a call", "2: S2 says so", "2: it is (1.x was not)"}),
    frozenset({"a.py::test_b"}),
    frozenset(),
)
WHOLE = (
    Rule("2", "call", "So it is.", ("2: a call", "a.py::test_b")),
    Rule("2", "so", "So.", ("2: S2 says so",), "S2"),
    Rule("2", "is", "It is.", ("2: it is (1.x was not)",), "mended"),
)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((*WHOLE, Rule("2", "bind", "So it is.", ())), "2 bind: nothing shows it"),
        ((*WHOLE, Rule("2", "bind", "So it is.", ("2: a cull",))), "2 bind: there is no '2: a cull'"),
        ((*WHOLE, Rule("2", "bind", "So it is.", ("a.py::test_c",))), "2 bind: there is no 'a.py::test_c'"),
        ((*WHOLE, WHOLE[0]), "2 call: stands there 2 times"),
        (WHOLE[1:], "'2: a call' belongs to no rule"),
        (
            (*WHOLE, Rule("2", "bind", "So it is.", ("2: a call",), "S9")),
            "2 bind: differs='S9' is no section",
        ),
        (
            (WHOLE[0], replace(WHOLE[1], differs=""), WHOLE[2]),
            "'2: S2 says so' cites S2, and no rule that it shows does",
        ),
        ((*WHOLE[:2], replace(WHOLE[2], differs="")), "'2: it is (1.x was not)' tells what was otherwise"),
    ],
)
def test_a_planted_fault_is_caught(rules: tuple[Rule, ...], expected: str) -> None:
    assert list(problems(WHOLE, FOUND)) == []
    (found,) = problems(rules, FOUND)
    assert found.startswith(expected)


def test_tests_that_do_not_always_run_show_nothing(tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(
        "def test_one(): ...\n"
        "def helper():\n    def test_inner(): ...\n"
        "@pytest.mark.skipif(windows, reason='')\ndef test_not_always(): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1)])\nasync def test_two(): ...\n"
        "class TestThem:\n    def test_three(self): ...\n    @pytest.mark.xfail\n    def test_four(self): ...\n"
        "class Other:\n    def test_five(self): ...\n"
        "@pytest.mark.skip\nclass TestNone:\n    def test_six(self): ...\n"
        "class TestNoneEither:\n    pytestmark = [pytest.mark.skip]\n    def test_seven(self): ...\n"
    )

    assert list(named(path)) == ["test_one", "test_two", "test_three"]


def test_a_row_cites_sections_of_semantics_in_either_way() -> None:
    assert (
        cited_by("2: one (S2; new)")
        == cited_by("2: FAIL, S2 retry_on")
        == cited_by("2: (SEMANTICS 2)")
        == {"S2"}
    )
    assert cited_by("2: it is (S1.5), as S7 says; SUCCESS2 is not it") == {"S1", "S7"}
    assert cited_by("2: nothing") == set()
