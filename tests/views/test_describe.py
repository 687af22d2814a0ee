"""What a flow consists of, as data and as lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from prefectlite import Flow, Parameter, flatten, task, triggers
from prefectlite.schedules import IntervalSchedule
from prefectlite.views.describe import description, description_lines, diagnostics


class Box(BaseModel):
    width: int = 1


@task(
    max_retries=2, retry_delay=[1, 5], retry_on=OSError, resources={"GPU": 1}, trigger=triggers.all_finished
)
def load(x: Any, y: Any = 0) -> Any:
    return x + y


def build() -> Flow:
    with Flow("etl") as flow:
        n = Parameter("n", default=3, type=int)
        box = Parameter("box", type=Box)
        boxes = Parameter("boxes", default=[Box()], type=list[Box])
        first = load(n, task_args={"tags": ["b", "a"]})
        load.map(flatten([[1], [2]]), upstream_tasks=[first, box, boxes])
    return flow


def test_a_description_holds_parameters_tasks_and_edges_and_is_json() -> None:
    told = json.loads(json.dumps(description(build())))

    assert (told["flow"], told["reference_tasks"]) == ("etl", ["load-1"])
    assert told["parameters"]["properties"]["box"] == {"$ref": "#/$defs/Box"}
    assert told["parameters"]["properties"]["boxes"]["default"] == [{"width": 1}]
    assert list(told["parameters"]["$defs"]) == ["Box"]
    tasks = {one["slug"]: one for one in told["tasks"]}
    assert list(tasks) == ["n", "load-a-b-1", "box", "boxes", "Constant[list]-1", "load-1"]
    assert tasks["load-a-b-1"] == {
        "slug": "load-a-b-1",
        "name": "load",
        "class": "FunctionTask",
        "tags": ["a", "b"],
        "mapped": False,
        "options": {
            "max_retries": 2,
            "retry_delay": [1, 5],
            "retry_on": ["OSError"],
            "trigger": "all_finished",
            "resources": {"GPU": 1},
        },
    }
    assert tasks["load-1"]["mapped"]
    assert told["edges"][:2] == [
        {"upstream": "n", "downstream": "load-a-b-1", "key": "x", "mapped": False, "flattened": False},
        {
            "upstream": "Constant[list]-1",
            "downstream": "load-1",
            "key": "x",
            "mapped": True,
            "flattened": True,
        },
    ]


def test_the_lines_show_the_same_to_people() -> None:
    lines = description_lines(build())

    assert lines[0] == "Flow 'etl': 6 tasks, 5 edges, 3 parameters"
    text = "\n".join(lines)
    assert '  n      optional  {"type": "integer", "default": 3}' in lines
    assert '  box    required  {"$ref": "#/$defs/Box"}' in lines
    assert "  #/$defs/Box  " in text
    assert (
        "  load-a-b-1        FunctionTask, tags=a,b, max_retries=2, retry_delay=[1, 5], retry_on=['OSError'], "
        "trigger=all_finished, resources={'GPU': 1}" in lines
    )
    assert "; decides how a run ends" in lines[lines.index("Tasks") + 6]
    assert not any("decides" in line for line in lines[: lines.index("Tasks") + 6])
    assert "  n                 -> load-a-b-1  x" in lines
    assert "  Constant[list]-1  -> load-1      x, mapped, flattened" in lines
    assert "  box               -> load-1      only the order" in lines


def test_a_flow_without_anything_is_one_line() -> None:
    assert description_lines(Flow("none")) == ["Flow 'none': 0 tasks, 0 edges, 0 parameters"]


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        (Parameter("x"), {}),
        (Parameter("x", default=None), {"default": None}),
        (Parameter("x", default={print}), {}),
        (Parameter("x", type=Callable, default=print), {}),
        (Parameter("x", type=int, default=3, required=True), {"type": "integer"}),
        (
            Parameter("x", type=SecretStr, default=SecretStr("key")),
            {"type": "string", "format": "password", "writeOnly": True, "default": "**********"},
        ),
    ],
    ids=str,
)
def test_the_schema_of_a_parameter_says_what_has_a_json_form(
    parameter: Parameter, schema: dict[str, Any]
) -> None:
    assert Flow("f", tasks=[parameter]).parameter_schema()["properties"]["x"] == schema


def test_diagnostics_count_and_name_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(diagnostics(build()))

    assert told["flow"] == {
        "class": "Flow",
        "executor": "NoneType",
        "tasks": {"Parameter": 3, "FunctionTask": 2, "Constant": 1},
        "edges": 5,
        "maps": 1,
        "options": {"max_retries": 2, "retry_delay": 2, "retry_on": 2, "trigger": 2, "resources": 2},
        "parameters": 3,
        "has_reference_tasks": False,
    }
    assert told["versions"]["dask"]
    monkeypatch.setattr("prefectlite.views.describe._LIBRARIES", ("nowhere-to-be-found",))
    assert json.loads(diagnostics(build()))["versions"]["nowhere-to-be-found"] is None


def test_a_schedule_shows_without_the_values_of_its_parameters() -> None:
    flow = build()
    assert description(flow)["schedule"] is None
    assert "Schedule" not in description_lines(flow)

    flow.schedule = IntervalSchedule(interval=timedelta(hours=1), parameter_defaults={"n": "s3cr3t"})

    lines = description_lines(flow)
    shown = lines[lines.index("Schedule") + 1]
    assert shown == f"  {description(flow)['schedule']}"
    assert "interval=datetime.timedelta(seconds=3600)" in shown
    assert "parameter_defaults=['n']" in shown
    assert "s3cr3t" not in shown
