"""The pytest plugin, as a user's tests see it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


def test_a_test_simulates_and_one_that_fails_shows_the_timeline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from prefectlite import Flow, task
        from prefectlite.testing import returns

        @task(max_retries=1, retry_delay=600)
        def load():
            return 1

        with Flow("daily") as flow:
            loaded = load()

        def test_passes(prefectlite_simulate):
            run = prefectlite_simulate(flow, outcomes={load: [OSError("down"), returns(5)]})
            assert run[loaded].result == 5

        def test_fails(prefectlite_simulate):
            run = prefectlite_simulate(flow, outcomes={load: OSError("down")})
            assert run.state.is_successful()

        def test_fails_without(local_executor):
            assert flow.run(executor=local_executor).is_failed()
        """
    )

    result = pytester.runpytest("-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*timeline of flow 'daily'*",
            "*600.0 s  load-1 * attempt 2 * Running *",
            "*600.0 s  the flow * Failed *",
        ]
    )
    assert str(result.stdout).count("timeline of flow") == 1


def test_a_test_that_leaves_a_process_fails_and_names_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prefectlite.pytest_plugin.PATIENCE", 0.5)
    pytester.makepyfile(
        """
        import subprocess
        import pytest
        from prefectlite import Flow, task

        left = []

        @task
        def starts():
            left.append(subprocess.Popen(["sleep", "61.5"]))

        with Flow("leaves") as flow:
            starts()

        @pytest.fixture(scope="session", autouse=True)
        def end_it():
            yield
            for one in left:
                one.kill()
                one.wait()

        def test_leaves_one(no_leftover_processes, local_executor):
            flow.run(executor=local_executor)

        def test_ends_what_it_starts(no_leftover_processes):
            subprocess.run(["true"])
            subprocess.Popen(["sleep", "0.1"]).wait()

        def test_does_not_ask(local_executor):
            flow.run(executor=local_executor)
        """
    )

    result = pytester.runpytest("-p", "no:cacheprovider")

    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*The test left processes running:*", "*: sleep 61.5*"])


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_on_a_cluster_of_its_own_leaves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from prefectlite import DaskExecutor, Flow, task

        @task
        def one():
            return 1

        def test_run(no_leftover_processes):
            with Flow("own cluster") as flow:
                made = one()
            place = DaskExecutor(cluster_kwargs={"n_workers": 1, "dashboard_address": ":0"})
            assert flow.run(executor=place).result[made].result == 1
        """
    )

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_plugin_costs_other_peoples_tests_next_to_nothing() -> None:
    code = "import sys, prefectlite.pytest_plugin; print([m for m in ('dask', 'pydantic', 'psutil', 'prefectlite.flow') if m in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
