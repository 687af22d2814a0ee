"""A flow that says its secrets in every way that a flow can; run by ``test_canaries.py`` in a process of its own.

    python secret_flow.py local|dask     runs it and prints all that can be printed of the run
    python secret_flow.py raise|refuse   ends with an uncaught exception, as scripts do
    prefectlite run secret_flow.py ...   runs it as a person does

The secrets are not in this file: they come from the environment variables ``CANARY_00`` to ``CANARY_19``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from prefectlite import (
    DaskExecutor,
    EnvVarSecret,
    Flow,
    LocalExecutor,
    Parameter,
    Secret,
    SecretBase,
    context,
    raise_on_exception,
    signals,
    task,
    triggers,
)
from prefectlite.states import Failed, RunKey
from prefectlite.states.json import state_to_json
from tests.security.canaries import canary, hits


class Login(BaseModel):
    user: str
    password: SecretStr


@dataclass
class Keys:
    first: SecretStr
    more: list[SecretBytes]


class Vault(SecretBase):
    """A secret of a user's own kind."""

    def run(self) -> dict[str, Any]:
        return {"token": canary(0), "all": [canary(1), canary(2).encode(), canary(15)]}


def tells(_: Any, __: Any, new: Any) -> Any:
    """A state handler that logs what it sees."""
    logging.getLogger("handler").warning("handled %r: %s", new, new.message)
    return new


def mourns(task: Any, state: Any) -> None:
    """What is called for a failure."""
    logging.getLogger("mourner").error("failed: %r %s %r", state, state.message, state.result)


@task(state_handlers=[tells], on_failure=mourns)
def raises(secret: Any) -> None:
    raise ValueError(f"cannot log in with {secret}")


@task
def chains(secret: Any) -> None:
    try:
        {}[secret]
    except KeyError as error:
        error.add_note(f"the key was {secret}")
        raise RuntimeError("no such key", secret) from error


class Odd(Exception):
    """An exception that holds more than it says, and cannot be rebuilt."""

    def __init__(self, secret: Any, *, where: str) -> None:
        super().__init__("odd")
        self.secret = secret
        self.where = where


@task
def raises_oddly(secret: Any) -> None:
    raise Odd(secret, where="here")


@task
def raises_a_group(secret: Any) -> None:
    raise ExceptionGroup("several", [ValueError(secret), TypeError({"x": secret})])


@task(max_retries=2, retry_delay=0.01, state_handlers=[tells])
def retries(secret: Any) -> str:
    if context.attempt < 3:
        raise OSError(f"attempt {context.attempt} with {secret}")
    return "done"


