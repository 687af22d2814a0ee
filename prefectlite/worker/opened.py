"""Tasks and flow facts as attempts use them, unpickled once. Knows envelopes; runs nothing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from prefectlite.core.facts import flow_facts
from prefectlite.core.loggers import get_logger
from prefectlite.lowering.envelope import Envelope, FlowFacts, dumps_facts
from prefectlite.lowering.functions import dumps_task
from prefectlite.lowering.wrappers import Packed
from prefectlite.masking import hide_texts

#: Up to how many bytes something is kept for later runs, too.
SMALL: Final = 1 << 16


class OpenFlow:
    """A flow run's facts, and the part of the context that all its attempts share.

    Parameters
    ----------
    facts : FlowFacts
        What travelled.
    payload : bytes or memoryview
        It, pickled; empty where it did not have to be.
    """

    __slots__ = ("_payload", "context", "facts", "large", "log_attributes")

    def __init__(self, facts: FlowFacts, payload: bytes | memoryview = b"") -> None:
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
        return bytes(self._payload)


class OpenTask:
    """A task's envelope, and its logger.

    Parameters
    ----------
    envelope : Envelope
        What travelled.
    payload : bytes or memoryview
        It, pickled; empty where it did not have to be.
    """

    __slots__ = ("_payload", "envelope", "logger")

    def __init__(self, envelope: Envelope, payload: bytes | memoryview = b"") -> None:
        self.envelope = envelope
        self._payload = payload
        self.logger = get_logger(envelope.name)

    @property
    def payload(self) -> bytes:
        """What travelled, pickled; made when it is asked for where it did not have to be."""
        if not self._payload:
            self._payload = dumps_task(self.envelope)
        return bytes(self._payload)


def open_flow(content: bytes | Packed) -> OpenFlow:
    """Return a flow run's facts from what a shipment carried.

    Parameters
    ----------
    content : bytes or Packed
        The payload of a ``Blob``, or what stood under its key.

    Returns
    -------
    OpenFlow
        The same object for the same ``Packed``, which it goes with, and for the same bytes, as long as it is
        not crowded out.
    """
    if isinstance(content, Packed):
        if content.opened is None:
            content.opened = _new_flow(content.payload)
        flow: OpenFlow = content.opened
        return flow
    return _large_flow(content) if len(content) > SMALL else _flow(content)


def open_task(content: bytes | Packed) -> OpenTask:
    """Return a task from what a shipment carried.

    Parameters
    ----------
    content : bytes or Packed
        The payload of a ``Blob``, or what stood under its key.

    Returns
    -------
    OpenTask
        The same object for the same ``Packed``, which it goes with, and for the same bytes, as long as it is
        not crowded out.
    """
    if isinstance(content, Packed):
        if content.opened is None:
            content.opened = _new_task(content.payload)
        task: OpenTask = content.opened
        return task
    return _large_task(content) if len(content) > SMALL else _task(content)


def _new_flow(payload: bytes | memoryview) -> OpenFlow:
    return OpenFlow(pickle.loads(payload), payload)


def _new_task(payload: bytes | memoryview) -> OpenTask:
    return OpenTask(pickle.loads(payload), payload)


_flow: Final = lru_cache(maxsize=16)(_new_flow)
_task: Final = lru_cache(maxsize=512)(_new_task)
# A run's parameters may be large, as what a function closes over. They come as bare bytes only where bodies
# have a process of their own, of one run after the other.
_large_flow: Final = lru_cache(maxsize=1)(_new_flow)
_large_task: Final = lru_cache(maxsize=4)(_new_task)
