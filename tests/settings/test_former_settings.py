"""Settings by the names that Prefect 1 had for them, and sections of a person's own: said, read, obeyed."""

from __future__ import annotations

import pickle
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prefectlite import DaskExecutor, Flow, LocalExecutor, config, context, set_temporary_config, task
from prefectlite.errors import ConfigError
from prefectlite.executors.default import default_executor
from prefectlite.results import LocalResult
from prefectlite.schedules import Schedule, clocks
from prefectlite.settings import current, to_travel, told
from prefectlite.settings.former import IDLE, RENAMED
from tests.settings.test_settings import _nothing_is_set, say, write

__all__ = ["_nothing_is_set", "say", "write"]


class Mine(LocalExecutor):
    """An executor of a person's own."""


#: Former name, what is written, our name, what that is then, and what a reader of the former name sees.
FORMER = [
    ("tasks.defaults.max_retries", "3", "tasks.max_retries", 3, 3),
    ("tasks.defaults.max_retries", False, "tasks.max_retries", 0, 0),
    ("tasks.defaults.retry_delay", "60", "tasks.retry_delay", 60.0, timedelta(minutes=1)),
    ("tasks.defaults.retry_delay", timedelta(hours=1), "tasks.retry_delay", 3600.0, timedelta(hours=1)),
    ("tasks.defaults.retry_delay", "false", "tasks.retry_delay", None, None),
    ("tasks.defaults.timeout", "90", "tasks.timeout", 90.0, 90),
    ("tasks.defaults.timeout", False, "tasks.timeout", None, None),
    (
        "engine.executor.default_class",
        "prefect.executors.LocalExecutor",
        "executor",
        "local",
        "prefectlite.LocalExecutor",
    ),
    (
        "engine.executor.default_class",
        "prefect.engine.executors.DaskExecutor",
        "executor",
        "dask",
        "prefectlite.DaskExecutor",
    ),
    (
        "engine.executor.default_class",
        "prefectlite.LocalDaskExecutor",
        "executor",
        "threads",
        "prefectlite.LocalDaskExecutor",
    ),
    ("engine.executor.dask.address", "tcp://10.0.0.1:8786", "dask.address", "tcp://10.0.0.1:8786", None),
    ("engine.executor.dask.address", "", "dask.address", None, None),
    ("engine.executor.dask.cluster_class", "some.Cluster", "dask.cluster_class", "some.Cluster", None),
]


def read(key: str) -> Any:
    found: Any = config
    for name in key.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("former", "said", "ours", "held", "shown"), FORMER)
def test_a_setting_can_be_said_by_its_former_name(
    former: str, said: Any, ours: str, held: Any, shown: Any
) -> None:
    with set_temporary_config({former: said}):
        assert read(ours) == held
        assert read(former) == (held if shown is None else shown)
        assert {one.key: one.source for one in told()}[ours] == f"set_temporary_config, as {former}"


def test_each_former_name_leads_to_a_setting_that_there_is() -> None:
    keys = {one.key for one in told()}
    assert {one.key for one in RENAMED.values()} <= keys
    for key in RENAMED:
        read(key)


def test_former_names_hold_in_file_environment_and_assignments_alike(say: Any, write: Any) -> None:
    path = write(
        "[tasks.defaults]\nmax_retries = 1\ntimeout = false\n[engine.executor.dask]\naddress = 'a:1'\n"
    )
    assert (config.tasks.max_retries, config.tasks.timeout, config.dask.address) == (1, None, "a:1")
    say(PREFECTLITE__TASKS__DEFAULTS__MAX_RETRIES="2", PREFECTLITE__DEBUG="true")
    assert (config.tasks.defaults.max_retries, config.debug) == (2, True)
    config.tasks.defaults.max_retries = 3
    assert config["tasks"]["defaults"]["max_retries"] == config.tasks.max_retries == 3
    assert {one.key: one.source for one in told()} | {
        "dask.address": f"the file {str(path)!r}, as engine.executor.dask.address",
        "tasks.max_retries": "An assignment to config, as tasks.defaults.max_retries",
        "debug": "the environment variable PREFECTLITE__DEBUG",
    } == {one.key: one.source for one in told()}


