"""Parameters: their values, types, texts from a command line, and what a flow asks of them."""

from __future__ import annotations

import enum
import pickle
import subprocess
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cloudpickle
import pytest
from pydantic import BaseModel, Field

from prefectlite.core.context import context
from prefectlite.core.graph import FlowGraph
from prefectlite.core.parameter import NO_DEFAULT, Parameter
from prefectlite.core.signature import parameters_from_signature
from prefectlite.core.task import task
from prefectlite.errors import DefinitionError, DefinitionTypeError, ParameterError, ParameterNameError
from prefectlite.flow import Flow
from prefectlite.states.signals import FAIL

if TYPE_CHECKING:
    from collections import OrderedDict


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Model(BaseModel):
    a: int
    b: list[str] = []


@task
def take(x: Any) -> Any:
    return x


def test_a_parameter_without_default_is_required() -> None:
    assert Parameter("x").required
    assert not Parameter("x", default=None).required
    assert not Parameter("x", required=False).required
    assert Parameter("x", required=False).default is None
    assert Parameter("x", required=0).required is False
    assert Parameter("x", default=3, required=1).required is True
    assert Parameter("x", default=3, required=True).required
    assert repr(NO_DEFAULT) == "NO_DEFAULT"


def test_a_parameters_slug_is_its_name_and_a_flow_has_one_of_each() -> None:
    second_x, y = Parameter("x"), Parameter("y")
    with FlowGraph("f") as flow:
        x = Parameter("x", tags=["input"])
        take(x)
        take(x)
        with pytest.raises(DefinitionError, match="a parameter 'x' already; make it once"):
            take(second_x)
        take(1, task_args={"slug": "y"})
        with pytest.raises(DefinitionError, match="a task with slug 'y' already"):
            y()
    assert flow.slugs[x] == "x"
    assert flow.parameters() == {x}
    assert x.tags == {"input"}


@pytest.mark.parametrize("name", ["", "x[3]", 3])
def test_a_bad_name_is_refused(name: Any) -> None:
    with pytest.raises((DefinitionError, DefinitionTypeError), match="A parameter has slug="):
        Parameter(name)


def test_calling_a_parameter_puts_itself_into_the_flow() -> None:
    x = Parameter("x")
    with FlowGraph("f") as flow:
        assert x() is x
        assert x(flow=flow) is x
    assert list(flow.tasks) == [x]
    with pytest.raises(DefinitionError, match="'x' was used outside a flow"):
        x()


def test_a_parameter_takes_no_input() -> None:
    x = Parameter("x")
    with FlowGraph("f"), warnings.catch_warnings():
        with pytest.raises(DefinitionTypeError, match=r"'x' cannot be mapped.*task\.map\(x\)"):
            x.map([1])
        with pytest.raises(DefinitionTypeError, match=r"'x' takes no input; .*flow\.run\(x=\.\.\.\)"):
            x.bind(1)
        x()


def test_a_copy_needs_a_name() -> None:
    x = Parameter("x", default=3, type=int, tags=["a"])
    with pytest.raises(DefinitionTypeError, match=r"needs a name of its own; write copy\(name="):
        x.copy()
    y = x.copy("y", tags=["b"])
    assert (y.name, y.slug, y.default, y.type, y.tags) == ("y", "y", 3, int, {"a", "b"})
    z = Parameter("x").copy("z", default="7")
    assert (z.default, z.required) == ("7", False)
    with pytest.raises(DefinitionError, match="The default does not fit: Parameter 'w'"):
        x.copy("w", default="no")


