from __future__ import annotations

import pickle

from prefectlite.cli.results import results_text
from prefectlite.states.keys import RunKey
from prefectlite.states.report import ResultRef
from prefectlite.states.state import Failed, Mapped, Skipped, Success


class Unspeakable:
    """It has no repr."""

    def __repr__(self):
        raise RuntimeError("no words")


def test_one_text_is_printed_as_it_is():
    assert results_text([("report-1", Success(result="a page\nof text"))]) == "a page\nof text\n"


def test_several_results_carry_their_tasks_names():
    states = [
        ("a-1", Success(result={"x": 1})),
        ("b-1", Success(result="text")),
        ("c-1", Success(result=None)),
    ]
    assert results_text(states) == "a-1:\n{'x': 1}\nb-1:\ntext\n"


def test_states_without_a_value_of_their_own_print_nothing():
    states = [("a", Failed()), ("b", Skipped("no")), ("c", Mapped(map_states=[Success()])), ("d", Success())]
    assert results_text(states) == ""


def test_an_inline_value_is_read_and_one_on_a_worker_is_only_named():
    inline = ResultRef(RunKey("a"), inline=pickle.dumps([1, 2]))
    remote = ResultRef(RunKey("b"), nbytes=12_000_000)
    text = results_text([("a", Success(result=inline)), ("b", Success(result=remote))])
    assert text == "a:\n[1, 2]\nb:\n(a value of 12,000,000 bytes, which stays on its worker)\n"


def test_a_long_value_is_cut_and_a_long_text_is_not():
    assert results_text([("a", Success(result=["word"] * 2000))]).endswith(" ...\n")
    assert len(results_text([("a", Success(result="x" * 5000))])) == 5001


def test_a_value_that_cannot_be_shown_says_why():
    text = results_text([("a", Success(result=Unspeakable()))])
    assert text == "(a value that cannot be shown: RuntimeError: no words)\n"


def test_what_a_terminal_cannot_show_is_escaped():
    assert results_text([("a", Success(result="\x1b[2J\udce9"))]) == "\\x1b[2J\\udce9\n"
