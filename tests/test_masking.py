"""Which texts are secret in a process, and how they are found in what it writes."""

from __future__ import annotations

import json
import pickle
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from prefectlite import masking
from prefectlite.masking import KNOWN, MASK, Secrets, hide, hide_inside, hide_texts, mask, secrets_in


def test_a_hidden_text_is_masked_wherever_it_stands() -> None:
    assert mask("pw=hunter2!") == "pw=hunter2!"
    hide("hunter2!")
    assert mask("pw=hunter2!, again hunter2!") == f"pw={MASK}, again {MASK}"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('a"b\\c\nd', repr('a"b\\c\nd')),
        ("p@ss/word", "postgresql://me:p%40ss%2Fword@db"),
        (b"bytes-1", "b'bytes-1'"),
        (12345, "code 12345"),
        (SecretStr("in a box"), "in a box"),
        (SecretBytes(b"in a box"), "in a box"),
        ({"user": {"token": ["deep-one"]}}, "deep-one"),
        ("line one\nline two", "only line two"),
        ('say "deep"', json.dumps({"x": 'say "deep"'})),
        ("dęep", json.dumps("dęep")),
        ("dęep", repr("dęep".encode())),
        (b"'deep\"", json.dumps(repr(b"'deep\""))),
    ],
)
def test_it_is_found_in_each_form_that_it_takes(secret: Any, text: str) -> None:
    hide(secret)
    assert MASK in mask(text)
    assert "deep" not in mask(text)


def test_what_is_short_is_not_looked_for() -> None:
    assert hide(["no", 12, True, None, 1.5]) == ()
    assert not KNOWN


def test_a_secret_within_a_longer_one_leaves_no_rest() -> None:
    hide("horse")
    hide("correct horse battery")
    assert mask("correct horse battery and horse") == f"{MASK} and {MASK}"


def test_only_what_hides_itself_is_hidden_inside_a_value() -> None:
    class Login(BaseModel):
        user: str
        password: SecretStr

    @dataclass(slots=True)
    class Box:
        login: Login

    assert hide_inside(
        {"a": [Box(Login(user="somebody", password=SecretStr("in-the-box")))], "b": "plain"}
    ) == ("in-the-box",)
    assert mask("somebody in-the-box plain") == f"somebody {MASK} plain"


def test_a_value_that_holds_itself_is_no_trap() -> None:
    ring: list[Any] = ["ring-text"]
    ring.append(ring)
    hide(ring)
    assert mask("ring-text") == MASK


def test_secrets_are_found_in_pickled_bytes() -> None:
    assert secrets_in(pickle.dumps("a correct horse")) == ()
    hide("correct horse")
    assert secrets_in(pickle.dumps({"x": "a correct horse"})) == ("correct horse",)
    assert secrets_in("a correct horse") == ("correct horse",)
    assert secrets_in(pickle.dumps("a horse")) == ()
    hide("horse")
    assert secrets_in("a horse") == ()
    assert mask("a horse") == f"a {MASK}"


def test_another_process_learns_the_texts_as_they_are() -> None:
    texts = hide("a b c d")
    KNOWN.clear()
    assert hide_texts(texts) == texts
    assert mask("a%20b%20c%20d") == MASK


def test_old_secrets_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "MEMORY", 3)
    for number in range(5):
        hide(f"secret-{number}")
    assert list(KNOWN) == ["secret-2", "secret-3", "secret-4"]
    assert mask("secret-1 secret-4") == f"secret-1 {MASK}"


def test_threads_may_hide_at_once() -> None:
    threads = [threading.Thread(target=hide, args=([f"text-{t}-{n}" for n in range(50)],)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(KNOWN) == 200
    assert all(mask(text) == MASK for text in KNOWN)


class TestSecrets:
    def test_they_are_read_by_name_and_shown_by_name(self) -> None:
        secrets = Secrets({"PW": "correct horse", "KEY": {"id": "battery staple"}})
        assert (secrets["PW"], secrets.PW, secrets.get("OTHER"), len(secrets)) == (
            "correct horse",
            "correct horse",
            None,
            2,
        )
        assert repr(secrets) == str(secrets) == "<Secrets: PW, KEY>"
        assert repr(Secrets({})) == "<Secrets: none>"
        assert mask("battery staple") == MASK
        with pytest.raises(AttributeError, match="no secret 'OTHER'; the names are PW, KEY"):
            _ = secrets.OTHER
        with pytest.raises(TypeError):
            json.dumps(secrets)

    def test_who_unpickles_them_hides_them(self) -> None:
        payload = pickle.dumps(Secrets({"PW": "correct horse"}))
        KNOWN.clear()
        assert dict(pickle.loads(payload)) == {"PW": "correct horse"}
        assert "correct horse" in KNOWN