def test_the_file_is_named_by_the_former_variable_too(say: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[my_section]\nvalue = 3")
    say(PREFECTLITE__USER_CONFIG_PATH=str(tmp_path / "mine.toml"))
    assert config.my_section.value == 3


def test_a_wrong_value_is_refused_by_the_name_that_was_written() -> None:
    with (
        pytest.raises(ConfigError, match=r"sets tasks\.defaults\.max_retries = 'x', but input should be"),
        set_temporary_config({"tasks.defaults.max_retries": "x"}),
    ):
        pass
    with (
        pytest.raises(ConfigError, match=r"tasks\.defaults\.max_retry = 1, .* mean tasks\.defaults\.max_ret"),
        set_temporary_config({"tasks.defaults.max_retry": 1}),
    ):
        pass


class TestWithoutEffect:
    def test_what_is_so_anyway_needs_no_word(self, say: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            say(
                PREFECTLITE__FLOWS__CHECKPOINTING="true",
                PREFECTLITE__LOGGING__EXTRA_LOGGERS="['boto']",
                PREFECTLITE__ENGINE__FLOW_RUNNER__DEFAULT_CLASS="prefect.engine.flow_runner.FlowRunner",
            )
            assert config.flows.checkpointing is True
            assert config.logging.extra_loggers == ["boto"]

    def test_the_rest_is_taken_with_one_warning_that_says_why(self, write: Any) -> None:
        path = write(
            "backend = 'server'\n[flows]\ncheckpointing = false\n[cloud]\napi = 'x'\nauth_token = 'hush'\n"
        )
        with pytest.warns(UserWarning, match="changes nothing here") as caught:
            held = current()
        assert (config.flows.checkpointing, config.backend, config.cloud.api) == (True, "server", "x")
        assert current() is held
        (one,) = caught
        assert str(one.message).splitlines() == [
            f"The file {str(path)!r} sets {names}, which changes nothing here: {why}."
            for names, why in (
                ("backend, cloud.api, cloud.auth_token", IDLE["logging.log_to_cloud"].why),
                ("flows.checkpointing", IDLE["flows.checkpointing"].why),
            )
        ]
        assert {one.key: one.value for one in told()}["cloud.auth_token"] == "**********"

    @pytest.mark.parametrize("name", IDLE)
    def test_what_holds_instead_can_be_read(self, name: str) -> None:
        assert read(name) in (True, False, [])

    def test_what_nobody_set_of_a_server_says_so(self) -> None:
        with pytest.raises(AttributeError, match=r"'cloud\.api': it was about a server.*nobody has set it"):
            _ = config.cloud.api
        assert config.cloud.get("api") is None

    def test_rules_of_a_persons_own_class_are_refused_and_not_ignored(self) -> None:
        with (
            pytest.raises(
                ConfigError, match=r"'my\.Runner', but one engine applies the rules here, and that"
            ),
            set_temporary_config({"engine.flow_runner.default_class": "my.Runner"}),
        ):
            pass


class TestOwnSections:
    def test_they_are_read_by_attribute_and_item(self, write: Any, say: Any) -> None:
        write("lone = 1\n[shop]\nregion = 'north'\nsizes = [1, 2]\n[shop.limits]\nlow = 1\n")
        say(
            PREFECTLITE__SHOP__LIMITS__HIGH="9",
            PREFECTLITE__SHOP__REGION="south",
            PREFECTLITE__NEW__ON="True",
        )
        assert (config.lone, config.shop.region, config.shop["sizes"], config.new.on) == (
            1,
            "south",
            [1, 2],
            True,
        )
        assert config.shop.limits == {"low": 1, "high": 9}
        assert dict(config.shop) == {"region": "south", "sizes": [1, 2], "limits": {"low": 1, "high": 9}}
        assert (config.shop.get("nothing"), "region" in config.shop, len(config.shop)) == (None, True, 3)
        with pytest.raises(AttributeError, match=r"no setting 'shop\.rigion'"):
            _ = config.shop.rigion
        config.shop.region = "east"
        assert config.shop.region == "east"
        assert {one.key: one.value for one in told()}["shop.limits.high"] == 9

    def test_texts_refer_to_other_settings_and_to_variables(
        self, write: Any, say: Any, tmp_path: Path
    ) -> None:
        write(
            "home_dir = '$ROOT/home'\n[shop]\ncount = 3\nsame = '${shop.count}'\nfolder = '${home_dir}/shop'\n"
            "deep = '${shop.folder}/${tasks.defaults.max_retries}'\nmine = '~/x'\nprice = '3 $'\nplain = '$NIX'\n"
            "[context.secrets]\nPW = '~$ROOT${shop.count}'\n"
        )
        say(ROOT="/data", PREFECTLITE__SHOP__OUT="${shop.folder}/out")
        assert dict(config.shop) == {
            "count": 3,
            "same": 3,
            "folder": "/data/home/shop",
            "deep": "/data/home/shop/0",
            "mine": f"{tmp_path}/x",
            "price": "3 $",
            "plain": "$NIX",
            "out": "/data/home/shop/out",
        }
        assert config.secrets.PW == "~$ROOT3"

    def test_a_secret_of_the_environment_is_what_it_is(self, say: Any) -> None:
        say(PREFECTLITE__CONTEXT__SECRETS__PW="$HOME${x}")
        assert config.context.secrets.PW == config.secrets.PW == "$HOME${x}"

    def test_what_refers_back_to_itself_is_refused(self, write: Any) -> None:
        write("[shop]\na = 'x${shop.b}'\nb = '${shop.a}'\n")
        with pytest.raises(ConfigError, match=r"shop\.b says \$\{shop\.a\}, which refers back"):
            current()

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("progres = true", "progres = True, which is no setting; did you mean progress?"),
            ("inline_limit = 1", "which is no setting; did you mean results.inline_limit?"),
            (
                "[task]\nmax_retries = 1",
                r"task\.max_retries = 1, which is no setting; did you mean tasks\.max",
            ),
            ("[tasks]\nregion = 1", "tasks.region = 1, which is no setting"),
            ("[shop]\nitems = 1", "shop.items = 1, which cannot be read as an attribute: items is a method"),
        ],
    )
    def test_a_slip_is_no_section_of_ones_own(self, write: Any, content: str, text: str) -> None:
        write(content)
        with pytest.raises(ConfigError, match=text):
            current()


