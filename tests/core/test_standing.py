"""What the context always holds: the settings and the secrets, to be read and set wherever code runs."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from prefectlite import Flow, LocalExecutor, Secret, config, context, set_temporary_config, task
from prefectlite.errors import ConfigError, ContextError
from prefectlite.masking import Secrets, mask
from prefectlite.settings import Section, current


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with set_temporary_config({}):
        yield
    context.clear()


def in_a_thread(work: Any, *arguments: Any) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work(*arguments)))
    thread.start()
    thread.join()
    return found[0]


class TestSecrets:
    def test_they_are_set_in_each_way_of_prefect_1(self) -> None:
        context.setdefault("secrets", {})["A"] = "of setdefault"
        context.secrets["B"] = "of an item"
        context.secrets.C = "of an attribute"
        context.secrets.update(D="of update")
        assert [Secret(name).get() for name in "ABCD"] == [
            "of setdefault",
            "of an item",
            "of an attribute",
            "of update",
        ]
        assert (context["secrets"].A, context.get("secrets")["B"]) == ("of setdefault", "of an item")
        del context.secrets["A"], context.secrets.B
        assert sorted(context.secrets) == ["C", "D"]
        context.secrets = {"E": "of an assignment"}
        assert context.setdefault("secrets", {"F": 1}) == {"E": "of an assignment"}
        assert context.pop("secrets") == {"E": "of an assignment"}
        assert context.pop("secrets", None) == {}
        assert context.setdefault("secrets", {"F": "of a default"}).F == "of a default"

    def test_what_is_set_goes_before_the_configuration_and_hides_none_of_it(self) -> None:
        config.context.secrets = {"A": "configured", "B": "configured too"}
        context.secrets["A"] = "set"
        assert dict(context.secrets) == {"A": "set", "B": "configured too"}
        assert config.context.secrets == {"A": "configured", "B": "configured too"}
        config.context.secrets.B = "changed"
        assert (Secret("A").get(), Secret("B").get(), len(context.secrets)) == ("set", "changed", 2)
        with pytest.raises(
            KeyError, match=r"'B' is the configuration's; del config\.context\.secrets\['B'\]"
        ):
            del context.secrets["B"]
        context.secrets.pop("A")
        assert context.secrets.A == "configured"
        del config.context.secrets["A"], config.context.secrets.B
        assert not context.secrets

    def test_they_end_with_their_block_and_their_thread(self) -> None:
        def work(value: str) -> Any:
            before = context.secrets.get("A")
            context.secrets["A"] = value
            return before, Secret("A").get()

        with context(secrets={"A": "of the block"}):
            context.secrets["B"] = "later in the block"
            with context(secrets={"C": "of another"}):
                assert dict(context.secrets) == {"C": "of another"}
            assert sorted(context.secrets) == ["A", "B"]
            assert in_a_thread(work, "of a thread") == (None, "of a thread")
        context.secrets["A"] = "of the program"
        assert in_a_thread(work, "of a thread") == ("of the program", "of a thread")
        assert Secret("A").get() == "of the program"

    def test_nobody_is_shown_them(self) -> None:
        context.secrets["A"] = "set-by-item"
        config.context.secrets.B = "set-on-config"
        config.update({"context": {"secrets": {"B": "set-on-config", "C": "set-by-update"}}})
        config.secrets.update(D="set-by-our-name")
        config.secrets = {**config.secrets, "E": "set-as-a-whole"}
        with context({"secrets": {"F": "of-the-block"}}):
            held = [
                context.secrets,
                context.to_dict(),
                dict(context),
                config,
                config.to_dict(),
                dict(config.context),
            ]
            shown = f"{held} {context.config.context!r} {context.config.copy()!r}"
            assert sorted(context.secrets) == ["B", "C", "D", "E", "F"]
        for value in (
            "set-by-item", "set-on-config", "set-by-update", "set-by-our-name", "set-as-a-whole", "of-the-block",
        ):  # fmt: skip
            assert value not in shown
            assert value not in mask(f"it is {value}")
        arrived = pickle.loads(pickle.dumps(context.secrets))
        assert (type(arrived), arrived) == (Secrets, context.secrets)

    def test_what_has_no_names_is_refused_and_not_shown(self) -> None:
        for wrong in (
            lambda: context(secrets="hush-hush"),
            lambda: context.__setitem__("secrets", "hush-hush"),
            lambda: context.update(secrets="hush-hush"),
        ):
            with pytest.raises(
                ContextError, match=r"given secrets of type str, .* write context\(secrets=\{"
            ):
                wrong()
        with pytest.raises(AttributeError, match="no secret 'A'; the names are none"):
            _ = context.secrets.A
        with pytest.raises(AttributeError, match="no secret 'A'"):
            del context.secrets.A
        with pytest.raises(KeyError):
            del context.secrets["A"]


class TestSettings:
    def test_outside_they_are_those_of_the_process(self) -> None:
        assert context.config is context["config"] is context.get("config") is config
        context.config.logging.level = "DEBUG"
        context.config.update({"shop": {"region": "north"}})
        assert (config.logging.level, config.shop.region) == ("DEBUG", "north")
        assert in_a_thread(lambda: context.config.shop.region) == "north"

    def test_a_block_may_have_settings_of_its_own_over_those_around_it(self) -> None:
        config.shop = {"region": "north", "size": 1}
        with context(config={"shop": {"region": "south"}, "tasks": {"defaults": {"max_retries": 2}}}):
            assert (context.config.shop, context.config.tasks.max_retries) == (
                {"region": "south", "size": 1},
                2,
            )
            assert task(lambda: 1).max_retries == current().tasks.max_retries == 2
            context.config.context.secrets["A"] = "of the block"
            assert (Secret("A").get(), "A" in config.secrets) == ("of the block", False)
            context.config.shop.size = 2
            context.config.update(debug=True)
            with context({"config": {"shop.size": 3}}, more=1):
                assert (context.config.shop.size, context.config.debug, context.more) == (3, True, 1)
            assert (context.config["shop"]["size"], config.shop.size, config.debug) == (2, 1, False)
            context.config.shop = {"x": 1}
            assert context.config.pop("debug") is True
            del context.config.tasks.defaults
            assert (context.config.shop, context.config.debug, context.config.tasks.max_retries) == (
                {"x": 1},
                False,
                0,
            )
            context.config.clear()
            assert (context.config.get("shop"), config.shop.size) == (None, 1)
            context.config.shop = {"region": "south", "size": 2}
            with context(config=config):
                assert context.config is config
                assert current().debug is False
            assert in_a_thread(lambda: context.config) is config
            kept = pickle.loads(pickle.dumps(context.config.shop))
        assert (kept, type(kept)) == ({"region": "south", "size": 2}, Section)
        assert context.config is config
        assert task(lambda: 1).max_retries == 0

    def test_a_run_obeys_those_of_the_block_that_it_begins_in(self) -> None:
        @task
        def look() -> Any:
            return context.config.shop.region, context.config.executor

        with Flow("etl") as flow:
            made = look()
        with context(config={"shop": {"region": "south"}, "executor": "local"}):
            assert flow.run().result[made].result == ("south", "local")

    def test_temporary_ones_hold_in_a_block_with_settings_of_its_own(self) -> None:
        @task
        def look() -> Any:
            before = context.config.debug
            with set_temporary_config({"debug": not before}):
                return before, context.config.debug

        with Flow("etl") as flow:
            made = look()
        with context(config={"debug": False, "shop": {"region": "south"}}):
            with set_temporary_config({"debug": True, "shop.size": 3}):
                assert (context.config.debug, current().debug, config.debug) == (True, True, True)
                assert context.config.shop == {"region": "south", "size": 3}
                assert flow.run(executor=LocalExecutor()).result[made].result == (True, False)
            assert (context.config.debug, context.config.shop) == (False, {"region": "south"})
        with set_temporary_config({"debug": True}), context(config={"debug": False}):
            assert (context.config.debug, config.debug) == (False, True)

    def test_async_code_has_its_own(self) -> None:
        async def one(value: str) -> Any:
            with context(secrets={"A": value}, config={"shop": {"x": value}}):
                await asyncio.sleep(0)
                return Secret("A").get(), context.config.shop.x

        async def both() -> Any:
            return await asyncio.gather(one("first one"), one("second one"))

        assert asyncio.run(both()) == [("first one", "first one"), ("second one", "second one")]

    def test_what_cannot_be_is_refused_by_name_value_and_mend(self) -> None:
        with pytest.raises(
            ContextError, match=r"given config 3, .*; write context\(config=\{'debug': True\}\)"
        ):
            context(config=3)
        with pytest.raises(ConfigError, match=r"The context's config sets debug = 'maybe', but input should"):
            context(config={"debug": "maybe"})
        with (
            context(config={"debug": True}),
            pytest.raises(ConfigError, match=r"sets n_worker = 3, .* did you mean n_workers"),
        ):
            context.config.n_worker = 3
        with pytest.warns(UserWarning, match="The context's config sets cloud.api, which changes nothing"):
            context(config={"cloud": {"api": "x"}})
        with (
            Flow("etl") as flow,
            pytest.raises(ConfigError, match=r"The context's config sets debug = 'maybe', but input should"),
        ):
            Flow("other").run(context={"config": {"debug": "maybe"}}, executor=LocalExecutor())
        assert flow.name == "etl"

    def test_a_copy_of_the_context_can_be_given_to_a_thread_and_to_a_run(self) -> None:
        seen: list[Any] = []

        @task
        def look() -> None:
            copied = context.to_dict()

            def work() -> None:
                with context(copied):
                    seen.append((context.task_name, context.config.shop.region, Secret("A").get()))

            in_a_thread(work)

        with Flow("etl") as flow:
            look()
        config.shop = {"region": "north"}
        context.secrets["A"] = "of the program"
        for given in (None, dict(context), context.to_dict()):
            assert flow.run(context=given, executor=LocalExecutor()).is_successful()
        assert seen == [("look", "north", "of the program")] * 3


def test_what_the_configuration_says_for_the_context_is_there_outside_of_runs() -> None:
    config.context = {"region": "north", "limits": {"low": 1, "more": [{"x": 2}]}}
    assert (context.region, context["region"], context.get("region")) == ("north",) * 3
    assert (context.limits.low, context.limits["more"][0].x) == (1, 2)
    assert {"region", "limits"} < set(context) == set(dict(context)) == set(context.to_dict())
    with context(region="south"):
        assert context.region == "south"
        del context.region
        assert context.region == "north"
    context.region = "south"
    context.clear()
    assert context.pop("region") == context.region == "north"
    config.context = {"day": 1}
    assert ("region" in context, context.day) == (False, 1)
    assert in_a_thread(lambda: context.day) == 1
