from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefectlite.printable import printable
from prefectlite.views.printable import counted, lasting


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_the_text_it_can_be_encoded_and_moves_no_cursor(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)


def test_line_ends_and_tabs_stay():
    assert printable("a\r\n\tb\n") == "a\n\tb\n"


def test_control_characters_and_lone_surrogates_become_escapes():
    assert printable("\x1b[2J \udce9 ü") == "\\x1b[2J \\udce9 ü"


def test_lengths_of_time_read_at_a_glance():
    assert [lasting(s) for s in (0.5, 59.95, 60, 3600)] == ["0.50 s", "60.0 s", "1:00", "1:00:00"]


def test_counts_have_the_right_number():
    assert counted(1, "task run") == "1 task run"
    assert counted(12004, "task run") == "12,004 task runs"
