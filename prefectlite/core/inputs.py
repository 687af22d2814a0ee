"""What a flow asks of those who run it: its parameters. Knows queries; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import Any

from prefectlite.core.queries import GraphQueries
from prefectlite.core.schema import parameter_schema
from prefectlite.errors import ParameterError, ParameterNameError
from prefectlite.kinds import check_kind


class FlowInputs(GraphQueries):
    """The parameters of a flow: their values for a run, and their schema."""

    def check_parameters(
        self, given: Mapping[str, Any], of_clock: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the value of every parameter for one run.

        Parameters
        ----------
        given : mapping of str to object
            Values by parameter name.
        of_clock : mapping of str to object, or None
            What the clock of a scheduled start says; it goes over ``given``. What it says of parameters that
            the flow does not have is handed on as it is, as in Prefect 1: a schedule may serve several flows.

        Returns
        -------
        dict
            Values by parameter name, defaults filled in; then what a clock says more.

        Raises
        ------
        ParameterNameError
            When a given name is unknown.
        ParameterError
            When a required value is missing, or a value is not what its type asks for.
        DefinitionTypeError
            When the values have no names.
        """
        more = {} if of_clock is None else of_clock
        for argument, values in (("given", given), ("of_clock", more)):
            check_kind(
                f"Flow {self.name!r}", argument, values, Mapping, "give values by their names: {'limit': 3}."
            )
        for name in given:
            if name not in self._parameters:
                raise ParameterNameError(self._unknown(name))
        given = {**given, **more}
        checked: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            if name in given:
                checked[name] = parameter.validate(given[name])
            elif parameter.required:
                raise ParameterError(f"Flow {self.name!r} cannot run: {parameter.missing()}")
            else:
                checked[name] = parameter.default
        return {**more, **checked}

    def parameter_schema(self) -> dict[str, Any]:
        """Return the JSON schema of what ``flow.run(parameters=...)`` takes.

        Returns
        -------
        dict
            The schema of an object with a property per parameter (JSON Schema 2020-12), with the defaults
            that have a JSON form; where a type has no schema, every value is allowed.

        Examples
        --------
        >>> from prefectlite import Flow, Parameter
        >>> with Flow("etl") as flow:
        ...     count = Parameter("count", default=3, type=int)()
        >>> flow.parameter_schema()["properties"]
        {'count': {'type': 'integer', 'default': 3}}
        """
        return parameter_schema(self.name, self._parameters.values())

    def _unknown(self, name: str) -> str:
        names = list(self._parameters)
        close = get_close_matches(str(name), names, n=1)
        options = [] if close else get_close_matches(str(name), _options_of_run(type(self)), n=1)
        if close:
            mend = f"did you mean {close[0]!r}?"
        elif options:
            mend = f"did you mean the option {options[0]!r}?"
        elif names:
            mend = f"its parameters are {', '.join(names)}."
        else:
            mend = "it has none; add Parameter(...) to the flow, or leave the value away."
        return f"Flow {self.name!r} has no parameter {name!r}; {mend}"


def _options_of_run(cls: type) -> list[str]:
    """Return what ``run`` takes by name beside parameters, where there is one."""
    run = getattr(cls, "run", None)
    found = () if run is None else signature(run).parameters.values()
    return [one.name for one in found if one.kind is Parameter.KEYWORD_ONLY]
