"""Tasks and flow facts as attempts use them: unpickled once per process. Knows envelopes; runs nothing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from prefectlite.core.facts import flow_facts
from prefectlite.core.loggers import get_logger
from prefectlite.lowering.envelope import Envelope, FlowFacts, dumps_facts
from prefectlite.lowering.functions import dumps_task
from prefectlite.lowering.wrappers import Packed
from prefectlite.masking import hide_texts


class OpenFlow:
    """A flow run's facts, and the part of the context that all its attempts share.

    Parameters
    ----------
    facts : FlowFacts
        What travelled.
    payload : bytes
        It, pickled; empty where it did not have to be.
    """

    __slots__ = ("_payload", "context", "facts", "large", "log_attributes")

    def __init__(self, facts: FlowFacts, payload: bytes = b"") -> None:
        self.facts = facts
        self._payload = payload
        #: Tasks that made values too large for a bundle, and how many more bundles of each may go back whole.
        self.large: dict[OpenTask, int] = {}
        self.context: dict[str, Any] = flow_facts(
            facts.flow_name, facts.run_id, facts.scheduled, facts.context
        )
        config = facts.context.get("config")
        #: What of the context each log line bears, too.
        self.log_attributes: Sequence[str] = () if config is None else config.logging.log_attributes
        hide_texts(facts.hidden)

    @property
    def payload(self) -> bytes:
        """What travelled, pickled; made when it is asked for where it did not have to be."""
        if not self._payload:
            self._payload = dumps_facts(self.facts)
        return self._payload


class OpenTask:
    """A task's envelope, and its logger.

    Parameters
    ----------
    envelope : Envelope
        What travelled.
    payload : bytes
        It, pickled; empty where it did not have to be.
    """

    __slots__ = ("_payload", "envelope", "logger")

    def __init__(self, envelope: Envelope, payload: bytes = b"") -> None:
        self.envelope = envelope
        self._payload = payload
        self.logger = get_logger(envelope.name)

    @property
    def payload(self) -> bytes:
        """What travelled, pickled; made when it is asked for where it did not have to be."""
        if not self._payload:
            self._payload = dumps_task(self.envelope)
        return self._payload


def open_flow(content: bytes | Packed) -> OpenFlow:
    """Return a flow run's facts from what a shipment carried.

    Parameters
    ----------
    content : bytes or Packed
        The payload of a ``Blob``, or what stood under its key.

    Returns
    -------
    OpenFlow
        The same object for the same payload, as long as it is not crowded out.
    """
    return _flow(content.payload if isinstance(content, Packed) else content)


def open_task(content: bytes | Packed) -> OpenTask:
    """Return a task from what a shipment carried.

    Parameters
    ----------
    content : bytes or Packed
        The payload of a ``Blob``, or what stood under its key.

    Returns
    -------
    OpenTask
        The same object for the same payload, as long as it is not crowded out.
    """
    return _task(content.payload if isinstance(content, Packed) else content)


# Few: a run's parameters may be large, and a worker seldom serves many runs at once.
@lru_cache(maxsize=16)
def _flow(payload: bytes) -> OpenFlow:
    return OpenFlow(pickle.loads(payload), payload)


@lru_cache(maxsize=512)
def _task(payload: bytes) -> OpenTask:
    return OpenTask(pickle.loads(payload), payload)
