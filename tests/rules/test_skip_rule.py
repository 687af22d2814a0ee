"""The skip rule: who is left out, and whose name the message tells."""

import pytest

from prefectlite.rules.skip import decide_skip
from prefectlite.rules.verdict import Become, Proceed
from prefectlite.states import Skipped


@pytest.mark.parametrize("wants", [True, False])
def test_without_a_skipped_upstream_the_run_goes_on(wants: bool) -> None:
    verdict = decide_skip(wants, None)
    assert isinstance(verdict, Proceed)
    assert verdict.why.read == ()


def test_a_skipped_upstream_skips_the_run_and_is_named() -> None:
    verdict = decide_skip(True, "load-1[3]")
    assert isinstance(verdict, Become)
    assert type(verdict.state) is Skipped
    assert verdict.state.message == verdict.why.text
    assert "load-1[3]" in verdict.why.text
    assert ("skipped", "load-1[3]") in verdict.why.read


def test_a_task_may_leave_a_skipped_upstream_to_its_trigger() -> None:
    verdict = decide_skip(False, "load-1")
    assert isinstance(verdict, Proceed)
    assert dict(verdict.why.read) == {"skipped": "load-1", "skip_on_upstream_skip": "False"}
