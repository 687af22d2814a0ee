"""The cache rule: may the value of an earlier run be used? Knows tokens and a kept state; told the time.

A token is a short text that is the same for equal values. A validator is any function of the kept state and
of what the run is given, as in Prefect 1: a state holds the tokens of inputs, and the values of the flow's
parameters. Those here compare tokens, and can say what differs. Called by hand, they ask the place what time
it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from prefectlite.errors import DefinitionTypeError
from prefectlite.kinds import check_kind
from prefectlite.moments import plainly
from prefectlite.states.asked import Asked
from prefectlite.states.state import Cached
from prefectlite.states.surroundings import moment_here
from prefectlite.states.value import is_same

__all__ = [
    "all_inputs",
    "all_parameters",
    "duration_only",
    "never_use",
    "partial_inputs_only",
    "partial_parameters_only",
]


#: Returns the token of any value; None for one that has none.
TokenOf: TypeAlias = Callable[[Any], str | None]


#: Knows the tokens of inputs that come without, in a plain mapping.
TOKEN_OF: Final[Asked[TokenOf]] = Asked(lambda value: None)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StandIn:
    """In the place of a value that is not kept: it equals each value that has its token.

    Parameters
    ----------
    token : str
        The value's.
    token_of : callable
        Returns the token of any value; None for one that has none.
    """

    token: str
    token_of: TokenOf

    def __eq__(self, other: object) -> bool:
        """Compare tokens."""
        return self.token == (other.token if isinstance(other, StandIn) else self.token_of(other))

    def __hash__(self) -> int:
        """Hash the token."""
        return hash(self.token)

    def __repr__(self) -> str:
        """Return the token, and that it is not the value."""
        return f"<a value with the token {self.token}>"


class Given(dict[str, Any]):
    """What a run is given: values by name, with their tokens.

    Parameters
    ----------
    values : mapping of str to object
        The values.
    tokens : mapping of str to str
        Their tokens, as far as they have one.
    """

    def __init__(self, values: Mapping[str, Any], tokens: Mapping[str, str]) -> None:
        super().__init__(values)
        self.tokens = dict(tokens)


#: Takes the kept state, inputs and parameters, and answers whether the value may be used.
CacheValidator: TypeAlias = Callable[[Cached, Given, Given], bool]
#: What a validator of ours takes: a mapping of inputs that is no ``Given`` holds them, or their tokens.
AnyGiven: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Validator:
    """A validator that compares tokens by name.

    Parameters
    ----------
    name : str
        What it is called.
    inputs, parameters : tuple of str, or None
        Which of them must be the same; None for all.
    uses : bool
        Whether any value is used at all.
    """

    name: str
    inputs: tuple[str, ...] | None = ()
    parameters: tuple[str, ...] | None = ()
    uses: bool = True

    def __call__(self, state: Cached, inputs: AnyGiven | None, parameters: AnyGiven | None) -> bool:
        """Return whether the value behind a kept state may be used; None is nothing given."""
        if not self.uses:
            # As in Prefect 1, whatever it is asked about.
            return False
        check_kind(self.name, "state", state, Cached, "give the Cached state that was kept.")
        given = [{} if one is None else one for one in (inputs, parameters)]
        for name, one in zip(("inputs", "parameters"), given, strict=True):
            check_kind(self.name, name, one, Mapping, "give tokens or values by name, in a dict.")
        return _too_old(state, moment_here()) is None and self.objection(state, *given) is None

    @property
    def __name__(self) -> str:
        """What it is called: in Prefect 1, validators are functions."""
        return self.name

    def __repr__(self) -> str:
        """Return it as it is written."""
        chosen = {"partial_inputs_only": self.inputs, "partial_parameters_only": self.parameters}.get(
            self.name
        )
        return f"{self.name}(validate_on={list(chosen)!r})" if chosen else self.name

    def objection(self, state: Cached, inputs: AnyGiven, parameters: AnyGiven) -> str | None:
        """Return why the value behind a kept state may not be used.

        Parameters
        ----------
        state : Cached
            What was kept.
        inputs, parameters : mapping of str to object
            What the run is given.

        Returns
        -------
        str or None
            In a few words; None when it may be used.
        """
        if not self.uses:
            return f"{self} uses no value"
        return _difference("input", state.hashed_inputs, inputs, self.inputs) or _difference(
            "parameter", state.cached_parameters, parameters, self.parameters
        )

    def tokens(self, inputs: Given, parameters: Given) -> tuple[dict[str, str], str | None]:
        """Return the tokens that must be the same.

        Parameters
        ----------
        inputs, parameters : Given
            What a run is given.

        Returns
        -------
        (dict of str to str, str or None)
            By kind and name; and what is wrong when one that must be compared has no token.
        """
        found: dict[str, str] = {}
        for kind, given, names in (
            ("input", inputs, self.inputs),
            ("parameter", parameters, self.parameters),
        ):
            for name in given if names is None else names:
                if name in given and name not in given.tokens:
                    return found, _no_token(kind, name, given[name])
                found[f"{kind} {name}"] = given.tokens.get(name, "")
        return found, None


class PartialValidator(Validator):
    """A validator that is told what to compare: ``partial_inputs_only(validate_on=["x"])``."""

    __slots__ = ()

    def __call__(
        self,
        state: Any = None,
        inputs: Any = None,
        parameters: Any = None,
        *,
        validate_on: Iterable[str] | None = None,
    ) -> Any:
        """Return a validator of some names alone; with a state, whether its value may be used."""
        if not isinstance(state, Cached | None):
            raise DefinitionTypeError(
                f"{self.name} was given {state!r}, which is no Cached state; write names with validate_on: "
                f"{self.name}(validate_on=['x'])."
            )
        chosen: Validator = self
        if validate_on is not None:
            names = self._names(validate_on)
            is_of_inputs = self.name == "partial_inputs_only"
            chosen = replace(self, inputs=names) if is_of_inputs else replace(self, parameters=names)
        return chosen if state is None else Validator.__call__(chosen, state, inputs, parameters)

    def _names(self, given: Any) -> tuple[str, ...]:
        names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else None
        if names is None or not all(isinstance(name, str) for name in names):
            raise DefinitionTypeError(
                f"{self.name} has validate_on={given!r}; give a list of names: validate_on=['x']."
            )
        return names


#: No kept value is used.
never_use: Final = Validator("never_use", uses=False)
#: A kept value is used until its time is over, whatever the inputs are.
duration_only: Final = Validator("duration_only")
#: A kept value is used for the same inputs; the default of tasks with ``cache_for``.
all_inputs: Final = Validator("all_inputs", inputs=None)
#: A kept value is used for the same parameters of the flow, whatever the inputs are.
all_parameters: Final = Validator("all_parameters", parameters=None)
#: A kept value is used if the inputs named in ``validate_on`` are the same.
partial_inputs_only: Final = PartialValidator("partial_inputs_only")
#: A kept value is used if the parameters named in ``validate_on`` are the same.
partial_parameters_only: Final = PartialValidator("partial_parameters_only")


def objection(
    validator: CacheValidator, state: Cached, inputs: Given, parameters: Given, now: datetime
) -> str | None:
    """Return why a kept value may not be used.

    Parameters
    ----------
    validator : callable
        The task's.
    state : Cached
        What was kept.
    inputs, parameters : Given
        What the run is given.
    now : datetime
        The time.

    Returns
    -------
    str or None
        In a few words; None when it may be used.

    Raises
    ------
    Exception
        What a validator of the user's own raises.
    """
    too_old = _too_old(state, now)
    if too_old is not None:
        return too_old
    if isinstance(validator, Validator):
        return validator.objection(state, inputs, parameters)
    if validator(state, inputs, parameters):
        return None
    return f"{getattr(validator, '__name__', type(validator).__name__)} refused what was kept"


def _too_old(state: Cached, now: datetime) -> str | None:
    expiration = plainly(state, "cached_result_expiration")
    if expiration is None or expiration > now:
        return None
    return f"what was kept expired at {expiration:%Y-%m-%d %H:%M:%S %Z}"


def _difference(
    kind: str, kept: Mapping[str, Any], told: AnyGiven, names: Iterable[str] | None
) -> str | None:
    tokens = told.tokens if isinstance(told, Given) else told
    for name in sorted({*kept, *told}) if names is None else names:
        if name in told and name not in tokens:
            return _no_token(kind, name, told[name])
        if not _is_the_same(kind, name, kept, told):
            return f"{kind} {name!r} is another than what was kept for"
    return None


def _is_the_same(kind: str, name: str, kept: Mapping[str, Any], told: AnyGiven) -> bool:
    """Compare tokens where both are known; of parameters otherwise the values."""
    mine, theirs = kept.get(name), told.get(name)
    if isinstance(told, Given):
        token = told.tokens.get(name)
        if isinstance(kept, Given):
            return kept.tokens.get(name) == token
        if isinstance(mine, StandIn):
            return mine.token == token
        if kind == "input":
            return bool(mine == token)
    elif isinstance(mine, StandIn):
        return mine == theirs
    elif kind == "input" and name in kept and name in told:
        return is_same(mine, theirs) or bool(mine == TOKEN_OF.who(theirs))
    return (name in kept) is (name in told) and is_same(mine, theirs)


def _no_token(kind: str, name: str, value: object) -> str:
    return f"{kind} {name!r} is of type {type(value).__name__}, which has no token that equal values share"
