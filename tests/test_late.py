"""Modules that are asked for and not imported, and those that another thread is still importing."""

from __future__ import annotations

import sys
import threading

from prefectlite.late import loaded

SLOW = """
import threading
began.set()
assert threading.Event().wait(0.05) is False
name = 1
"""


def test_a_module_that_another_thread_imports_is_waited_for(tmp_path, monkeypatch):
    began = threading.Event()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_to_import.py").write_text(f"from {__name__} import BEGAN as began\n{SLOW}")
    monkeypatch.setitem(globals(), "BEGAN", began)
    thread = threading.Thread(target=__import__, args=("slow_to_import",))
    thread.start()
    assert began.wait(5)
    try:
        assert loaded("slow_to_import").name == 1
    finally:
        thread.join()
        sys.modules.pop("slow_to_import")


def test_a_module_that_nobody_imports_is_none():
    assert loaded("antigravity") is None
    assert loaded("sys") is sys
