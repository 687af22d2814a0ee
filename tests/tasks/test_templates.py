"""Texts that a task fills in."""

from __future__ import annotations

import pytest

from prefectlite import Flow, LocalExecutor, context, task
from prefectlite.errors import DefinitionTypeError
from prefectlite.tasks.templates import StringFormatter


def test_a_text_is_filled_in_with_arguments_and_the_context() -> None:
    @task
    def count() -> int:
        return 3

    with Flow("report") as flow:
        told = StringFormatter("{flow_name}: {count:03d} of {city}", name="told")(count=count())
        anew = StringFormatter()(template="{flow_name} of {today}", today="a day")

    state = flow.run(executor=LocalExecutor(), context={"city": "Bergen"})

    assert state.result[told].result == "report: 003 of Bergen"
    assert state.result[anew].result == "report of a day"


def test_what_cannot_be_filled_in_names_template_field_and_mend() -> None:
    with pytest.raises(KeyError, match=r"template '\{x\}' of task 'told'.*\('x'\); pass it to the call"):
        StringFormatter("{x}", name="told").run()
    with pytest.raises(IndexError, match="pass it to the call by its name"):
        StringFormatter("{}").run()
    with pytest.raises(ValueError, match="'StringFormatter' has no template; give it one"):
        StringFormatter().run()
    with pytest.raises(DefinitionTypeError, match=r"template=3 is no text; write 'Hello \{name\}'"):
        StringFormatter(3)  # type: ignore[arg-type]


def test_values_of_the_context_give_way_to_arguments() -> None:
    with context(city="Oslo"):
        assert StringFormatter("{city}").run() == "Oslo"
        assert StringFormatter("{city}").run(city="Bergen") == "Bergen"