@task(log_stdout=True)
def talks(secret: Any) -> None:
    print("printed", secret)
    print(json.dumps({"escaped": str(secret)}))
    sys.stdout.write(f"half a line of {secret}")
    log = logging.getLogger("talker")
    log.warning("logged %s", secret)
    log.error("logged %r", {"secret": secret})
    context.logger.warning("logged by its own logger: %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("caught")


@task
def fails(secret: Any) -> None:
    raise signals.FAIL(f"{secret} is wrong", result={"tried": secret})


@task
def skips(secret: Any) -> None:
    raise signals.SKIP(f"not with {secret}")


@task
def ends(secret: Any) -> None:
    raise signals.ENDRUN(Failed(f"ended by {secret}", result=[secret]))


@task
def ends_well(secret: Any) -> None:
    raise signals.SUCCESS(f"logged in with {secret}", result=1, context={"with": secret})


@task(max_retries=1)
def asks_again(secret: Any) -> None:
    if context.attempt == 1:
        raise signals.RETRY(f"once more with {secret}")


@task
def loops(secret: Any) -> int:
    if context.task_loop_count < 3:
        raise signals.LOOP(f"lap with {secret}", result={"seen": secret})
    return 3


@task(isolate=True)
def vanishes(secret: Any) -> None:
    print(len(secret), flush=True)
    os._exit(3)


@task
def exits(secret: Any) -> None:
    raise SystemExit(str(secret))


@task(timeout=60, log_stdout=True)
def apart(secret: Any) -> None:
    print("in a process of its own:", secret)
    logging.getLogger("apart").warning("and logged: %s", secret)
    raise LookupError(secret)


@task
def opens(box: Any) -> None:
    value = box.get_secret_value()
    raise RuntimeError(f"{box} holds {value!r}")


@task
def opens_login(login: Login) -> None:
    raise RuntimeError(f"{login!r} with {login.password.get_secret_value()}")


@task
def opens_keys(keys: Keys) -> None:
    raise RuntimeError(f"{keys.first.get_secret_value()} {[one.get_secret_value() for one in keys.more]}")


@task
def gets() -> None:
    raise ValueError(Secret("GOT").get(), context.secrets.GIVEN)


@task(keep_result=True)
def keeps(secret: Any) -> dict[str, Any]:
    return {"url": f"https://me:{secret}@host", "padding": "x" * 20_000}


@task
def returns(secret: Any) -> str:
    return f"https://me:{secret}@host"


@task(trigger=triggers.all_finished, skip_on_upstream_skip=False)
def looks() -> list[str]:
    """What lies on the disk while the flow runs."""
    return hits(Path(os.environ["CANARY_ROOT"]))


def refuses(states: Any) -> bool:
    """A trigger that complains of a secret parameter, which it has from elsewhere."""
    raise ValueError(f"no trigger with {canary(6)}")


with Flow("secrets", state_handlers=[tells]) as flow:
    vault = Vault()
    given = Secret("GIVEN")
    variable = EnvVarSecret("CANARY_05")
    box = Parameter("box", type=SecretStr)
    login = Parameter("login", type=Login)
    keys = Parameter("keys", type=Keys)
    default = Parameter("default", default=SecretStr(canary(13)), type=SecretStr)
    bodies = [
        body(secret)
        for secret in (vault["token"], given, variable, Secret("FROM_SETTINGS"), EnvVarSecret("CANARY_14"))
        for body in (
            *(raises, chains, raises_oddly, raises_a_group, retries, talks),
            *(fails, skips, ends, ends_well, asks_again, loops, exits, vanishes, apart, returns, keeps),
        )
    ]
    bodies += [opens(box), opens(default), opens_login(login), opens_keys(keys), gets()]
    bodies += [raises.map(vault["all"]), talks.map(vault["all"])]
    bodies.append(task(lambda box: None, name="refused", trigger=refuses)(box))
    looked = looks(upstream_tasks=bodies)
    flow.set_reference_tasks([looked])


def parameters() -> dict[str, Any]:
    return {
        "box": canary(6),
        "login": {"user": "somebody", "password": canary(7)},
        "keys": {"first": canary(8), "more": [canary(9), canary(10), canary(16)]},
    }


def given_context() -> dict[str, Any]:
    return {
        "secrets": {
            "GIVEN": canary(3),
            "GOT": {"deep": [canary(4), canary(11), {"deeper": canary(17).encode()}]},
        }
    }


def everything_of(run: Any, state: Any) -> None:
    """Print all that can be read of a run without asking for a secret's own value."""
    print(repr(run), repr(state), state.message, run.counts())
    print(repr(flow), repr(flow.parameters()), flow.diagnostics(), json.dumps(flow.parameter_schema()))
    print(run.explain())
    for one, held in state.result.items():
        slug = flow.slugs[one]
        print(slug, run.explain(slug), run.history(slug), sep="\n")
        for child in (held, *getattr(held, "map_states", ())):
            print(repr(one), repr(child), child.message, getattr(child, "traceback", ""))
            print(json.dumps(state_to_json(child)), child.context, child.result_ref)
            if child.is_failed() and isinstance(child.result, BaseException):
                error = child.result
                print(repr(error), str(error), vars(error), getattr(error, "__notes__", ""), error.args)
    print(run.explain(str(RunKey("raises-5", 1))))


def main() -> None:
    how = sys.argv[1]
    if how == "refuse":
        # What does not fit is named, and what it holds is not.
        flow.run(**{**parameters(), "login": {"user": ["none"], "password": canary(18)}})
    if how == "raise":
        with Flow("raising") as raising:
            chains(Secret("GIVEN"))
        with raise_on_exception():
            raising.run(executor=LocalExecutor(), context=given_context())
    executor = LocalExecutor() if how == "local" else DaskExecutor(n_workers=1)
    run = flow.start(executor=executor, context=given_context(), **parameters())
    state = run.wait(120)
    everything_of(run, state)
    # The state is held, so what was kept of the run is still there.
    for hit in [*state.result[looked].result, *hits(Path(os.environ["CANARY_ROOT"]))]:
        print("HIT", hit)
    print("END", len(state.result))


if __name__ == "__main__":
    main()
