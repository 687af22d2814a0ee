"""Webhooks and Slack, told of by flows that run, at a web server on this machine."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import cloudpickle
import pytest
from pydantic import SecretStr

from prefectlite import DaskExecutor, Flow, LocalExecutor, context, states, task
from prefectlite.errors import DefinitionError, DefinitionTypeError
from prefectlite.notifications import (
    Notifier,
    email_notifier,
    gmail_notifier,
    slack_notifier,
    webhook_notifier,
)
from prefectlite.notifications.outbox import Outbox
from prefectlite.states import Failed, Finished, Pending, Running, Success
from tests.notifications.conftest import Hook

HERE = LocalExecutor()


def run(handler: Any, body: Any = lambda: 1) -> states.State:
    with Flow("told") as flow:
        task(body, name="work", state_handlers=[handler])()
    return flow.run(executor=HERE)


def fails() -> None:
    raise ValueError("no rows")


def test_each_transition_is_posted_before_the_run_returns(hook: Hook) -> None:  # 15
    assert run(webhook_notifier(url=hook.url)).is_successful()

    assert [(body["old_state"], body["state"]) for body in hook.bodies] == [
        ("Pending", "Running"),
        ("Running", "Success"),
    ]
    [(path, headers, body), _] = hook.posts
    assert path == "/services/T0/B0/s3cr3t"
    assert headers["Content-Type"] == "application/json"
    assert (body["flow"], body["task"]) == ("told", "work")
    assert len(body["flow_run_id"]) == 32
    assert set(body) == {"flow", "flow_run_id", "task", "old_state", "state", "message", "color", "time"}


def test_slack_gets_an_attachment_in_the_states_color(hook: Hook) -> None:
    run(slack_notifier(url=hook.url, only_states=[Failed]), fails)

    [body] = hook.bodies
    [attachment] = body["attachments"]
    assert attachment["title"] == attachment["fallback"] == "Task work of flow told is Failed"
    assert attachment["color"] == Failed.color
    assert "no rows" in attachment["text"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, ["Running", "Failed"]),
        ({"ignore_states": [Running]}, ["Failed"]),
        ({"ignore_states": [Finished]}, ["Running"]),
        ({"only_states": [Finished]}, ["Failed"]),
        ({"only_states": [Success]}, []),
        ({"only_states": Failed}, ["Failed"]),
        ({"only_states": [Failed], "ignore_states": [Failed]}, []),
        ({"only_states": None, "ignore_states": None}, ["Running", "Failed"]),
    ],
)
def test_states_are_chosen_with_those_below_them(hook: Hook, options: Any, told: list[str]) -> None:  # 15
    run(webhook_notifier(url=hook.url, **options), fails)

    assert [body["state"] for body in hook.bodies] == told


def test_children_of_a_map_are_told_by_their_index(hook: Hook) -> None:
    with Flow("mapped") as flow:
        task(
            lambda x: x, name="each", state_handlers=[webhook_notifier(url=hook.url, only_states=[Success])]
        ).map([1, 2])
    flow.run(executor=HERE)

    assert {"each[0]", "each[1]"} <= {body["task"] for body in hook.bodies}


def test_called_from_a_handler_of_ones_own_it_gives_the_new_state_back(hook: Hook) -> None:
    def mine(tracked: Any, old: states.State, new: states.State) -> states.State:
        told = slack_notifier(tracked, old, new, url=hook.url, only_states=[Success])
        assert told is new
        return told

    assert run(mine).is_successful()
    assert len(hook.posts) == 1


def test_a_flow_can_be_what_is_told_of(hook: Hook, outbox: Outbox) -> None:
    webhook_notifier(Flow("whole"), Running(), Failed("some reference tasks failed"), url=hook.url)

    assert outbox.drain()
    [body] = hook.bodies
    assert (body["flow"], body["task"], body["message"]) == ("whole", None, "some reference tasks failed")


@pytest.mark.parametrize("source", ["environment", "context", "SecretStr"])
def test_the_url_may_be_a_secret(
    source: str, hook: Hook, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify, secrets = slack_notifier, {}
    if source == "environment":
        monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
    elif source == "context":
        secrets = {"MY_HOOK": hook.url}
        notify = slack_notifier(webhook_secret="MY_HOOK")
    else:
        notify = slack_notifier(url=SecretStr(hook.url))

    with context(secrets=secrets):
        notify(Flow("x"), Pending(), Running())

    assert outbox.drain()
    assert len(hook.posts) == 1


@pytest.mark.parametrize("notify", [webhook_notifier, slack_notifier], ids=str)
def test_a_formatter_says_what_is_posted_and_headers_go_with_it(notify: Any, hook: Hook) -> None:
    run(
        notify(
            url=hook.url,
            headers={"Authorization": "Bearer t0k3n"},
            formatter=lambda notice: {"content": notice.text},
            only_states=[Success],
        )
    )

    [(_, headers, body)] = hook.posts
    assert body == {"content": "Task work of flow told is Success"}
    assert headers["Authorization"] == "Bearer t0k3n"


class TestNothingStopsARun:
    def test_a_server_that_refuses_is_logged_once(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        hook.status = 500

        assert run(webhook_notifier(url=hook.url)).is_successful()

        assert len(hook.posts) == 2
        [line] = complaints(caplog)
        assert "127.0.0.1 answered 500" in line

    def test_after_a_success_the_next_failure_is_news(
        self, hook: Hook, outbox: Outbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        notify = webhook_notifier(url=hook.url)
        for hook.status in (500, 500, 200, 500):
            notify(Flow("x"), Pending(), Running())
            outbox.drain()

        assert len(complaints(caplog)) == 2

    def test_a_server_that_is_not_there_is_logged_without_its_url(
        self, hook: Hook, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = hook.url.replace(str(hook.server.server_port), "1")

        with caplog.at_level(logging.DEBUG):
            assert run(webhook_notifier(url=url)).is_successful()

        [line] = complaints(caplog)
        assert "127.0.0.1 could not be reached (ConnectionError)" in line
        assert "s3cr3t" not in caplog.text

    def test_not_even_at_debug_the_url_shows(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            notify = webhook_notifier(url=hook.url)
            run(notify)

        assert hook.posts
        assert "s3cr3t" not in caplog.text + repr(notify) + str(notify)
        assert repr(notify) != repr(webhook_notifier(url=hook.url + "2"))

    def test_a_redirect_is_not_followed(self, hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
        hook.status = 302

        run(webhook_notifier(url=hook.url, only_states=[Success]))

        assert [path for path, _, _ in hook.posts] == ["/services/T0/B0/s3cr3t"]
        assert "answered 302" in caplog.text

    def test_a_server_that_hangs_holds_a_run_up_for_a_bounded_time(
        self, hook: Hook, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hook.hold.clear()
        monkeypatch.setattr(outbox, "drain", lambda: Outbox.drain(outbox, 0.05))

        assert run(webhook_notifier(url=hook.url)).is_successful()

        assert len(hook.posts) == 1  # the other one waits behind it
        hook.hold.set()
        assert Outbox.drain(outbox, 30)
        assert len(hook.posts) == 2

    def test_a_server_that_answers_too_late_is_given_up(
        self, hook: Hook, caplog: pytest.LogCaptureFixture
    ) -> None:
        hook.hold.clear()

        assert run(webhook_notifier(url=hook.url, timeout=0.05, only_states=[Success])).is_successful()

        assert "(ReadTimeout)" in caplog.text

    @pytest.mark.parametrize(
        ("notify", "why"),
        [
            (slack_notifier, "its URL is not known; set the environment variable SLACK_WEBHOOK_URL"),
            (webhook_notifier(webhook_secret="BAD"), "BAD is no web address"),
            (
                email_notifier(host="x"),
                "its user name is not known; set the environment variable EMAIL_USERNAME",
            ),
            (
                webhook_notifier(url="http://127.0.0.1:1", formatter=lambda notice: 1 / 0),
                "it raised ZeroDivisionError",
            ),
            (
                webhook_notifier(url="http://127.0.0.1:1", formatter=lambda notice: {1, 2}),
                "it raised TypeError",
            ),
        ],
    )
    def test_what_cannot_be_told_is_logged_with_the_mend(
        self, notify: Notifier, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("SLACK_WEBHOOK_URL", "EMAIL_USERNAME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("BAD", "ftp://[")

        assert run(notify).is_successful()

        [line] = complaints(caplog)
        assert why in line

    def test_a_missing_library_is_named_with_its_extra(
        self, hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "requests", None)

        assert run(webhook_notifier(url=hook.url)).is_successful()

        [line] = complaints(caplog)
        assert "pip install 'prefectlite[notify]'" in line

    def test_what_does_not_fit_into_the_outbox_is_dropped_and_said_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        outbox, go, sent = Outbox(room=2), threading.Event(), []
        outbox.put("first", lambda: go.wait(30) and None)
        while outbox._letters:  # until the thread holds the first one
            pass
        for number in range(5):
            outbox.put("rest", lambda number=number: sent.append(number))  # type: ignore[misc]
        go.set()

        assert outbox.drain()
        assert sent == [0, 1]
        [line] = complaints(caplog)
        assert "2 notifications wait already" in line

    def test_an_outbox_says_when_something_still_waits(self) -> None:
        outbox, go = Outbox(), threading.Event()
        outbox.put("slow", lambda: go.wait(30) and None)

        assert not outbox.drain(0.01)
        go.set()
        assert outbox.drain(30)

    def test_whatever_a_sender_raises_the_next_one_is_sent(self, caplog: pytest.LogCaptureFixture) -> None:
        outbox, sent = Outbox(), []

        def ends() -> None:
            raise SystemExit("http://host/s3cr3t")

        outbox.put("bad", ends)
        outbox.put("good", lambda: sent.append(1))

        assert outbox.drain(30)
        assert sent == [1]
        assert "SystemExit" in caplog.text
        assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("act", "error", "match"),
    [
        (lambda: webhook_notifier(url="hooks/s3cr3t"), DefinitionError, r"no web address \(it is not shown"),
        (lambda: webhook_notifier(url="ftp://x"), DefinitionError, "begins with https://"),
        (
            lambda: slack_notifier(only_states=["Failed"]),
            DefinitionTypeError,
            "'Failed', which is no class of states",
        ),
        (lambda: slack_notifier(ignore_states=[1]), DefinitionTypeError, r"ignore_states of SlackNotifier\("),
        (lambda: slack_notifier(timeout="1"), DefinitionError, "timeout of .* is '1'; give seconds"),  # type: ignore[arg-type]
        (lambda: slack_notifier(timeout=0), DefinitionError, "timeout of .* is 0; give seconds"),
        (lambda: slack_notifier(uri="x"), DefinitionTypeError, "has no option 'uri'; it has .*url"),
        (lambda: slack_notifier(Flow("x")), DefinitionTypeError, "was called with 1 arguments"),
        (lambda: email_notifier(security="ssl"), DefinitionError, "'ssl'; give 'starttls', 'tls' or 'none'"),
        (lambda: Notifier()(Flow("x"), Pending(), Running()), None, ""),
    ],
)
def test_bad_options_are_refused_when_they_are_given(act: Any, error: Any, match: str) -> None:
    if error is None:
        act()  # a notifier that cannot send fails nothing
        return
    with pytest.raises(error, match=match) as refused:
        act()
    assert "s3cr3t" not in str(refused.value)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "prefectlite.notifications"]


def test_gmail_is_a_mail_notifier() -> None:
    assert repr(gmail_notifier) == "EmailNotifier(smtp.gmail.com)"


@pytest.mark.parametrize(
    "notify",
    [slack_notifier(url="https://x/y", only_states=[Failed]), gmail_notifier(to=["a@x.org"])],
    ids=str,
)
def test_a_notifier_survives_pickling_with_its_flow(notify: Notifier) -> None:
    with Flow("packed") as flow:
        task(fails, state_handlers=[notify])()

    [found] = cloudpickle.loads(cloudpickle.dumps(flow)).tasks

    assert found.state_handlers == (notify,) or list(found.state_handlers) == [notify]


@pytest.mark.cluster
def test_task_runs_on_a_cluster_are_told_of_too(hook: Hook) -> None:
    from distributed import Client, LocalCluster

    with Flow("afar") as flow:
        told = webhook_notifier(url=hook.url, only_states=[Success])
        task(lambda x: x, name="each", state_handlers=[told]).map([1, 2, 3])
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        flow.run(executor=DaskExecutor(client))

    assert {"each[0]", "each[1]", "each[2]"} <= {body["task"] for body in hook.bodies}
