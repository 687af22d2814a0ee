"""The concurrency rule: as many as the limit says, and no more."""

import pytest

from prefectlite.rules.limit import Limit, after_waiting, decide_limit
from prefectlite.rules.verdict import Proceed, Reason, Wait


@pytest.mark.parametrize("most", [1, 2, 7])
def test_as_many_may_run_as_the_limit_says(most: int) -> None:
    verdicts = [decide_limit(Limit("tag 'db'", most), running) for running in range(most + 2)]
    assert [type(verdict) for verdict in verdicts] == [Proceed] * most + [Wait] * 2


@pytest.mark.parametrize(
    ("most", "text"),
    [
        (1, "At most 1 task run of tag 'db' runs at once."),
        (3, "At most 3 task runs of tag 'db' run at once."),
    ],
)
def test_who_waits_is_told_for_what(most: int, text: str) -> None:
    verdict = decide_limit(Limit("tag 'db'", most), most)
    assert isinstance(verdict, Wait)
    assert verdict.what == "place"
    assert verdict.why == Reason("limit", text, (("limit", f"tag 'db': {most}"),))


def test_who_waited_starts_for_both_reasons() -> None:
    waited = decide_limit(Limit("tag 'db'", 2), 2).why
    why = after_waiting(Reason("trigger", "It may.", (("upstream edges", "1"),)), waited)
    assert why.rule == "limit"
    assert why.text == "A place came free. At most 2 task runs of tag 'db' run at once. It may."
    assert dict(why.read) == {"upstream edges": "1", "limit": "tag 'db': 2"}


def test_limits_that_say_the_same_are_two() -> None:
    assert Limit("tag 'db'", 2) != Limit("tag 'db'", 2)
