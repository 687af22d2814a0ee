"""The JSON schema of a flow's parameters. Knows pydantic; knows no flow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prefectlite.core.parameter import NO_DEFAULT, Parameter


def parameter_schema(title: str, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the JSON schema of an object with a property per parameter.

    Parameters
    ----------
    title : str
        What the object is called.
    parameters : iterable of Parameter
        The parameters.

    Returns
    -------
    dict
        Definitions that several types share stand under ``$defs``.
    """
    # Here and not above: importing pydantic costs more than importing all the rest of us.
    from pydantic.json_schema import GenerateJsonSchema

    class Lenient(GenerateJsonSchema):
        """A generator for which a type without a JSON form takes every value."""

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
            return {}

    known = {one.name: one for one in parameters}
    generator = Lenient(ref_template="#/$defs/{model}")
    # What has no JSON form is left out without a word.
    generator.ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}
    found, definitions = generator.generate_definitions(
        [(name, "validation", one.checker().core_schema) for name, one in known.items()]
    )
    properties: dict[str, Any] = {}
    for name, one in known.items():
        default = one.default_as_json()
        properties[name] = {
            **found[name, "validation"],
            **({} if default is NO_DEFAULT else {"default": default}),
        }
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": properties,
        "required": [name for name, one in known.items() if one.required],
        "additionalProperties": False,
    }
    return {**schema, "$defs": definitions} if definitions else schema
