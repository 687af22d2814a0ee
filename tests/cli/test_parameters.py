from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefectlite.cli.parameters import gather, read_file
from prefectlite.core.parameter import Parameter
from prefectlite.errors import ParameterError

DECLARED = [
    Parameter("limit", default=3, type=int),
    Parameter("root", default=None, type=Path | None),
    Parameter("names", default=[], type=list[str]),
    Parameter("free"),
]


def test_texts_are_read_by_the_parameters_type():
    typed = ["limit=12", "root=/tmp", 'names=["a", "b"]', "free=true"]
    assert gather(DECLARED, typed, None) == {
        "limit": 12,
        "root": Path("/tmp"),
        "names": ["a", "b"],
        "free": True,
    }


def test_only_the_first_equals_sign_divides():
    assert gather(DECLARED, ["free=a=b"], None) == {"free": "a=b"}


def test_what_is_typed_goes_before_the_file(tmp_path):
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"limit": 1, "free": [1]}))
    assert gather(DECLARED, ["limit=2"], file) == {"limit": 2, "free": [1]}


def test_unknown_names_are_left_for_the_flow_to_refuse():
    assert gather(DECLARED, ["lmit=2"], None) == {"lmit": "2"}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["limit"], "'limit' is not of the form name=value"),
        (["=3"], "'=3' is not of the form name=value"),
        (["limit=1", "limit=2"], "'limit' is given twice, as '1' and '2'"),
        (["limit=many"], "limit.*many"),
    ],
)
def test_what_cannot_be_read_is_refused_with_name_and_value(typed, says):
    with pytest.raises(ParameterError, match=says):
        gather(DECLARED, typed, None)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[1]", "holds a list"), ("\udcff", "is not JSON")],
)
def test_a_file_that_holds_no_parameters_is_refused(content, says, tmp_path):
    file = tmp_path / "p.json"
    if content is not None:
        file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ParameterError, match=says) as raised:
        read_file(file)
    assert str(file) in str(raised.value)
