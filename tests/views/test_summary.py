from __future__ import annotations

from prefectlite.states.state import (
    Failed,
    Mapped,
    Paused,
    Running,
    Skipped,
    Success,
    TriggerFailed,
)
from prefectlite.views.summary import lay_out, plain, summarize


def text_of(state, tasks, seconds=1.0):
    return plain(lay_out(summarize("etl", state, tasks, seconds)))


def test_failures_come_before_the_counts_and_refused_runs_after_those_that_failed():
    error = Failed(
        "bad", ValueError("bad row"), traceback='  File "/me/etl.py", line 3, in load\n    int(row)'
    )
    tasks = [
        ("load", Mapped(map_states=[Success(), error, error, error, error])),
        ("save", Mapped(map_states=[Success(), *[TriggerFailed("1 of 1 upstreams failed.")] * 4])),
        ("compare", Skipped("no earlier report")),
    ]
    assert text_of(Failed("Some reference tasks failed."), tasks, 14.2) == (
        "etl ended Failed after 14.2 s: Some reference tasks failed.\n"
        "\n"
        "Failed  load[1], load[2], load[3] and 1 more like it\n"
        "  ValueError: bad row\n"
        '    File "/me/etl.py", line 3, in load\n'
        "      int(row)\n"
        "\n"
        "TriggerFailed  save[1], save[2], save[3] and 1 more like it\n"
        "  1 of 1 upstreams failed.\n"
        "\n"
        "4 Failed         load 4\n"
        "4 TriggerFailed  save 4\n"
        "2 Success        load, save\n"
        "1 Skipped        compare\n"
        "compare was skipped: no earlier report\n"
    )


def test_what_waits_for_an_approval_is_told_with_what_it_asks():
    tasks = [("approve", Mapped(map_states=[Paused("publish?"), Success(), *[Paused()] * 12]))]
    text = text_of(Running("The flow run is not over."), tasks)
    assert "13 Paused   approve 13\n" in text
    assert text.count("waits for an approval") == 10
    assert "approve[0] waits for an approval: publish?\napprove[2] waits for an approval: paused\n" in text


def test_a_run_without_tasks_or_message_is_a_verdict_alone():
    assert text_of(Success(), []) == "etl ended Success after 1.00 s.\n\n"


def test_many_ways_to_fail_are_bounded():
    tasks = [(f"t{n}", Failed("x", ValueError(f"way {n}"))) for n in range(13)]
    text = text_of(Failed(), tasks)
    assert "way 9" in text
    assert "way 10" not in text
    assert "and 3 task runs that failed in 3 other ways" in text


def test_many_tasks_in_one_state_are_bounded():
    text = text_of(Success(), [(f"t{n}", Success()) for n in range(6)])
    assert "6 Success  t0, t1, t2, t3 and 2 more tasks\n" in text


def test_a_message_of_many_lines_keeps_its_lines():
    text = text_of(Failed(), [("t", Failed("x", ValueError("one\ntwo")))])
    assert "  ValueError: one\n  two\n" in text


def test_what_a_terminal_cannot_show_is_escaped():
    text = text_of(Failed(), [("t", Failed("x", ValueError("\x1b[2J\udce9")))])
    assert "\\x1b[2J\\udce9" in text
