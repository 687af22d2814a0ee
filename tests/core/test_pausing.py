"""pause_task: how code asks for approval."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefectlite import context, pause_task, signals
from prefectlite.states import Paused


def test_it_raises_pause_with_its_message() -> None:
    with pytest.raises(signals.PAUSE) as caught:
        pause_task("look at it")

    assert caught.value.state == Paused("look at it", start_time=None)
    assert caught.value.state.message == "look at it"


def test_without_a_message_it_says_what_it_is() -> None:
    with pytest.raises(signals.PAUSE, match="Paused by its own code until it is approved"):
        pause_task()


@pytest.mark.parametrize("duration", [60, 60.0, timedelta(minutes=1)])
def test_with_a_duration_it_says_until_when(duration: Any) -> None:
    before = datetime.now(UTC)
    with pytest.raises(signals.PAUSE) as caught:
        pause_task("a minute", duration)
    after = datetime.now(UTC)

    start = caught.value.state.start_time
    assert before <= start - timedelta(minutes=1) <= after


@pytest.mark.parametrize("duration", ["60", True, datetime(2030, 1, 1, tzinfo=UTC)])
def test_a_duration_of_another_kind_is_refused(duration: Any) -> None:
    with pytest.raises(TypeError, match=r"pause_task\(\.\.\.\) has duration=.*give a timedelta or seconds"):
        pause_task(duration=duration)


def test_once_a_pause_is_over_it_passes() -> None:
    with context(resume=True):
        pause_task("look at it", duration="not even looked at")  # type: ignore[arg-type]
