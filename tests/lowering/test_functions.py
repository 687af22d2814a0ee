"""How functions travel: by name where that works elsewhere, by value where it does not."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from prefectlite.core.task import Task, task
from prefectlite.lowering.awaiting import Awaited
from prefectlite.lowering.envelope import by_value_names, dumps, dumps_by_value
from prefectlite.lowering.functions import ByName, find, travelling

LIBRARY = '''
import threading
from prefectlite.core.task import task

LOCK = threading.Lock()

@task
def guarded(x):
    with LOCK:
        return x + 1

@task
def plain(x):
    return x * 2

def bare(x):
    return x - 1

class Shop:
    @task
    def sell(x):
        return -x

@task
def wordy(x):
    """%s"""
    return x
''' % ("word " * 2000)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "their_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    import their_library  # type: ignore[import-not-found]

    yield their_library
    del sys.modules["their_library"]


def elsewhere(payload: bytes, argument: int, path: str = "") -> str:
    code = f"import pickle, sys; sys.path.insert(0, {path!r}); print(pickle.loads({payload!r})({argument}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_a_task_of_a_module_travels_by_name_locks_and_all(library: Any, tmp_path: Path) -> None:
    sent = travelling(library.guarded.run, by_value_names())
    assert isinstance(sent, ByName)
    assert sent.spare == b""
    payload = pickle.dumps(sent)
    assert len(payload) < 150
    assert pickle.loads(payload) is library.guarded.run
    assert sent(x=1) == 2
    assert elsewhere(payload, 1, str(tmp_path)) == "2"


def test_a_worker_without_the_module_takes_the_code(library: Any) -> None:
    payload = pickle.dumps(travelling(library.plain.run, by_value_names()))
    assert elsewhere(payload, 4) == "8"


def test_without_module_and_code_the_error_names_the_module(library: Any) -> None:
    payload = pickle.dumps(travelling(library.guarded.run, by_value_names()))
    assert elsewhere(payload, 4) == "ModuleNotFoundError: No module named 'their_library'"


def test_a_module_of_the_same_name_without_the_task_is_told_apart(library: Any) -> None:
    spare = cloudpickle.dumps(lambda x: "spare")
    assert find("their_library", "plain", spare) is library.plain.run
    assert find("their_library", "nobody", spare)(1) == "spare"
    with pytest.raises(ImportError, match="has no task or function 'nobody'"):
        find("their_library", "nobody", b"")


def test_plain_functions_and_those_in_classes_are_found_too(library: Any) -> None:
    for function in (library.bare, library.Shop.sell.run):
        sent = travelling(function, by_value_names())
        assert isinstance(sent, ByName)
        assert pickle.loads(pickle.dumps(sent)) is function


def test_long_code_is_no_spare(library: Any) -> None:
    sent = travelling(library.wordy.run, by_value_names())
    assert isinstance(sent, ByName)
    assert sent.spare == b""


def test_what_a_name_does_not_find_goes_by_value(library: Any) -> None:
    def inner(x: int) -> int:
        return x

    class Callable_:
        def __call__(self, x: int) -> int:
            return x

    names = by_value_names()
    for function in (inner, lambda x: x, Callable_(), task(inner).run):
        assert travelling(function, names) is function
    library.plain = library.bare
    function = library.guarded.run
    library.guarded = None
    assert travelling(function, names) is function


def test_a_method_goes_with_what_travels_of_its_task() -> None:
    class Own(Task):
        def run(self) -> Task:
            return self

        def other(self) -> Task:
            return self

    own = Own(state_handlers=[lambda task, old, new: None])
    for method in (own.run, own.other):
        sent = travelling(method, by_value_names())
        assert sent.__name__ == method.__name__
        assert list(sent().state_handlers) == []


def test_an_async_function_goes_as_what_awaits_it(library: Any) -> None:
    sent = travelling(Awaited(library.plain.run), by_value_names())
    assert isinstance(sent, Awaited)
    assert isinstance(sent.body, ByName)


def test_what_others_cannot_import_goes_by_value(library: Any) -> None:
    function = library.plain.run
    function.__module__ = "__main__"
    assert travelling(function, by_value_names()) is function
    function.__module__ = "their_library"
    cloudpickle.register_pickle_by_value(library)
    try:
        names = by_value_names()
        assert b"their_library" in names
        assert travelling(function, names) is function
        function.__module__ = "their_library.inner"
        assert travelling(function, names) is function
    finally:
        function.__module__ = "their_library"
        cloudpickle.unregister_pickle_by_value(library)


def test_objects_of_the_users_program_go_by_value(library: Any) -> None:
    class Point:
        pass

    Point.__module__, Point.__qualname__ = "__main__", "Point"
    main = sys.modules["__main__"]
    main.Point = Point  # type: ignore[attr-defined]
    try:
        assert b"Point" in pickle.dumps(Point())
        payload = dumps(Point(), by_value_names())
    finally:
        del main.Point  # type: ignore[attr-defined]
    code = f"import pickle; print(type(pickle.loads({payload!r})).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Point"


def test_by_value_names_without_cloudpickle_are_the_main_module() -> None:
    code = (
        "import sys; from prefectlite.lowering.envelope import by_value_names; "
        "assert by_value_names() == (b'__main__',); assert 'cloudpickle' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plain_data_goes_by_pickle() -> None:
    assert dumps((1, "a"), by_value_names()) == pickle.dumps((1, "a"), 5)
    assert pickle.loads(dumps(lambda: 3, by_value_names()))() == 3
    assert threading.current_thread().is_alive()


def test_a_module_that_is_not_there_is_replaced_by_the_code_if_there_is_any() -> None:
    assert find("no_such_module", "f", cloudpickle.dumps(lambda: 6))() == 6
    with pytest.raises(ModuleNotFoundError):
        find("no_such_module", "f", b"")


def test_a_function_that_goes_by_value_keeps_the_name_of_its_file() -> None:
    # cloudpickle 3.1.3 drops it, and with it the user's own lines in every traceback.
    def body() -> None:
        raise ValueError

    assert pickle.loads(dumps_by_value(body)).__code__.co_filename == __file__


def test_a_function_may_name_the_package_itself() -> None:
    import prefectlite

    def body() -> object:
        return prefectlite.context

    assert pickle.loads(dumps_by_value(body))() is prefectlite.context