def test_bodies_read_the_settings_of_the_run_by_all_names() -> None:
    @task
    def look() -> list[Any]:
        held = context.config
        return [
            held.shop.region,
            held.tasks.defaults.max_retries,
            held["flows"]["checkpointing"],
            repr(held.shop),
        ]

    with set_temporary_config({"shop.region": "north", "tasks.defaults.max_retries": 2}):
        with Flow("looks") as flow:
            seen = look()
        state = flow.run(executor=LocalExecutor())
    assert state.result[seen].result == ["north", 2, True, "<Settings shop: {'region': 'north'}>"]


def test_settings_that_travelled_cannot_be_set() -> None:
    travelled = pickle.loads(pickle.dumps(to_travel(current())))
    with pytest.raises(
        AttributeError, match=r"'tasks\.max_retries' cannot be set here: .* prefectlite\.config"
    ):
        travelled.tasks.max_retries = 3
    live = pickle.loads(pickle.dumps(config.tasks))
    live.max_retries = 3
    assert config.tasks.max_retries == 3


def test_the_default_executor_may_be_a_class_of_ones_own() -> None:
    for named in (f"{__name__}.Mine", Mine):
        with set_temporary_config({"engine.executor.default_class": named}):
            assert type(default_executor()) is Mine


def test_a_dask_executor_that_does_not_say_where_takes_it_from_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = sys.modules["prefectlite.executors.dask"]
    made: list[Any] = []
    monkeypatch.setattr(module, "start_cluster", lambda *arguments: made.append(arguments[:2]))
    monkeypatch.setattr(module, "reach_address", lambda *arguments: made.append(arguments[0]))
    monkeypatch.setattr(module, "active_client", lambda: None)
    with set_temporary_config({"dask.address": "a:1", "dask.cluster_class": "some.Cluster", "debug": True}):
        for executor in (DaskExecutor(), DaskExecutor(n_workers=2), DaskExecutor("my.Cluster")):
            reach = executor._reach(current().dask.address)
            executor._start(None, current()) if reach is None else reach()
    with set_temporary_config({"debug": True}):
        DaskExecutor()._start(None, current())
        DaskExecutor(debug=False)._start(None, current())
    assert made == [
        "a:1",
        ("some.Cluster", {}),
        ("my.Cluster", {}),
        (None, {"silence_logs": 30}),
        (None, {}),
    ]


def test_results_that_go_nowhere_else_go_home(tmp_path: Path) -> None:
    with set_temporary_config({"home_dir": str(tmp_path)}):
        assert LocalResult().dir == str(tmp_path / "results")


def test_settings_decide_whether_a_run_follows_its_schedule() -> None:
    past = clocks.DatesClock([datetime(2020, 1, 1, tzinfo=UTC)])
    with Flow("scheduled", schedule=Schedule([past])) as flow:
        task(lambda: 1, name="one")()
    with set_temporary_config({"flows.run_on_schedule": False}):
        assert flow.run(executor=LocalExecutor()).is_successful()
        with pytest.raises(ValueError, match="schedule"):
            flow.run(run_on_schedule=True, executor=LocalExecutor())
