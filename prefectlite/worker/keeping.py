"""What one attempt looks for before its body, and stores after it. Knows values and stores; runs no body."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from prefectlite.core.keeping import Caching, Keeping
from prefectlite.errors import ResultCorrupt, ResultUnavailable
from prefectlite.lowering.tokens import token_of
from prefectlite.lowering.wrappers import Succeeded, Veiled
from prefectlite.masking import KNOWN, mask, secrets_in
from prefectlite.moments import plainly
from prefectlite.results.kept import Kept, address, pack, unpack
from prefectlite.results.result import digest_in, found_by, written_by
from prefectlite.results.serializers import dumps
from prefectlite.results.store import digest_of
from prefectlite.rules.caching import Given, Validator, all_inputs, all_parameters, objection
from prefectlite.states.report import Report
from prefectlite.states.state import Cached, Looped, Success
from prefectlite.states.surroundings import NO_CONTEXT
from prefectlite.states.value import NO_RESULT
from prefectlite.worker.around import Kind, names_in
from prefectlite.worker.failures import described
from prefectlite.worker.parameters import for_state, packed, unpacked

#: What reading raises where nothing lies that can be read.
_LOST: Final = (ResultCorrupt, ResultUnavailable, LookupError, OSError)


class Found(NamedTuple):
    """A value that makes the body needless.

    Parameters
    ----------
    value : object
        The value.
    location : str or None
        Where it lies, if that may be told.
    state : Cached
        What the run becomes, but for the value.
    digest : str or None
        By what its bytes are told from what is stored there later.
    """

    value: Any
    location: str | None
    state: Cached
    digest: str | None = None


class Keeper:
    """Looks for the value of one attempt, and stores it; used inside the attempt's context.

    Parameters
    ----------
    keeping : Keeping
        The task's.
    kind : Kind
        What attempt.
    index : int or None
        The child's place in its map.
    context : dict
        What the context holds.
    arguments : mapping of str to object
        The body's.

    Raises
    ------
    ResultError
        When the location of its value cannot be told.
    """

    def __init__(
        self,
        keeping: Keeping,
        kind: Kind,
        index: int | None,
        context: dict[str, Any],
        arguments: Mapping[str, Any],
    ) -> None:
        self._keeping = keeping
        self._log = kind.task.logger
        self._by = str(context["task_run_id"])
        self._names = names_in(context, arguments, kind.task.envelope.run_name)
        # Told before the body runs: a location that cannot be told must not cost its work.
        self._location = "" if keeping.result is None else keeping.result.named(**self._names)
        self._misses: list[str] = []
        self._kept: _Kept | None = None
        if keeping.caching is not None:
            self._kept = _Kept(keeping.caching, index, arguments, context["parameters"], self._by)
        #: Whether the value is stored where a result says; looked for it is in any case, as in Prefect 1.
        self._stores = bool(context["checkpointing"])
        # What this run was given to begin with, if anything, and what its flow run was.
        caches, key = context["caches"], "" if keeping.caching is None else keeping.caching.key
        self._candidates: list[Cached] = [*caches.get(context["task_slug"], ()), *caches.get(key, ())]

    def look(self) -> Found | None:
        """Return the value that makes the body needless, if there is one.

        Returns
        -------
        Found or None
            What cannot be read is not there: it is told, and no failure.
        """
        found = self._at_target() if self._keeping.has_target else None
        if found is None and self._kept is not None:
            found = self._among_kept(self._kept)
        return found

    def _at_target(self) -> Found | None:
        result, location = self._keeping.result, self._location
        assert result is not None  # where there is a target, there is one
        try:
            # As in Prefect 1, what a class of the user's is asked about is filled in by itself; a brace in
            # the name is none of a template's.
            if not result.exists(location.replace("{", "{{").replace("}", "}}"), **self._names):
                self._miss(f"nothing is stored at {location!r}")
                return None
            found = found_by(result, location)
        except Exception as error:
            self._miss(f"what is stored at {location!r} cannot be used ({described(error)})", error)
            return None
        state = Cached(mask(f"The value that is stored at {location!r} was used."))
        return Found(found.value, _told(location), state, digest_in(found))

    def _among_kept(self, kept: _Kept) -> Found | None:
        try:
            found, why = kept.one_of(self._candidates) or kept.look()
        except Exception as error:
            self._miss(f"what was kept cannot be used ({described(error)})", error)
            return None
        if found is None:
            self._miss(why)
        return found

    def _miss(self, why: str, error: Exception | None = None) -> None:
        self._misses.append(why)
        if error is None or isinstance(error, ResultUnavailable):
            # The state says it, too, and with a target it is so in each first run.
            self._log.debug("The body runs: %s.", why)
        else:
            self._log.warning("The body runs: %s.", why)

    def store(self, report: Report, wrapper: Succeeded) -> Report:
        """Store what the body returned.

        Parameters
        ----------
        report : Report
            Of a plain success.
        wrapper : Succeeded
            With its value.

        Returns
        -------
        Report
            That says so.

        Raises
        ------
        Exception
            When it cannot be stored where the user wants it.
        """
        success = Success(context=NO_CONTEXT) if report.success is None else report.success
        told = [success.message or "The body returned."]
        if self._misses:
            told.append(f"It had to run: {'; '.join(self._misses)}.")
        location = digest = cached = None
        if not self._keeping.writes:
            pass
        elif isinstance(wrapper, Veiled) or (KNOWN and secrets_in(dumps(wrapper.value))):
            told.append("Its value is not stored: a secret stands in it.")
        else:
            if self._keeping.result is not None and self._stores:
                written = written_by(self._keeping.result, wrapper.value, self._names)
                location = written.location if isinstance(written.location, str) else self._location
                digest = digest_in(written)
                told.append(f"Its value is stored at {location!r}.")
            if self._kept is not None:
                cached = self._keep(self._kept, wrapper.value, report.ended, told)
                if cached is not None and not location:
                    location, digest = self._kept.location, self._kept.digest
        success = (success if cached is None else cached).replace(message=mask(" ".join(told)))
        return report._replace(success=success, location=_told(location), digest=digest)

    def store_lap(self, lap: Looped) -> None:
        """Store what an iteration hands on, unless the next one would take it for the task's value.

        Parameters
        ----------
        lap : Looped
            How the iteration ended.

        Raises
        ------
        Exception
            When it cannot be stored where the user wants it.
        """
        keeping = self._keeping
        if keeping.result is None or keeping.has_target or not (keeping.writes and self._stores):
            return
        if not (KNOWN and secrets_in(dumps(lap.result))):
            keeping.result.write(lap.result, **self._names)

    def _keep(self, kept: _Kept, value: Any, now: float, told: list[str]) -> Cached | None:
        """Keep a value for later runs; what stands in the way is told, and no failure."""
        try:
            state = kept.keep(value, now)
        except Exception as error:
            told.append(f"Its value could not be kept ({described(error)}).")
            self._log.warning("Its value could not be kept: %s", described(error))
            return None
        if state is not None:
            expiration = plainly(state, "cached_result_expiration")
            told.append(f"Its value may be used until {expiration:%Y-%m-%d %H:%M:%S} UTC.")
        return state


class _Kept:
    """Where the value of one attempt is kept for later runs, and what it is kept for."""

    def __init__(
        self,
        caching: Caching,
        index: int | None,
        arguments: Mapping[str, Any],
        parameters: Mapping[str, Any],
        by: str,
    ) -> None:
        self._caching = caching
        self._by = by
        validator = caching.validator
        ours = validator if isinstance(validator, Validator) else None
        reads_all = ours is None or caching.reads_parameters
        # Only what counts has its token taken: an input may be large.
        self._inputs = _given(arguments, None if ours is None else ours.inputs)
        self._parameters = _given(parameters, None if reads_all or ours is None else ours.parameters)
        self._wrong: str | None = None
        facts: dict[str, str] = {}
        compares = all_inputs if ours is None else ours
        for one in (compares, all_parameters) if reads_all else (compares,):
            found, wrong = one.tokens(self._inputs, self._parameters)
            facts |= found
            if ours is not None:
                self._wrong = self._wrong or wrong
        # Where not all inputs count, the value of a child must not be taken for a sibling's.
        place = None if ours is not None and ours.inputs is None else index
        name = "of the user's own" if ours is None else repr(ours)
        self.location = address("value", caching.key, caching.version, name, place, facts)
        #: Of the bytes of what was kept there, once it was.
        self.digest: str | None = None
        self._last = address("last", caching.key, name, index)
        # Of a validator of the user's own, nobody knows what it compares: it is asked about all that is kept.
        self._list = None if ours is not None else address("list", caching.key, caching.version, index)

    def one_of(self, candidates: Iterable[Cached]) -> tuple[Found, str] | None:
        """Return the first that may be used; what is kept need not be looked for then."""
        now = datetime.now(UTC)
        for state in candidates:
            if objection(self._caching.validator, state, self._inputs, self._parameters, now) is None:
                return Found(state.result, None, state.replace(result=NO_RESULT)), ""
        return None

    def look(self) -> tuple[Found | None, str]:
        """Return what is kept, or why it cannot be used."""
        if self._wrong is not None:
            return None, self._wrong
        if self._list is None:
            return self._judged(self.location)
        why = broken = None
        for location in self._listed():
            try:
                found, why = self._judged(location)
            except Exception as error:  # another may be whole
                broken = error
            else:
                if found is not None:
                    return found, ""
        if broken is not None:
            raise broken
        return None, why or self._why_not()

    def _judged(self, location: str) -> tuple[Found | None, str]:
        store, now = self._caching.store, datetime.now(UTC)
        if not store.exists(location):
            return None, self._why_not()
        kept, payload = unpack(store.read(location), location)
        parameters = unpacked(kept.values, kept.parameters)
        state = _state(kept, parameters)
        why = objection(self._caching.validator, state, self._inputs, self._parameters, now)
        if why is not None:
            return None, why
        made = datetime.fromtimestamp(kept.made, UTC)
        used = mask(f"The value that {kept.by} kept at {made:%Y-%m-%d %H:%M:%S} UTC was used.")
        state = state.replace(message=used, cached_parameters=for_state(parameters))
        value = self._caching.serializer.deserialize(payload)
        return Found(value, location, state, digest_of(payload)), ""

    def _listed(self) -> dict[str, float]:
        """Return until when each value may be used, by location, the oldest first."""
        store, location = self._caching.store, self._list
        if location is None or not store.exists(location):
            return {}
        listed: dict[str, float] = json.loads(unpack(store.read(location), location)[1])
        return listed

    def _why_not(self) -> str:
        """Return what differs from when something was last kept."""
        store = self._caching.store
        try:
            last, _ = unpack(store.read(self._last), self._last)
        except _LOST:
            return f"nothing was kept for {self._caching.key!r}"
        if last.version != self._caching.version:
            return f"the code of {self._caching.key!r} is another than what was last kept for"
        state, validators = _state(last, unpacked({}, last.parameters)), [self._caching.validator]
        if self._caching.reads_parameters:
            validators.append(all_parameters)
        for validator in validators:
            if isinstance(validator, Validator):
                why = validator.objection(state, self._inputs, self._parameters)
                if why is not None:
                    return why
        return "what was kept is gone"

    def keep(self, value: Any, now: float) -> Cached | None:
        """Keep a value; return None when nobody could ever use it."""
        if self._wrong is not None:
            return None
        caching = self._caching
        expires = now + caching.seconds
        given = self._parameters
        last = Kept(now, self._by, expires, caching.version, self._inputs.tokens, given.tokens)
        # A validator of the user's own may look at any parameter.
        kept = replace(last, values=packed(given, whole=not isinstance(caching.validator, Validator)))
        payload = caching.serializer.serialize(value)
        caching.store.write(self.location, pack(kept, payload))
        self.digest = digest_of(payload)
        caching.store.write(self._last, pack(last))
        if self._list is not None:
            listed: dict[str, float] = {}
            with suppress(*_LOST):
                listed = {at: until for at, until in self._listed().items() if until > now}
            # The youngest is the last. Of two that do this at once, one is not listed, and made again.
            listed.pop(self.location, None)
            listed[self.location] = expires
            caching.store.write(self._list, pack(last, json.dumps(listed).encode()))
        return _state(kept, for_state(given))


def _told(location: str | None) -> str | None:
    """Return a location unless a secret stands in it."""
    return None if location is None or secrets_in(location) else location


def _state(kept: Kept, parameters: Mapping[str, Any]) -> Cached:
    expiration = None if kept.expires is None else datetime.fromtimestamp(kept.expires, UTC)
    return Cached(
        cached_result_expiration=expiration,
        hashed_inputs=kept.inputs,
        cached_parameters=parameters,
    )


def _given(values: Mapping[str, Any], names: Iterable[str] | None) -> Given:
    wanted = values if names is None else [name for name in names if name in values]
    tokens = {name: token_of(values[name]) for name in wanted}
    return Given(values, {name: token for name, token in tokens.items() if token is not None})
