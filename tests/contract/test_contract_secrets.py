"""Secrets go to the tasks that need them and into nothing that we write, the same at every place."""

from __future__ import annotations

import json
import logging
import os
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from prefectlite import EnvVarSecret, Flow, Parameter, Secret, SecretBase, context, signals, task
from prefectlite.errors import ResultUnavailable
from prefectlite.results import SecretResult
from prefectlite.states import Cached
from prefectlite.states.json import state_to_json

LOCAL = "local-hush-5e1"
PARAM = "param-hush-9c7"
MADE = "made-hush-3b8"


class Vault(SecretBase):
    def run(self) -> dict[str, Any]:
        return {"token": MADE, "pin": 47114711}


@task
def use(secret: Any) -> int:
    return len(secret)


def everything_of(flow: Flow, state: Any, run: Any = None) -> str:
    """All that can be read of a flow run without asking for a secret's value."""
    parts = [repr(state), str(state.message)]
    for one, held in state.result.items():
        for child in (held, *getattr(held, "map_states", ())):
            parts += [
                repr(one),
                repr(child),
                str(child.message),
                str(getattr(child, "traceback", "")),
                json.dumps(state_to_json(child)),
            ]
            ref = child.result_ref
            if ref is not None:
                parts.append(repr(ref.inline))
            elif child.is_failed() and isinstance(child.result, BaseException):
                parts += [
                    repr(child.result),
                    str(child.result),
                    repr(vars(child.result)),
                    repr(pickle.dumps(child.result)),
                ]
    if run is not None:
        parts += [run.explain(slug) for slug in flow.slugs.values()] + [run.explain()]
        parts += [repr(entry) for slug in flow.slugs.values() for entry in run.history(slug)]
    return "\n".join(parts)


def run_of(world: Any, flow: Flow, **options: Any) -> tuple[Any, str]:
    run = flow.start(executor=world.executor, context={"secrets": {"PW": LOCAL}}, **options)
    state = run.wait(60)
    text = everything_of(flow, state, run)
    for secret in (LOCAL, PARAM, MADE, "47114711"):
        assert secret not in text
    return state, text


def test_a_reader_gets_the_value_and_nobody_else(world: Any) -> None:
    with Flow("etl") as flow:
        secret = Secret("PW")
        reader = use(secret)
        listed = use([Secret("PW"), "x"])
    state, _ = run_of(world, flow)
    assert (state.result[reader].result, state.result[listed].result) == (len(LOCAL), 2)
    assert state.result[secret].is_successful()
    with pytest.raises(ResultUnavailable, match="PW-1 is a secret, whose value was let go of"):
        _ = state.result[secret].result


def test_a_body_reads_it_by_name(world: Any) -> None:
    @task
    def reads() -> tuple[int, bool]:
        return len(Secret("PW").get()), Secret("PW").get() == context.secrets.PW

    with Flow("etl") as flow:
        made = reads()
    assert run_of(world, flow)[0].result[made].result == (len(LOCAL), True)


def test_a_secret_that_is_read_as_a_stored_value_goes_to_readers_alone(world: Any) -> None:
    found = task(lambda: "of the body", name="found", result=SecretResult(Vault("V")), target="V")
    writes = task(lambda: "of the body", name="writes", result=SecretResult(Vault("V")))
    with Flow("etl") as flow:
        token = found()
        reader = use(token["token"])
        written = writes()
    state, _ = run_of(world, flow)
    assert type(state.result[token]) is Cached
    assert state.result[reader].result == len(MADE)
    assert "cannot be written, since a secret is never stored" in state.result[written].message


def test_a_secret_that_is_a_reference_task_is_kept_no_longer(world: Any) -> None:
    with Flow("etl") as flow:
        secret = Vault()
        flow.add_task(secret)
        flow.set_reference_tasks([secret])
    state, _ = run_of(world, flow)
    assert state.is_successful()
    with pytest.raises(ResultUnavailable):
        _ = state.result[secret].result


def test_what_a_body_says_of_it_is_masked(world: Any) -> None:
    @task
    def complains(secret: Any) -> None:
        try:
            raise KeyError(secret["token"])
        except KeyError as error:
            raise ValueError(f"cannot log in with {secret}") from error

    @task
    def refuses(secret: Any) -> None:
        raise signals.FAIL(
            f"{secret['token']} is wrong",
            result={"tried": secret["token"]},
            context={"with": secret["token"]},
        )

    @task
    def skips(secret: Any) -> None:
        raise signals.SKIP(f"not with {secret['token']}")

    @task
    def exits(secret: Any) -> None:
        raise SystemExit(secret["token"])

    @task
    def ends_well(secret: Any) -> None:
        raise signals.SUCCESS(f"logged in with {secret['token']}", result=1)

    @task(log_stdout=True)
    def fine(secret: Any) -> str:
        return f"https://me:{secret['token']}@host"

    with Flow("etl") as flow:
        secret = Vault()
        made = [body(secret) for body in (complains, refuses, skips, exits, ends_well, fine)]
    state, text = run_of(world, flow)
    assert text.count("**********") > 8
    names = [type(state.result[one]).__name__ for one in made]
    assert names == ["Failed", "Failed", "Skipped", "Crashed", "Success", "Success"]
    assert (
        state.result[made[0]].message
        == "Unexpected error: ValueError: cannot log in with {'token': '**********', 'pin': **********}"
    )
    assert state.result[made[-1]].result == f"https://me:{MADE}@host"


