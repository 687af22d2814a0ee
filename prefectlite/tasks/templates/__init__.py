"""A task that fills in a text. Knows the context; knows no cluster."""

from __future__ import annotations

import string
from collections import ChainMap
from typing import Any, Unpack

from prefectlite.core.attributes import defaults_from_attrs
from prefectlite.core.base import Task
from prefectlite.core.context import context
from prefectlite.core.options import OptionArgs
from prefectlite.errors import DefinitionTypeError

__all__ = ["StringFormatter"]


class StringFormatter(Task):
    """A task that fills in a template, as ``str.format`` does, with its arguments and the context's values.

    Parameters
    ----------
    template : str or None
        The text with fields, such as ``"{today}: {count} rows"``; may be given, or given anew, when the task
        is called.
    **options : OptionArgs
        Name, retries, trigger, tags and the like.

    Raises
    ------
    DefinitionTypeError
        When ``template`` is no text.

    Examples
    --------
    >>> StringFormatter("{count} rows of {flow_name}").run(count=3, flow_name="etl")
    '3 rows of etl'
    """

    def __init__(self, template: str | None = None, **options: Unpack[OptionArgs]) -> None:
        super().__init__(**options)
        if template is not None and not isinstance(template, str):
            raise DefinitionTypeError(
                f"Task {self.name!r}: template={template!r} is no text; write 'Hello {{name}}' or another."
            )
        self.template = template

    @defaults_from_attrs("template")
    def run(self, template: str | None = None, **values: Any) -> str:
        """Fill in the template.

        Parameters
        ----------
        template : str or None
            The text with fields.
        **values : object
            What the fields stand for; they go before the context's values.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ValueError
            When there is no template.
        KeyError, IndexError
            When nothing bears the name, or the number, of one of its fields.
        """
        if template is None:
            raise ValueError(
                f"Task {self.name!r} has no template; give it one, in StringFormatter or in the call."
            )
        try:
            return string.Formatter().vformat(template, (), ChainMap(values, context))
        except (KeyError, IndexError) as error:
            raise type(error)(
                f"The template {template!r} of task {self.name!r} has a field that neither an argument nor "
                f"the context fills ({error}); pass it to the call by its name."
            ) from None
