"""Settings changed in place, as in a dict with attributes: what is set, what it replaces, what is forgotten."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest

from prefectlite import config, set_temporary_config
from prefectlite.errors import ConfigError
from prefectlite.settings import Config, told
from prefectlite.settings.names import METHODS
from prefectlite.settings.tables import Table
from tests.settings.test_settings import _nothing_is_set, say, write

__all__ = ["_nothing_is_set", "say", "write"]


def sources() -> dict[str, str]:
    return {one.key: one.source for one in told() if one.source != "default"}


def test_several_are_set_at_once_or_none() -> None:
    config.update({"n_workers": 2, "tasks": {"defaults": {"max_retries": 1}}}, debug=True)
    config.update([("progress", True)])
    config.tasks.update({"timeout": 5, "defaults.retry_delay": 3})
    config.update()
    assert (config.n_workers, config.debug, config.progress) == (2, True, True)
    assert (config.tasks.max_retries, config.tasks.timeout, config.tasks.retry_delay) == (1, 5.0, 3.0)
    for wrong in ({"n_workers": 9, "debug": "maybe"}, {"n_workers": 9, "n_worker": 3}):
        with pytest.raises(ConfigError, match=r"An assignment to config sets (debug = 'maybe'|n_worker = 3)"):
            config.update(wrong)
    assert config.n_workers == 2
    for nameless in (3, {3: 4}, ["n_workers"]):
        with pytest.raises(
            ConfigError, match=r"config\.tasks\.update was given .*, which has no names; give"
        ):
            config.tasks.update(nameless)


def test_a_section_of_ones_own_is_replaced_and_one_of_ours_is_added_to() -> None:
    config.shop = {"region": "north", "limits": {"low": 1}}
    config.update(shop={"size": 2})
    assert config.shop == {"size": 2}
    with set_temporary_config({"shop": {"x": 1}, "results": {"keep_limit": 3}}) as inside:
        assert inside is config
        config.results = {"inline_limit": 4}
        assert (config.shop, config.results.keep_limit, config.results.inline_limit) == ({"x": 1}, 3, 4)
        config.shop = 3
        assert config.shop == 3
    assert (config.shop, config.results.inline_limit) == ({"size": 2}, 8192)
    config.context = {"region": "north", "secrets": {"A": "one secret"}}
    config.context = {"day": 1}
    assert (config.context, config.secrets) == ({"day": 1}, {})


def test_an_empty_section_can_be_filled() -> None:
    config.shop = {}
    config.shop.region = "north"
    config.setdefault("other", {})["x"] = 1
    config.other.setdefault("deep", {}).y = 2
    assert (config.shop, config.other) == ({"region": "north"}, {"x": 1, "deep": {"y": 2}})
    assert (config.setdefault("debug", True), config.shop.setdefault("region", "south")) == (False, "north")
    config.context.secrets = {}
    config.context.secrets.A = "one secret"
    config.context.secrets["B"] = "another one"
    assert config.secrets == {"A": "one secret", "B": "another one"}


def test_what_was_said_can_be_forgotten(write: Any) -> None:
    write(
        "n_workers = 2\n[tasks.defaults]\nmax_retries = 3\ntimeout = 4\n[shop]\nregion = 'north'\nsize = 1\n"
    )
    with set_temporary_config({}):
        del config.n_workers, config["shop"]
        assert (config.n_workers, "shop" in config, config.pop("shop", 7)) == (None, False, 7)
        assert config.tasks.defaults.pop("max_retries") == 3
        assert (config.tasks.max_retries, config.tasks.timeout) == (0, 4.0)
        del config.tasks
        assert config.tasks.timeout is None
    assert (config.n_workers, config.shop.size, config.tasks.max_retries) == (2, 1, 3)
    assert config.shop.pop("size") == 1
    assert (config.pop("shop"), "shop" in config) == ({"region": "north"}, False)
    with pytest.raises(KeyError, match="no setting 'shop'"):
        config.pop("shop")
    config.secrets.A = "one secret"
    assert (config.pop("secrets"), config.secrets) == ({"A": "one secret"}, {})
    config.shop = {"region": "north"}
    config.tasks.clear()
    assert (config.shop, config.tasks.timeout) == ({"region": "north"}, None)
    config.clear()
    assert (sources(), config.get("shop"), config.n_workers) == ({}, None, None)
    with pytest.raises(KeyError, match="no setting 'shop'"):
        del config["shop"]
    with pytest.raises(AttributeError, match="no setting 'shop'"):
        del config.shop
    config.reload()
    assert config.n_workers == 2


def test_a_copy_takes_no_notice_of_changes_and_brings_all_back() -> None:
    config.update(shop={"region": "north"}, n_workers=2, context={"day": 1, "secrets": {"A": "one secret"}})
    config.flows.checkpointing = True
    copies = [config.copy(), copy.copy(config), copy.deepcopy(config)]
    shop = config.shop.copy()
    config.shop.region, config.n_workers = "south", 3
    config.context.secrets.A = "another one"
    for one in copies:
        assert (one.shop, one.n_workers, one.secrets.A) == ({"region": "north"}, 2, "one secret")
        with pytest.raises(AttributeError, match="'n_workers' cannot be set here: these are the settings of"):
            one.update(n_workers=3)
        with pytest.raises(AttributeError, match="'shop' cannot be set here"):
            del one.shop
    assert shop == {"region": "north"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.update(copies[0])
    assert config.to_dict() == copies[0].to_dict()


def test_no_setting_hides_what_a_section_does() -> None:
    assert {name for name in dir(Config) if not name.startswith("_")} == METHODS
    for name in ("update", "copy"):
        with pytest.raises(ConfigError, match=f"{name} is a method; choose another name"):
            config[name] = 1


def test_who_says_what_changes_nothing_is_told_where_he_says_it() -> None:
    for say_so in (
        lambda: config.update({"cloud": {"api": "x"}}),
        lambda: setattr(config.cloud, "api", "x"),
        lambda: set_temporary_config({"cloud.api": "x"}).__enter__(),
    ):
        with pytest.warns(UserWarning, match="sets cloud.api, which changes nothing here") as caught:
            say_so()
        assert caught[0].filename == __file__


def test_tables_that_are_values_are_read_by_attribute_too(say: Any, write: Any) -> None:
    write("[context.limits]\nlow = 1\n[[shop.sizes]]\nname = 'small'\n")
    say(PREFECTLITE__CONTEXT__MORE="{'x': {'y': 1}}", PREFECTLITE__STORE="{'x': {'y': 1}}")
    limits = config.context.limits
    assert (limits.low, config.shop.sizes[0].name, config.context.more.x.y, config.store.x.y) == (
        1,
        "small",
        1,
        1,
    )
    limits.high = 9
    config.debug = True
    assert (config.context.limits, type(limits)) == ({"low": 1, "high": 9}, Table)
    del limits.high
    with pytest.raises(AttributeError, match="has no 'high'; it has low"):
        _ = limits.high
    with pytest.raises(AttributeError, match="has no 'high'"):
        del limits.high
