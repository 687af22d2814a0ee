"""Settings: where they are said, which goes first, what is refused, and that nobody reads them unasked."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prefectlite import DaskExecutor, LocalDaskExecutor, LocalExecutor, config, set_temporary_config, task
from prefectlite.errors import ConfigError
from prefectlite.executors.default import default_executor
from prefectlite.settings import Settings, current, to_travel, told


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PREFECTLITE_CONFIG")
    config.reload()
    yield
    monkeypatch.undo()
    config.reload()


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets environment variables and reads the settings again."""

    def say(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        config.reload()

    return say


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes the configuration file and reads the settings again."""

    def write(text: str) -> Path:
        path = tmp_path / ".prefectlite" / "config.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        config.reload()
        return path

    return write


def sources() -> dict[str, str]:
    return {one.key: one.source for one in told() if one.source != "default"}


def test_without_a_word_all_is_default() -> None:
    assert current() == Settings()
    assert current() is current()
    assert sources() == {}


def test_file_goes_before_default_and_environment_before_file_and_a_block_before_both(
    say: Any, write: Any
) -> None:
    path = write("progress = true\n[results]\ninline_limit = 1\nkeep_limit = 2\n")
    say(PREFECTLITE_RESULTS_INLINE_LIMIT="10")
    assert (config.progress, config.results.inline_limit, config.results.keep_limit) == (True, 10, 2)
    assert sources() == {
        "progress": f"the file {str(path)!r}",
        "results.inline_limit": "the environment variable PREFECTLITE_RESULTS_INLINE_LIMIT",
        "results.keep_limit": f"the file {str(path)!r}",
    }
    with set_temporary_config({"results.inline_limit": 100}):
        assert config.results.inline_limit == 100
        assert sources()["results.inline_limit"] == "set_temporary_config"
    assert config.results.inline_limit == 10


def test_a_file_elsewhere_is_named_by_a_variable(say: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("executor = 'local'")
    say(PREFECTLITE_CONFIG=str(tmp_path / "mine.toml"))
    assert config.executor == "local"


def test_variables_are_read_as_their_type_says_with_one_underscore_or_two(say: Any) -> None:
    say(
        PREFECTLITE__LOGGING__LEVEL="debug",
        PREFECTLITE_TASKS__MAX_RETRIES="2",
        PREFECTLITE_TASKS_RETRY_DELAY="1.5",
        PREFECTLITE_PROGRESS="yes",
        PREFECTLITE_BUNDLE_SIZE="8",
        PREFECTLITE_N_WORKERS="3",
    )
    assert (config.logging.level, config.tasks.max_retries, config.tasks.retry_delay) == ("DEBUG", 2, 1.5)
    assert (config.progress, config.bundle_size, config.n_workers) == (True, 8, 3)


def test_context_and_secrets_are_free(say: Any, write: Any) -> None:
    write("[context]\nregion = 'north'\nlimits = {low = 1}\n[context.secrets]\nFILE_PW = 'from the file'\n")
    say(PREFECTLITE__CONTEXT__SIZE="[1, 2]", PREFECTLITE_CONTEXT_SECRETS_Env__Pw="from-outside")
    free = {"region": "north", "limits": {"low": 1}, "size": [1, 2]}
    assert config.context == {**free, "secrets": config.secrets}
    assert dict(config.secrets) == {"FILE_PW": "from the file", "Env__Pw": "from-outside"}
    assert "from" not in repr(config)
    assert {one.value for one in told() if "secrets" in one.key} == {"**********"}
    with set_temporary_config({"context": {"region": "south", "secrets": {"FILE_PW": "another one"}}}):
        assert config.context["region"] == "south"
        assert config.secrets.FILE_PW == "another one"


def test_texts_of_the_file_may_refer_to_variables_and_to_each_other(say: Any, write: Any) -> None:
    write(
        "[context]\nroot = '/data/${PLACE}'\n[context.secrets]\nPW = '${PW_OF_DB}'\nlog = 'x${results.keep_limit}'\n[results]\nkeep_limit = 7"
    )
    say(PLACE="north", PW_OF_DB="correct horse")
    assert config.context["root"] == "/data/north"
    assert dict(config.secrets) == {"PW": "correct horse", "log": "x7"}
    write("[context]\nroot = '${NOWHERE_SET}'")
    with pytest.raises(ConfigError, match=r"context\.root says \$\{NOWHERE_SET\}, which is neither"):
        current()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "RESULTS_INLINE_LIMIT",
            "many",
            r"results.inline_limit = 'many', but input should be a valid integer.* the default, 8192",
        ),
        ("RESULTS_INLINE_LIMIT", "-1", "greater than or equal to 0"),
        ("RESULTS_INLINE_LIMITS", "1", "no setting; did you mean results.inline_limit"),
        ("RESULTS", "1", "results is a section; its settings are results.inline_limit, results.keep_limit"),
        ("BUNDLE_SIZE", "0", "bundle_size = '0', but .*greater than or equal to 1 or input should be 'auto'"),
        ("EXECUTOR", "lokal", "executor = 'lokal', but it is none of dask, local"),
        ("EXECUTOR", "", "none of dask, local"),
        (
            "LOGGING_LEVEL",
            "loud",
            "logging.level = 'loud', but input should be 'DEBUG'",
        ),
        ("LOGGING_FORMAT", "no field", "logging.format = 'no field', but .*[Ii]nvalid format"),
        ("TASKS_RETRY_DELAY", "nan", "finite number"),
        ("NONSENSE", "1", "nonsense = '1', which is no setting; take it out"),
        ("MY_SECRETS_X", "hush-hush", r"= \*{10}, which is no setting"),
    ],
)
def test_a_wrong_variable_is_named_with_key_value_and_mend(
    say: Any, name: str, value: str, text: str
) -> None:
    say(**{f"PREFECTLITE_{name}": value})
    with pytest.raises(ConfigError, match=f"The environment variable PREFECTLITE_{name} sets .*(?:{text})"):
        current()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("progress = tru", "is not TOML: .*line 1.*write lines such as"),
        (
            "[result]\ninline_limit = 1",
            r"sets result.inline_limit = 1, which is no setting; did you mean results.i",
        ),
        (
            "[results]\nlimit = 1",
            "results.limit = 1, which is no setting; did you mean results.inline_limit|keep_limit",
        ),
        ("results = 1", "results is a section"),
        ("context = 1", r"context = 1, but it must be a table of names and values; write \[context\]"),
        ("[context]\nsecrets = 'hush-hush'", r"context.secrets = \*{10}, but it must be a table"),
        ("[results]\ninline_limit = 'x'", "results.inline_limit = 'x', but input should be a valid integer"),
    ],
)
def test_a_wrong_file_is_named_with_key_value_and_mend(write: Any, content: str, text: str) -> None:
    path = write(content)
    with pytest.raises(ConfigError, match=text) as caught:
        current()
    assert str(path) in str(caught.value)


def test_a_file_that_is_named_and_not_there_is_an_error(say: Any, tmp_path: Path) -> None:
    say(PREFECTLITE_CONFIG=str(tmp_path / "gone.toml"))
    with pytest.raises(
        ConfigError, match=r"gone.toml', which PREFECTLITE_CONFIG names, cannot be read: No such file"
    ):
        current()
    say(PREFECTLITE_CONFIG=str(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        current()


def test_a_wrong_temporary_setting_is_refused_and_leaves_nothing_behind() -> None:
    for wrong in ({"result.limit": 1}, {"progress": "perhaps"}):
        with (
            pytest.raises(ConfigError, match=f"set_temporary_config sets {next(iter(wrong))}"),
            set_temporary_config(wrong),
        ):
            pass
    assert current() == Settings()


def test_temporary_settings_of_two_threads_end_in_any_order() -> None:
    first, second = set_temporary_config({"n_workers": 1}), set_temporary_config({"n_workers": 2})
    first.__enter__()
    second.__enter__()
    seen: list[int | None] = []
    thread = threading.Thread(target=lambda: seen.append(config.n_workers))
    thread.start()
    thread.join()
    first.__exit__(None, None, None)
    assert (seen, config.n_workers) == ([2], 2)
    second.__exit__(None, None, None)
    assert config.n_workers is None


def test_config_is_read_by_attribute_and_says_which_names_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no setting 'progres'; did you mean progress"):
        _ = config.progres
    with pytest.raises(
        AttributeError, match=r"no setting 'mine'; set it before, or read it with get\('mine'\)"
    ):
        _ = config.mine
    assert {"executor", "results", "tasks"} <= set(dir(config))
    assert config["results"]["inline_limit"] == config.get("results").inline_limit == 8192
    assert (config.get("progres"), "n_workers" in config, config.results.get("nothing", 3)) == (None, True, 3)
    with pytest.raises(KeyError, match="no setting 'progres'"):
        _ = config["progres"]
    assert repr(config).startswith("<Config: Settings(executor='dask'")
    assert pickle.loads(pickle.dumps(config)) is config
    assert pickle.loads(pickle.dumps(current())) == current()


def test_config_gives_a_copy_as_a_dict_whose_secrets_do_not_show() -> None:
    with set_temporary_config({"mine.deep.value": 3, "context.secrets.PW": "correct horse"}):
        copied = config.to_dict()
        assert type(copied["results"]) is dict
        assert copied["results"]["inline_limit"] == 8192
        assert copied["mine"] == {"deep": {"value": 3}}
        assert config.tasks.to_dict()["max_retries"] == 0
        assert "correct horse" not in repr(copied)


def test_what_is_set_on_config_holds_in_this_process_or_until_a_block_is_left() -> None:
    config.tasks.max_retries = 1
    config["n_workers"] = 2
    with set_temporary_config({"n_workers": 3}):
        config.n_workers, config.tasks.max_retries, config.bundle_size = 4, 5, 6
        assert (config.n_workers, config.tasks.max_retries, config.bundle_size) == (4, 5, 6)
    assert (config.n_workers, config.tasks.max_retries, config.bundle_size) == (2, 1, "auto")
    assert sources() == dict.fromkeys(("n_workers", "tasks.max_retries"), "An assignment to config")
    with pytest.raises(ConfigError, match="An assignment to config sets n_workers = 'x', but"):
        config.n_workers = "x"
    with pytest.raises(ConfigError, match="sets n_worker = 3, which is no setting; did you mean n_workers"):
        config.n_worker = 3
    assert config.n_workers == 2


def test_what_travels_has_no_secrets() -> None:
    with set_temporary_config({"context.secrets.PW": "correct horse", "progress": True}):
        travelling = to_travel(current())
        assert b"correct horse" not in pickle.dumps(travelling)
        assert travelling.progress is True


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("dask", DaskExecutor, "DaskExecutor()"),
        ("local", LocalExecutor, "LocalExecutor()"),
        ("threads", LocalDaskExecutor, "LocalDaskExecutor('threads')"),
        ("processes", LocalDaskExecutor, "LocalDaskExecutor('processes')"),
        ("tcp://10.0.0.1:8786", DaskExecutor, "DaskExecutor('tcp://10.0.0.1:8786')"),
        ("dask_jobqueue.SLURMCluster", DaskExecutor, "DaskExecutor('dask_jobqueue.SLURMCluster')"),
    ],
)
def test_a_setting_names_the_default_executor(name: str, kind: type, shown: str) -> None:
    with set_temporary_config({"executor": name}):
        found = default_executor()
    assert (type(found), repr(found)) == (kind, shown)


class TestTasks:
    def test_defaults_of_tasks_are_settings(self) -> None:
        with set_temporary_config(
            {"tasks.max_retries": 2, "tasks.retry_delay": 5, "tasks.map_lengths": "shortest"}
        ):
            plain, own, none = (
                task(_body),
                task(_body, max_retries=1, retry_delay=1.0),
                task(_body, max_retries=0),
            )
        assert (plain.max_retries, plain.retry_delay, plain.map_lengths) == (
            2,
            timedelta(seconds=5),
            "shortest",
        )
        assert (own.max_retries, own.retry_delay) == (1, timedelta(seconds=1))
        assert (none.max_retries, none.retry_delay) == (0, None)
        assert task(_body).max_retries == 0

    def test_tasks_that_say_no_limit_have_the_settings(self) -> None:
        with set_temporary_config({"tasks.timeout": 2.5}):
            assert (task(_body).timeout, task(_body, timeout=1).timeout) == (2.5, 1.0)
            assert task(_body, timeout=None).timeout is None
        assert task(_body).timeout is None

    def test_the_delay_is_for_tasks_that_are_tried_again(self) -> None:
        with set_temporary_config({"tasks.retry_delay": 5}):
            plain, retried = task(_body), task(_body, max_retries=3)
        assert (plain.max_retries, plain.retry_delay) == (0, None)
        assert (retried.max_retries, retried.retry_delay) == (3, timedelta(seconds=5))

    def test_tasks_without_options_share_theirs(self) -> None:
        with set_temporary_config({"tasks.max_retries": 2}):
            assert task(_body).frozen_options is task(_body).frozen_options


def _body() -> None: ...


def test_neither_file_nor_pydantic_is_read_for_defaults(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom prefectlite import Flow, LocalExecutor, task\n"
        "with Flow('f') as flow:\n    task(lambda: 1)()\n"
        "assert flow.run(executor=LocalExecutor()).is_successful()\n"
        "print([name for name in ('pydantic', 'tomllib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": str(tmp_path)},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
