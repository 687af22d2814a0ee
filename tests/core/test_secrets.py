"""Tasks that are secrets: where they look, what they refuse; and parameters that are secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from prefectlite import EnvVarSecret, Flow, Parameter, Secret, SecretBase, set_temporary_config, task
from prefectlite.core.context import context
from prefectlite.core.secret_types import hide_secrets
from prefectlite.core.surroundings import surroundings
from prefectlite.errors import DefinitionError, ParameterError, SecretError
from prefectlite.masking import KNOWN, Secrets


@task
def use(value: Any) -> Any:
    return value


def test_a_secret_is_read_from_the_context_and_then_from_the_configuration() -> None:
    with set_temporary_config(
        {"context.secrets.PW": "of the configuration", "context.secrets.OWN": "its own one"}
    ):
        assert Secret("PW").get() == "of the configuration"
        with surroundings({"secrets": Secrets({"PW": "of the context"})}):
            assert Secret("PW").get() == "of the context"
            assert Secret("OWN").run() == "its own one"
            assert Secret().run("PW") == "of the context"


def test_a_text_that_is_json_is_read_as_such() -> None:
    with surroundings({"secrets": {"A": '{"user": "me"}', "B": "12", "C": "not {json", "D": ["as it is"]}}):
        assert [Secret(name).run() for name in "ABCD"] == [{"user": "me"}, 12, "not {json", ["as it is"]]


def test_a_secret_that_was_read_is_hidden() -> None:
    with surroundings({"secrets": {"PW": "read-by-get"}}):
        assert Secret("PW").exists()
        assert not Secret("OTHER").exists()
        Secret("PW").get()
    assert "read-by-get" in KNOWN


def test_a_secret_that_is_not_there_says_where_to_put_it() -> None:
    with pytest.raises(
        SecretError, match=r"no secret 'PW'; set the environment variable PREFECTLITE__CONTEXT__SECRETS__PW"
    ):
        Secret("PW").get()
    with pytest.raises(SecretError, match="knows no name of a secret; give one"):
        Secret().run()
    assert issubclass(SecretError, ValueError)


def test_get_is_refused_while_a_flow_is_built() -> None:
    secret = Secret("PW")
    with Flow("f"), pytest.raises(SecretError, match=r"pass Secret\('PW'\) itself"):
        secret.get()


def test_a_secret_is_a_task_of_the_flow_without_being_called() -> None:
    with Flow("f") as flow:
        reader = use(Secret("PW"))
    assert [one.name for one in flow.upstream_tasks(reader)] == ["PW"]
    assert "PW-1" in flow.slugs.values()


def test_variables_are_read_cast_and_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_TEST_CODE", "123456")
    assert EnvVarSecret("PL_TEST_CODE").run() == "123456"
    assert EnvVarSecret("PL_TEST_CODE").secret_name == "PL_TEST_CODE"
    assert (
        EnvVarSecret("PL_TEST_CODE", cast=int).run() == EnvVarSecret(cast=int).run("PL_TEST_CODE") == 123456
    )
    assert "123456" in KNOWN
    monkeypatch.delenv("PL_TEST_CODE")
    assert EnvVarSecret("PL_TEST_CODE", cast=int).run() is None
    with pytest.raises(SecretError, match="'PL_TEST_CODE' is not set where task 'PL_TEST_CODE' runs"):
        EnvVarSecret("PL_TEST_CODE", raise_if_missing=True).run()
    with pytest.raises(SecretError, match="knows no name of a variable"):
        EnvVarSecret().run()


@pytest.mark.parametrize(
    "option", [{"keep_result": True}, {"result": object()}, {"target": "x.txt"}, {"cache_for": 3}]
)
def test_an_option_that_would_keep_the_value_is_refused(option: Any) -> None:
    [name] = option
    for make in (Secret, EnvVarSecret):
        with pytest.raises(DefinitionError, match=f"'PW' is a secret and has {name}="):
            make("PW", **option)


def test_a_copy_refuses_them_too() -> None:
    with pytest.raises(DefinitionError, match="'PW' is a secret and has keep_result=True"):
        Secret("PW").copy(keep_result=True)
    with pytest.raises(DefinitionError, match="'PW' is a secret and has keep_result=True"):
        Secret("PW").keep_result = True


def test_other_options_are_those_of_tasks() -> None:
    made = Secret("PW", max_retries=2, retry_delay=1, tags=["db"])
    assert (made.name, made.max_retries, made.tags, made.max_crashes) == ("PW", 2, {"db"}, 3)
    assert Secret("PW", max_crashes=0).max_crashes == 0

    class Vault(SecretBase):
        def run(self, path: str) -> str:
            return path

    assert (Vault().name, Vault.is_secret, use.is_secret) == ("Vault", True, False)


class Tree(BaseModel):
    leaves: list[Tree] | None = None


class Login(BaseModel):
    user: str
    password: SecretStr


class TestParameters:
    @pytest.mark.parametrize(
        "kind",
        [SecretStr, list[SecretStr], SecretStr | None, Annotated[SecretStr, Field(min_length=8)], Login],
    )
    def test_their_types_are_known(self, kind: Any) -> None:
        assert Parameter("pw", type=kind).is_secret_type

    def test_a_type_that_holds_itself_or_cannot_be_read_is_no_trap(self) -> None:
        assert not Parameter("tree", type=Tree).is_secret_type
        assert Parameter("pw").is_secret_type is False
        unreadable = dataclass(type("Unreadable", (), {"__annotations__": {"x": "Nowhere"}}))
        made = Parameter("pw")
        made.type = unreadable
        assert made.is_secret_type

    def test_values_that_hide_themselves_are_hidden_and_no_others(self) -> None:
        parameters = [
            Parameter("a", type=list[SecretStr]),
            Parameter("b"),
            Parameter("c"),
            Parameter("d", type=Login),
        ]
        values = {
            "a": [SecretStr("hidden-in-a")],
            "b": SecretStr("hidden-in-b"),
            "c": "shown-in-c",
            "d": Login(user="shown-in-d", password=SecretStr("hidden-in-d")),
            "of a clock": SecretStr("hidden-in-e"),
        }
        hidden = {"hidden-in-a", "hidden-in-b", "hidden-in-d", "hidden-in-e"}
        assert set(hide_secrets(parameters, values)) == hidden

    @pytest.mark.parametrize("kind", [str, list[int], int | None])
    def test_other_types_are_no_secrets(self, kind: Any) -> None:
        assert not Parameter("pw", type=kind).is_secret_type
        assert not Parameter("pw").is_secret_type

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            (Annotated[SecretStr, Field(min_length=30)], "a-bad-secret"),
            (SecretStr, ["a-bad-secret"]),
            (Login, {"password": "a-bad-secret"}),
        ],
    )
    def test_a_refused_value_is_not_shown(self, kind: Any, value: Any) -> None:
        with pytest.raises(
            ParameterError, match=r"Parameter 'pw' has a value of type .* that is not shown"
        ) as caught:
            Parameter("pw", type=kind).validate(value)
        assert "a-bad-secret" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_text_of_the_command_line_is_not_shown_either(self) -> None:
        with pytest.raises(ParameterError) as caught:
            Parameter("pw", type=Annotated[SecretStr, Field(min_length=30)]).parse("another-bad-one")
        assert "another" not in str(caught.value)
        assert Parameter("pw", type=SecretStr).parse("fine-secret").get_secret_value() == "fine-secret"

    def test_a_default_is_wrapped(self) -> None:
        assert repr(Parameter("pw", "by-default", type=SecretStr).default) == "SecretStr('**********')"


def test_the_context_shows_names_alone() -> None:
    with context(secrets=Secrets({"PW": "in the context"})):
        assert "in the" not in repr(context)
        assert "in the" not in repr(context.to_dict())


def test_the_names_of_prefect_1_are_found_where_they_were() -> None:
    from prefectlite.tasks import secrets

    assert secrets.PrefectSecret is Secret
    assert (secrets.EnvVarSecret, secrets.SecretBase) == (EnvVarSecret, SecretBase)
