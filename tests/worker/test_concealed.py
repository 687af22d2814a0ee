"""Log records are masked when they are made, as long as a flow run needs it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from prefectlite.masking import hide
from prefectlite.worker.concealed import ConcealingFactory

SECRET = "concealed-hush-1"


@pytest.fixture
def factory() -> Any:
    made = ConcealingFactory()
    hide(SECRET)
    before = logging.getLogRecordFactory()
    yield made
    logging.setLogRecordFactory(before)


def record(message: str, *args: Any, **kwargs: Any) -> logging.LogRecord:
    return logging.getLogger("x").makeRecord(
        "x", logging.INFO, "f.py", 1, message, args, kwargs.get("exc_info")
    )


def test_message_arguments_and_exception_are_masked(factory: ConcealingFactory) -> None:
    factory.acquire()
    assert record("say %s", SECRET).getMessage() == "say **********"
    assert record("nothing %s", 1).args == (1,)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        told = logging.Formatter().format(record("caught", exc_info=(ValueError, error, error.__traceback__)))
    assert SECRET not in told
    assert "ValueError: **********" in told
    factory.release()
    assert record("say %s", SECRET).getMessage() == f"say {SECRET}"


def test_a_record_that_cannot_be_formatted_is_left_for_logging_to_complain(
    factory: ConcealingFactory,
) -> None:
    factory.acquire()
    assert record("%d", "no number").msg == "%d"


def test_it_stays_as_long_as_somebody_needs_it_and_leaves_no_trace(factory: ConcealingFactory) -> None:
    before = logging.getLogRecordFactory()
    factory.acquire()
    factory.acquire()
    factory.release()
    assert record(SECRET).msg == "**********"
    factory.release()
    assert logging.getLogRecordFactory() is before


def test_a_factory_on_top_of_it_goes_on_and_makes_no_ring(factory: ConcealingFactory) -> None:
    factory.acquire()
    below = logging.getLogRecordFactory()
    logging.setLogRecordFactory(lambda *args, **kwargs: below(*args, **kwargs))
    factory.release()
    factory.acquire()
    assert record(SECRET).msg == "**********"
    factory.release()
