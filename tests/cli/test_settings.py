"""The program's settings: shown with their sources, obeyed, and refused with a mend; secrets stay masked."""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, datetime
from typing import Any

import pytest

from prefectlite.cli.parameters import context_from, gather
from prefectlite.cli.settings import settings_text
from prefectlite.core.parameter import Parameter
from prefectlite.errors import ContextError, ParameterError
from prefectlite.settings import Setting

FLOW = """
    import logging
    from pydantic import SecretStr
    from prefectlite import Flow, Parameter, Secret, context, task

    @task
    def tell(pw, box):
        logging.getLogger("mine").warning("with %s", pw)
        logging.getLogger("mine").info("at ease")
        return f"{context.region} {context.today} {context.config.results.inline_limit} {pw} {box.get_secret_value()}"

    @task
    def fail(pw):
        raise ValueError(f"not with {pw}")

    with Flow("etl") as flow:
        box = Parameter("box", default="default-box", type=SecretStr)
        pw = Secret("PW")
        tell(pw, box)

    with Flow("bad") as bad:
        fail(Secret("PW"))
"""


def test_settings_are_shown_as_toml_with_their_sources(shell: Any) -> None:
    shell.write(
        "mine.toml", "progress = true\n[context]\nregion = 'north'\n[context.secrets]\nPW = 'file-hush'\n"
    )
    shell.environment |= {"PREFECTLITE_CONFIG": "mine.toml", "PREFECTLITE_RESULTS_INLINE_LIMIT": "99"}
    done = shell.run("config")
    assert done.returncode == 0, done.stderr
    shown = tomllib.loads(done.stdout)
    assert (shown["executor"], shown["progress"], shown["results"]["inline_limit"]) == ("dask", True, 99)
    assert shown["logging"]["runs_per_second"] == math.inf
    assert shown["context"] == {"region": "north", "secrets": {"PW": "**********"}}
    assert "inline_limit = 99  # the environment variable PREFECTLITE_RESULTS_INLINE_LIMIT" in done.stdout
    assert "progress = true  # the file 'mine.toml'" in done.stdout
    assert 'executor = "dask"  # default' in done.stdout
    assert "# How many task runs may travel as one Dask task; 1 lets each travel alone." in done.stdout
    assert "file-hush" not in done.stdout


@pytest.mark.parametrize("command", [["config"], ["run", "etl.py", "--flow", "etl", "--local"]])
def test_a_wrong_setting_is_a_usage_error_with_a_mend(shell: Any, command: list[str]) -> None:
    shell.write("etl.py", FLOW)
    shell.environment["PREFECTLITE_EXECUTER"] = "local"
    done = shell.run(*command)
    assert done.returncode == 2
    assert (
        "PREFECTLITE_EXECUTER sets executer = 'local', which is no setting; did you mean executor?"
        in done.stderr
    )


def test_a_run_obeys_settings_and_context_and_shows_no_secret(shell: Any) -> None:
    shell.write("etl.py", FLOW)
    shell.environment |= {
        "PREFECTLITE_EXECUTOR": "local",
        "PREFECTLITE_LOGGING_LEVEL": "WARNING",
        "PREFECTLITE_RESULTS_INLINE_LIMIT": "4000",
        "PREFECTLITE__CONTEXT__SECRETS__PW": "shell-hush",
    }
    given = ["--context", "region=north", "--context", "date=2026-03-01", "-p", "box=param-hush"]
    done = shell.run("run", "etl.py", "--flow", "etl", *given)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "north 2026-03-01 4000 ********** **********\n"
    assert "with **********" in done.stderr
    assert "at ease" not in done.stderr
    assert "hush" not in done.stderr
    done = shell.run("run", "etl.py", "--flow", "etl", "--context", "region=south", "--log-level", "info")
    assert "at ease" in done.stderr


def test_a_failure_shows_no_secret(shell: Any) -> None:
    shell.write("etl.py", FLOW)
    shell.environment["PREFECTLITE__CONTEXT__SECRETS__PW"] = "shell-hush"
    done = shell.run("run", "etl.py", "--flow", "bad", "--local")
    assert done.returncode == 1
    assert "not with **********" in done.stderr
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("given", ["region", "=north", "attempt=7", "date=someday"])
def test_a_wrong_context_is_a_usage_error(shell: Any, given: str) -> None:
    shell.write("etl.py", FLOW)
    done = shell.run("run", "etl.py", "--flow", "etl", "--local", "--context", given)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert given.partition("=")[0] in done.stderr


def test_context_is_json_or_text() -> None:
    assert context_from(["a=1", "b=[1, 2]", "c=north=south", "a=2"]) == {
        "a": 2,
        "b": [1, 2],
        "c": "north=south",
    }
    with pytest.raises(ContextError, match="--context 'a' is not of the form name=value"):
        context_from(["a"])


def test_a_secret_that_is_given_twice_is_not_shown() -> None:
    from pydantic import SecretStr

    with pytest.raises(ParameterError, match=r"The parameter 'pw' is given twice; give it once") as caught:
        gather([Parameter("pw", type=SecretStr)], ["pw=hush-hush", "pw=hush-again"], None)
    assert "hush" not in str(caught.value)


def test_any_value_and_name_is_toml() -> None:
    told = [
        Setting("n", None, "default", "A number."),
        Setting("context.a b", {"x y": [1, True, "ü\n"]}, "the file 'f'", ""),
        Setting("context.when", datetime(2026, 3, 1, tzinfo=UTC), "the file 'f'", ""),
        Setting("context.secrets.a.b", "**********", "the file 'f'", ""),
    ]
    text = settings_text(told)
    assert tomllib.loads(text) == {
        "context": {
            "a b": {"x y": [1, True, "ü\n"]},
            "when": datetime(2026, 3, 1, tzinfo=UTC),
            "secrets": {"a.b": "**********"},
        }
    }
    assert text.startswith("# A number.\n# n =  # default\n\n[context]\n")