def test_running_a_parameter_reads_the_context() -> None:
    x = Parameter("x", default=3)
    assert x.run() == 3
    with context(parameters={"x": 5}):
        assert x.run() == 5
    with pytest.raises(FAIL, match=r"Parameter 'y' has no value; give one: flow\.run\(y=\.\.\.\), or -p y="):
        Parameter("y").run()


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (Path, "/tmp", Path("/tmp")),
        (date, "2026-01-31", date(2026, 1, 31)),
        (list[int], (1, 2), [1, 2]),
        (int | None, None, None),
        (Annotated[int, Field(gt=0)], 1, 1),
        (Colour, "red", Colour.RED),
        (Model, {"a": 1}, Model(a=1)),
    ],
    ids=str,
)
def test_a_value_is_checked_and_converted(kind: Any, value: Any, expected: Any) -> None:
    assert Parameter("x", type=kind).validate(value) == expected
    assert Parameter("x", default=value, type=kind).default == expected


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (
            int,
            "abc",
            r"Parameter 'x' has the value 'abc' \(str\), but must be int: input should be a valid integer",
        ),
        (str, 3, r"the value 3 \(int\), but must be str"),
        (int, None, r"None \(NoneType\), but must be int"),
        (list[int], [1, "a"], r"must be list\[int\]: at 1: input should be a valid integer"),
        (Annotated[int, Field(gt=0)], -1, "greater than 0"),
        (Literal["a", "b"], "c", r"must be Literal\['a', 'b'\]: input should be 'a' or 'b'"),
        (list[int], list("abcdef"), r"at 0: .*at 1: .*at 2: .* \(and 3 more\)"),
        (int, "x" * 1000, r"the value 'x{76}\.\.\. \(str\)"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_a_wrong_value_is_refused_with_name_value_and_expectation(kind: Any, value: Any, text: str) -> None:
    with pytest.raises(ParameterError, match=text) as caught:
        Parameter("x", type=kind).validate(value)
    assert "Give a value of that type" in str(caught.value)
    with pytest.raises(DefinitionError, match="The default does not fit: Parameter 'x'"):
        Parameter("x", default=value, type=kind)


def test_an_optional_value_of_a_type_that_takes_no_none_is_refused() -> None:
    with pytest.raises(DefinitionError, match="The default does not fit"):
        Parameter("x", type=int, required=False)


def test_a_type_that_cannot_be_checked_is_refused() -> None:
    with pytest.raises(DefinitionTypeError, match=r"Parameter 'x' has type=.*which pydantic cannot check"):
        Parameter("x", default=1, type=object())


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (int, "12", 12),
        (int, " 12 ", 12),
        (float, "1e3", 1000.0),
        (bool, "yes", True),
        (bool, "0", False),
        (str, "12", "12"),
        (str, "[1]", "[1]"),
        (str, "", ""),
        (str | None, "null", "null"),
        (int | None, "null", None),
        (Path, "/usr/lib", Path("/usr/lib")),
        (date, "2026-01-31", date(2026, 1, 31)),
        (list[int], "[1, 2]", [1, 2]),
        (list[str], '["a"]', ["a"]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Literal[1, 2], "2", 2),
        (Colour, "blue", Colour.BLUE),
        (Model, '{"a": 1, "b": ["c"]}', Model(a=1, b=["c"])),
        (tuple[int, str], '[1, "b"]', (1, "b")),
    ],
    ids=str,
)
def test_a_text_from_the_command_line_is_read_by_the_type(kind: Any, text: str, expected: Any) -> None:
    got = Parameter("x", type=kind).parse(text)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (int, "abc", r"'abc' \(str\), but must be int: input should be a valid integer"),
        (list[int], "1,2", r"must be list\[int\]: input should be a valid array.*lists and dicts as JSON"),
        (list[int], '[1, "a"]', "at 1: input should be a valid integer"),
        (dict[str, int], "[1]", "should be an object|valid dict"),
        (int, "null", "valid integer"),
    ],
)
def test_a_text_that_the_type_does_not_take_is_refused(kind: Any, text: str, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Parameter("x", type=kind).parse(text)


@pytest.mark.parametrize(
    ("default", "text", "expected"),
    [
        (NO_DEFAULT, "12", 12),
        (NO_DEFAULT, "twelve", "twelve"),
        (0, "[1]", [1]),
        ("some", "12", "12"),
        (None, "null", None),
        (1, "None", None),
        (False, "True", True),
        (NO_DEFAULT, "False", False),
        ("", "True", "True"),
    ],
)
def test_a_text_without_a_type_is_json_unless_the_default_is_a_text(
    default: Any, text: str, expected: Any
) -> None:
    assert Parameter("x", default=default).parse(text) == expected


def test_the_type_is_named_in_words() -> None:
    assert Parameter("x").type_name == ""
    assert Parameter("x", type=int).type_name == "int"
    assert Parameter("x", type=list[int]).type_name == "list[int]"
    assert Parameter("x", type=Literal["a"]).type_name == "Literal['a']"
    assert "(int)" in Parameter("x", type=int).missing()


# What a flow asks


def make() -> FlowGraph:
    with FlowGraph("etl") as flow:
        take(Parameter("count", type=int))
        take(Parameter("root", default="/usr", type=Path))
    return flow


def test_all_values_of_a_run_are_checked_and_filled_in() -> None:
    assert make().check_parameters({"count": "3"}) == {"count": 3, "root": Path("/usr")}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, r"Flow 'etl' cannot run: Parameter 'count' \(int\) has no value"),
        ({"count": "x"}, "Parameter 'count' has the value 'x'"),
        ({"count": 1, "coutn": 2}, "Flow 'etl' has no parameter 'coutn'; did you mean 'count'"),
        ({"zzz": 2}, "no parameter 'zzz'; its parameters are count, root"),
    ],
)
def test_wrong_values_of_a_run_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        make().check_parameters(given)