def test_a_parameter_that_is_a_secret_is_masked_too(world: Any) -> None:
    @task
    def opens(box: SecretStr) -> str:
        return box.get_secret_value()[-3:]

    @task
    def tells(box: SecretStr) -> None:
        raise RuntimeError(f"{box} is {box.get_secret_value()}")

    with Flow("etl") as flow:
        box = Parameter("box", type=SecretStr)
        opened, told = opens(box), tells(box)
    state, _ = run_of(world, flow, box=PARAM)
    assert state.result[opened].result == PARAM[-3:]
    assert state.result[told].message == "Unexpected error: RuntimeError: ********** is **********"
    assert repr(state.result[box].result) == "SecretStr('**********')"


def test_secrets_are_mapped_over_and_in_bundles_stay_secret(world: Any) -> None:
    @task
    def length(secret: str) -> int:
        return len(secret)

    @task
    def tokens(secret: Any) -> list[str]:
        return [secret["token"]] * 20

    with Flow("etl") as flow:
        made = length.map(tokens(Vault()))
        names = use.map(Secret().map(["PW"] * 5))
    state, _ = run_of(world, flow)
    assert [child.result for child in state.result[made].map_states] == [len(MADE)] * 20
    assert [child.result for child in state.result[names].map_states] == [len(LOCAL)] * 5


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What handlers of this process print of log records."""
    lines: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Keeps()
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_log_lines_are_masked_for_every_handler(world: Any, heard: list[str]) -> None:
    @task(log_stdout=True)
    def talks(secret: Any) -> None:
        print("printed", secret["token"])
        log = logging.getLogger("talks")
        log.warning("logged %s and %d", secret["token"], secret["pin"])
        try:
            raise ValueError(secret["token"])
        except ValueError:
            log.exception("caught")

    with Flow("etl") as flow:
        talks(Vault())
    run_of(world, flow)
    text = "\n".join(heard)
    assert MADE not in text
    assert "47114711" not in text
    for expected in ("printed **********", "logged ********** and **********", "ValueError: **********"):
        assert expected in text


def test_handlers_and_triggers_that_tell_are_masked(world: Any) -> None:
    def refuses(_: Any) -> bool:
        raise ValueError(f"no {PARAM}")

    def handler(_: Any, old: Any, new: Any) -> Any:
        if new.is_running():
            raise signals.FAIL(f"not with {PARAM}")
        return None

    def raises(*_: Any) -> None:
        raise ValueError(PARAM)

    with Flow("etl") as flow:
        box = Parameter("box", type=SecretStr)
        task(lambda box: 1, name="a", trigger=refuses)(box)
        task(lambda box: 1, name="b", state_handlers=[handler])(box)
        task(lambda box: 1, name="c", state_handlers=[raises])(box)
    _, text = run_of(world, flow, box=PARAM)
    assert text.count("**********") > 5


def test_a_variable_of_the_worker_is_a_secret(
    world: Any, is_elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "PATH" if is_elsewhere else "PL_CONTRACT_SECRET"
    monkeypatch.setenv("PL_CONTRACT_SECRET", MADE)

    @task
    def leaks(value: str) -> None:
        raise ValueError(value)

    with Flow("etl") as flow:
        value = EnvVarSecret(name)
        missing = EnvVarSecret("PL_NOT_SET", raise_if_missing=True)
        told, reader = leaks(value), use(missing)
    state, _ = run_of(world, flow)
    assert state.result[told].message == "Unexpected error: ValueError: **********"
    assert "'PL_NOT_SET' is not set where task 'PL_NOT_SET' runs" in state.result[missing].message
    assert type(state.result[reader]).__name__ == "TriggerFailed"
    assert os.environ["PL_CONTRACT_SECRET"] == MADE


def test_settings_and_secrets_of_the_context_are_those_of_the_runs_that_begin_there(world: Any) -> None:
    @task
    def look(x: int) -> Any:
        before = "mine" in context.config.shop, Secret("OWN").exists()
        found = context.config.shop.region, context.config.tasks.defaults.max_retries, len(Secret("PW").get())
        same = context.secrets["PW"] == context.config.context.secrets.PW == Secret("PW").get()
        context.config.shop.mine = x
        context.setdefault("secrets", {})["OWN"] = f"{MADE}-{x}"
        own = context.config.shop.mine, int(Secret("OWN").get()[-1])
        return before, found, same, own

    heard: list[Any] = []

    def handler(*_: Any) -> None:
        heard.append((context.config.shop.region, context.secrets["PW"] == Secret("PW").get() == LOCAL))

    with Flow("etl") as flow:
        made = look.map([1, 2, 3])
        task(lambda x: x, name="last", state_handlers=[handler])(made)
    settings = {"shop": {"region": "north"}, "tasks": {"defaults": {"max_retries": 2}}}
    with context(secrets={"PW": LOCAL}, config=settings):
        state = world.run(flow)
    assert [child.result for child in state.result[made].map_states] == [
        ((False, False), ("north", 2, len(LOCAL)), True, (x, x)) for x in (1, 2, 3)
    ]
    assert set(heard) == {("north", True)}
