from __future__ import annotations

import importlib
import sys
import textwrap

import cloudpickle
import pytest

from prefectlite.cli.loading import load_file, load_module, pick_flow
from prefectlite.errors import FlowLoadError
from prefectlite.executors.local import LocalExecutor
from prefectlite.flow import Flow

FLOW = """
from prefectlite import Flow, task

@task
def one():
    return 1

with Flow("etl") as flow:
    one()
"""


@pytest.fixture(autouse=True)
def _imports_are_put_back():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(cloudpickle.list_registry_pickle_by_value()) - modules:
        cloudpickle.unregister_pickle_by_value(sys.modules[name])
    for name in [name for name in set(sys.modules) - modules if not name.startswith("prefectlite")]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    def write(text, name="h8_etl.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_a_file_becomes_a_module_whose_functions_travel_by_value(write):
    before = cloudpickle.list_registry_pickle_by_value()
    path = write("import h8_beside\n" + FLOW + "\ndef f(): return h8_beside.x\n")
    write("x = 3", "h8_beside.py")
    module = load_file(path)
    assert module is sys.modules["h8_etl"]
    assert sys.path[0] == str(path.parent)
    assert b"h8_beside" in cloudpickle.dumps(module.f)
    assert cloudpickle.list_registry_pickle_by_value() == before | {"h8_etl"}
    assert not (path.parent / "__pycache__" / "h8_etl.cpython-311.pyc").exists()


def test_what_stands_below_the_main_guard_does_not_run(write):
    load_file(write("if __name__ == '__main__':\n    raise RuntimeError"))


@pytest.mark.parametrize("load", ["file", "module"])
def test_a_flow_that_a_file_runs_is_not_run_while_it_is_read(load, write, monkeypatch, tmp_path):
    source = (
        FLOW
        + """
def ran(task, old, new): raise AssertionError
flow.state_handlers.append(ran)
state = flow.run()
served = flow.serve()
"""
    )
    path = write(source, f"h8_eager_{load}.py")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(
        UserWarning, match=r"flow.(run|serve)\(\) of flow 'etl' does nothing here.*__main__"
    ) as warned:
        module = load_file(path) if load == "file" else load_module(path.stem)
    assert module.state.is_pending()
    assert [type(state).__name__ for state in module.state.result.values()] == ["Pending"]
    assert module.served == {}
    assert {warning.filename for warning in warned} == {str(path)}
    assert pick_flow(module).run(executor=LocalExecutor(), run_on_schedule=False).is_failed()


def test_a_flow_that_a_file_starts_is_refused_with_the_mend(write):
    with pytest.raises(FlowLoadError, match=r"(?s)RuntimeError: Flow 'etl' cannot start while.*__main__"):
        load_file(write(FLOW + "\nflow.start()\n", "h8_starts.py"))


@pytest.mark.parametrize("name", ["json.py", "my-flow.py", "2nd.py", "flow"])
def test_any_name_of_a_file_will_do_and_hides_no_other_module(name, write):
    importlib.import_module("json")
    before = dict(sys.modules)
    module = load_file(write(FLOW, name))
    assert pick_flow(module).name == "etl"
    assert all(sys.modules[key] is value for key, value in before.items())


@pytest.mark.filterwarnings("ignore:can't resolve package:ImportWarning")
def test_a_file_that_needs_its_package_is_told_how_it_is_read(write):
    path = write("from . import tools\n")

    with pytest.raises(FlowLoadError, match=r"read as a module of it: -m PACKAGE\.MODULE"):
        load_file(path)


def test_an_error_in_the_file_shows_its_own_lines_only(write):
    path = write("def f():\n    return {}['a']\n\nf()\n")
    with pytest.raises(FlowLoadError) as raised:
        load_file(path)
    lines = str(raised.value).splitlines()
    assert lines[0] == f"The flow file {str(path)!r} could not be read, since its own code raised:"
    assert lines[-1] == "KeyError: 'a'"
    assert [line for line in lines if "File " in line] == [
        f'  File "{path}", line 4, in <module>',
        f'  File "{path}", line 2, in f',
    ]
    assert "h8_etl" not in sys.modules


def test_a_syntax_error_shows_the_line(write):
    with pytest.raises(FlowLoadError, match=r"line 1(.|\n)*def f\(:(.|\n)*SyntaxError"):
        load_file(write("def f(:\n"))


def test_a_file_that_ends_the_program_is_told_about_the_guard(write):
    with pytest.raises(FlowLoadError, match=r"sys.exit\(3\).*__main__"):
        load_file(write("import sys; sys.exit(3)"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FlowLoadError, match=r"gone\.py' is not there"):
        load_file(tmp_path / "gone.py")
    with pytest.raises(FlowLoadError, match="is a folder"):
        load_file(tmp_path)


def test_a_module_is_found_in_the_current_folder(write, monkeypatch, tmp_path):
    write(FLOW, "h8_module.py")
    monkeypatch.chdir(tmp_path)
    assert pick_flow(load_module("h8_module")).name == "etl"
    assert pick_flow(load_module("h8_module")).name == "etl"


def test_a_module_that_does_not_exist_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowLoadError, match=r"no module 'h8_gone.flows': 'h8_gone' is neither"):
        load_module("h8_gone.flows")


def test_a_module_that_misses_another_says_which(write, monkeypatch, tmp_path):
    path = write("import h8_other", "h8_needy.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowLoadError, match=r"(?s)own code raised.*No module named 'h8_other'") as raised:
        load_module("h8_needy")
    assert str(path) in str(raised.value)


def test_a_module_whose_code_raises_shows_its_own_lines(write, monkeypatch, tmp_path):
    write("1 / 0", "h8_broken.py")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FlowLoadError, match="ZeroDivisionError") as raised:
        load_module("h8_broken")
    assert "importlib" not in str(raised.value)


def module_with(**flows):
    module = type(sys)("h8_flows")
    vars(module).update(flows)
    return module


def test_a_module_without_a_flow_says_how_to_make_one():
    with pytest.raises(FlowLoadError, match=r"holds no flow.*with Flow\('name'\).*@flow"):
        pick_flow(module_with(x=3))


def test_of_several_flows_one_must_be_chosen_by_its_name_or_its_variables():
    day, night = Flow("day"), Flow("nightly")
    module = module_with(day=day, night=night, again=night)
    with pytest.raises(
        FlowLoadError, match=r"holds 2 flows: 'day', 'nightly' \(in night\); choose one with --flow"
    ):
        pick_flow(module)
    assert pick_flow(module, "day") is day
    assert pick_flow(module, "nightly") is night
    assert pick_flow(module, "night") is night
    with pytest.raises(FlowLoadError, match="holds no flow named 'dusk'; it holds 'day'"):
        pick_flow(module, "dusk")


def test_flows_of_one_name_are_told_apart_by_their_variables():
    first, second = Flow("same"), Flow("same")
    with pytest.raises(FlowLoadError, match="holds 2 flows named 'same'"):
        pick_flow(module_with(a=first, b=second), "same")
    assert pick_flow(module_with(a=first, b=second), "b") is second
