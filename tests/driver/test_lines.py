"""Lines made many at a time are those that ``logging`` would make one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from prefectlite.driver.lastresort import TASKS, LastResort
from prefectlite.driver.lines import Lines, template
from prefectlite.printable import label
from prefectlite.settings import LoggingSettings
from prefectlite.states.keys import RunKey
from prefectlite.worker.labels import record_labels

FORMS = (
    LoggingSettings().format,
    "[%(asctime)s] %(levelname)s - %(name)s | %(message)s",  # that of Prefect 1
    "%(asctime)s",
    "100%% of %(flow_name)s %(flow_run_id).4s %(attempt)03d [%(where)s] %(levelno)d\n%(message)s",
    "%(task_run)s %(task_run_id)s %(task_slug)s/%(task_name)s: %(message)s",
)
#: As it may stand in a name or a message: what drives a terminal, forges a line, or means something to a format.
HOSTILE = "a\nINFO b%s{0}\x1b[2J\0é\ud800%(x)s"


def made(form: str, flow: str, names: dict[str, str], level: int = logging.INFO) -> tuple[LastResort, Lines]:
    resort = LastResort(LoggingSettings(format=form))
    record = logging.LogRecord(TASKS, level, "", 0, "", None, None)
    record.__dict__.update(flow_name=flow, flow_run_id="0123456789")
    lines = resort.lines(record, names)
    assert lines is not None
    return resort, lines


def by_logging(
    resort: LastResort, flow: str, name: str, key: RunKey, text: str, moment: float, level: int = logging.INFO
) -> str:
    run = str(key)
    record = logging.LogRecord(TASKS, level, "", 0, f"Task run {label(run)}: {text}", None, None)
    record.created = moment
    record.__dict__.update(record_labels(flow, "0123456789", name, run, key.slug))
    return resort.format(record) + "\n"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("slug", "name", "flow"), [("load-1", "load", "etl"), (HOSTILE, HOSTILE, HOSTILE)])
@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_line_is_what_logging_makes_of_a_record(
    form: str, slug: str, name: str, flow: str, level: int
) -> None:
    resort, lines = made(form, flow, {slug: name}, level)
    for key in (RunKey(slug), RunKey(slug, 3), RunKey(slug, 3, 2), RunKey("other-1")):
        for moment in (1e9, 1e9 + 0.999, 1e9 + 1):
            task = name if key.slug == slug else "other-1"
            told = by_logging(resort, flow, task, key, "Success. It is 100 %s done.", moment, level)
            assert lines.one(key, "Success. It is 100 %s done.", moment) == told


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("slug", ["load-1", HOSTILE])
@pytest.mark.parametrize(
    "moments",
    [
        [1e9, 1e9 + 0.5, 1e9 + 0.9],
        [1e9 + 0.9, 1e9 + 1.1, 1e9 + 1.2],
        [1e9 + 1, 1e9 + 0.5, 1e9 + 1],
        [5.0],
        [],
    ],
)
def test_lines_of_many_are_those_of_each(form: str, slug: str, moments: Sequence[float]) -> None:
    _, lines = made(form, "etl", {slug: "load"})
    each = [lines.one(RunKey(slug, 98 + place), "Success.", at) for place, at in enumerate(moments)]
    assert lines.many(slug, 98, "Success.", moments) == "".join(each)


def test_a_form_that_asks_for_more_needs_records() -> None:
    for form in ("%(msecs)d %(message)s", "%(message)-80s", "%(task_run)20s", "%(asctime).5s", "%(created)f"):
        assert template(form, {"levelname": "INFO"}) is None
    record = logging.LogRecord(TASKS, logging.INFO, "", 0, "", None, None)
    assert LastResort(LoggingSettings(log_attributes=("region",))).lines(record, {}) is None
    assert LastResort(LoggingSettings(datefmt="")).lines(record, {}) is None  # it has thousandths of a second
    assert LastResort(LoggingSettings(format="%(msecs)d")).lines(record, {}) is None
