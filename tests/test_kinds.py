from __future__ import annotations

from typing import Any

import pytest

from prefectlite.errors import DefinitionTypeError
from prefectlite.kinds import check_kind, shown


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("odd")


@pytest.mark.parametrize(
    ("value", "kind"), [(3, int), (None, int | None), ("x", str | bytes), ([], (list, tuple))]
)
def test_what_is_of_the_kind_passes(value: Any, kind: Any) -> None:
    check_kind("Task 'load'", "option", value, kind, "give another.")


@pytest.mark.parametrize(("value", "text"), [("x", "'x'"), (None, "None"), (True, "True"), (2.5, r"2\.5")])
def test_what_is_not_is_refused_by_owner_name_value_and_mend(value: Any, text: str) -> None:
    with pytest.raises(DefinitionTypeError, match=rf"^Task 'load' has option={text}; give a number\.$"):
        check_kind("Task 'load'", "option", value, int, "give a number.")


def test_a_long_value_is_told_by_its_beginning() -> None:
    assert shown("x" * 10_000) == "'" + "x" * 299 + "..."


def test_a_value_whose_repr_raises_is_told_by_its_class() -> None:
    assert shown(Odd()) == "<Odd whose repr raises RuntimeError>"
