"""Loggers that pass: what ``logging`` would make of a name, without keeping it."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from collections.abc import Iterator

import pytest

from prefectlite import get_logger
from prefectlite.core.loggers import passing_logger, run_logger

NAMES = ("prefectlite.sown", "prefectlite.sown.deep", "prefectlite.sown.deep[3]", "prefectlite.sown[7]")


def kept() -> dict[str, object]:
    known: dict[str, object] = logging.Logger.manager.loggerDict
    return known


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    for name in NAMES:
        kept().pop(name, None)


def test_logging_does_not_know_it_and_it_goes_with_its_last_reader() -> None:
    made = run_logger("sown[7]")
    alive = weakref.ref(made)
    assert (made.name, made.name in kept()) == ("prefectlite.sown[7]", False)

    made.warning("said")
    gc.disable()
    try:
        del made
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("there", [(), ("prefectlite.sown",), ("prefectlite.sown", "prefectlite.sown.deep")])
def test_its_parent_is_the_one_that_logging_would_give_it(there: tuple[str, ...]) -> None:
    made = passing_logger("prefectlite.sown.deep[3]")
    for name in there:
        logging.getLogger(name)
    parent = made.parent

    assert logging.getLogger(made.name).parent is parent
    get_logger()
    assert run_logger("sown[7]").parent is get_logger()


def test_one_that_the_program_has_made_counts() -> None:
    own = logging.getLogger("prefectlite.sown[7]")

    assert run_logger("sown[7]") is own
    assert passing_logger("root") is passing_logger("") is logging.getLogger()


def test_it_hears_of_levels_that_are_set_later() -> None:
    tree, made = get_logger(), run_logger("sown[7]")
    assert not made.isEnabledFor(logging.DEBUG)

    tree.setLevel(logging.DEBUG)
    try:
        assert made.isEnabledFor(logging.DEBUG)
        made.setLevel(logging.ERROR)
        assert not made.isEnabledFor(logging.WARNING)
    finally:
        tree.setLevel(logging.NOTSET)


def test_what_it_takes_goes_to_the_handlers_above_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = run_logger("sown[7]")

    made.info("rows: %d", 3)

    assert [(one.name, one.getMessage(), one.funcName) for one in caplog.records] == [
        (made.name, "rows: 3", "test_what_it_takes_goes_to_the_handlers_above_it")
    ]


def test_it_travels_and_is_copied_by_name() -> None:
    made = run_logger("sown[7]")

    for other in (pickle.loads(pickle.dumps(made)), copy.copy(made)):
        assert (other.name, other.parent, str(other)) == (made.name, get_logger(), str(made))
    assert made.name not in kept()


def test_it_is_of_the_programs_class_of_loggers() -> None:
    class Loud(logging.Logger):
        def isEnabledFor(self, level: int) -> bool:  # logging's name
            return True

    logging.setLoggerClass(Loud)
    try:
        made = run_logger("sown[7]")
    finally:
        logging.setLoggerClass(logging.Logger)
    assert isinstance(made, Loud)
    assert (repr(made), made.isEnabledFor(1)) == ("<Loud prefectlite.sown[7] (WARNING)>", True)