def test_a_flow_without_parameters_says_so() -> None:
    with pytest.raises(ParameterError, match="it has none"):
        FlowGraph("f").check_parameters({"x": 1})


def test_a_parameter_survives_pickling() -> None:
    x = Parameter("x", default="3", type=int)
    twin = pickle.loads(cloudpickle.dumps(x))
    assert (twin.name, twin.default, twin.parse("4"), twin.required) == ("x", 3, 4, False)
    bare = pickle.loads(pickle.dumps(Parameter("y")))
    assert bare.default is None


# Signatures


def test_a_signature_becomes_parameters() -> None:
    def etl(
        count: int, root: Path = Path("/usr"), *, loose=None, share: Annotated[float, Field(le=1)] = 0.5
    ) -> None: ...

    count, root, loose, share = parameters_from_signature(etl)
    assert (count.name, count.type, count.required) == ("count", int, True)
    assert (root.name, root.type, root.default) == ("root", Path, Path("/usr"))
    assert (loose.name, loose.type_name, loose.default) == ("loose", "", None)
    with pytest.raises(ParameterError, match="less than or equal to 1"):
        share.validate(2)


def test_a_signature_that_cannot_become_parameters_is_refused() -> None:
    def starred(*rest: int) -> None: ...
    def keywords(**rest: int) -> None: ...
    def positional(x: int, /) -> None: ...
    def unreadable(x: OrderedDict[str, int]) -> None: ...
    def bad_default(x: int = "a") -> None: ...

    for fn, text in ((starred, r"'\*rest'"), (keywords, r"'\*\*rest'"), (positional, "'x'")):
        with pytest.raises(
            DefinitionTypeError, match=f"takes {text}, but each parameter of a flow needs a name"
        ):
            parameters_from_signature(fn)
    with pytest.raises(DefinitionTypeError, match="Flow 'unreadable' has an annotation that cannot be read"):
        parameters_from_signature(unreadable)
    with pytest.raises(DefinitionError, match="The default does not fit: Parameter 'x'"):
        parameters_from_signature(bad_default)


def test_pydantic_is_not_imported_before_a_typed_parameter_is_made() -> None:
    program = (
        "import sys; from prefectlite.core.graph import FlowGraph; from prefectlite.core.parameter import Parameter;"
        "Parameter('x', default=3).parse('4'); assert 'pydantic' not in sys.modules;"
        "Parameter('y', default=3, type=int); assert 'pydantic' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_option_of_run_that_is_misspelt_is_named() -> None:
    with Flow("etl") as flow:
        Parameter("count", default=3)()

    with pytest.raises(
        ParameterNameError, match=r"has no parameter 'exectuor'; did you mean the option 'executor'\?"
    ):
        flow.run(exectuor=None)
