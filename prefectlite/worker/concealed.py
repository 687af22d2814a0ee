"""Log records without secrets, whoever handles them. Knows Python's logging; knows no task."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from prefectlite.masking import KNOWN, mask


class ConcealingFactory:
    """Makes the process's log records, as long as a flow run needs it.

    A record is masked when it is made, so that no handler sees a secret that this process knows. It goes
    through whatever factory was there before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._is_in_place = False
        self._before: Any = logging.LogRecord

    def acquire(self) -> None:
        """Begin to conceal."""
        with self._lock:
            self._users += 1
            if not self._is_in_place:
                self._before = logging.getLogRecordFactory()
                logging.setLogRecordFactory(self._make)
                self._is_in_place = True

    def release(self) -> None:
        """Let go of one ``acquire``; after the last one, logging is as it was."""
        with self._lock:
            self._users -= 1
            # One that was set on top of ours still calls it, so ours must stay then.
            if not self._users and logging.getLogRecordFactory() == self._make:
                logging.setLogRecordFactory(self._before)
                self._is_in_place = False

    def _make(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._before(*args, **kwargs)
        if KNOWN:
            _conceal(record)
        return record


def _conceal(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:
        return  # logging says what is wrong with it
    if (masked := mask(message)) != message:
        record.msg, record.args = masked, ()
    if record.exc_info and record.exc_info[0] is not None:
        text = _FORMATTER.formatException(record.exc_info)
        if (masked := mask(text)) != text:
            record.exc_info, record.exc_text = None, masked


_FORMATTER: Final = logging.Formatter()
#: The one of this process.
concealing: Final = ConcealingFactory()
