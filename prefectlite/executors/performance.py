"""Dask's performance report of one flow run. Knows a client and a path; knows no task run."""

from __future__ import annotations

import logging
from typing import Any, Final

_logger = logging.getLogger(__name__)

#: What Dask draws its report with.
_MEND: Final = (
    "It is drawn on the scheduler, which needs bokeh: pip install 'prefectlite[report]' there. Its folder "
    "must exist here."
)


class PerformanceReport:
    """Write an HTML page about what the scheduler and its workers did between two moments.

    A report that cannot be written is a warning in the log: the run goes on without it.

    Parameters
    ----------
    client : distributed.Client
        Whose scheduler.
    path : str
        The file, or what fsspec opens.
    """

    def __init__(self, client: Any, path: str) -> None:
        self._client = client
        self._path = path
        self._report: Any = None

    def begin(self) -> None:
        """Take note of the first moment."""
        import distributed

        report = distributed.performance_report(filename=self._path)
        try:
            with self._client.as_current():
                report.__enter__()
        except Exception as error:
            self._warn(error)
        else:
            self._report = report

    def end(self) -> None:
        """Write about the time since ``begin``; a second call does nothing."""
        report, self._report = self._report, None
        if report is None:
            return
        try:
            with self._client.as_current():
                report.__exit__(None, None, None)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        _logger.warning(
            "The performance report %r was not written (%s: %s). %s",
            self._path,
            type(error).__name__,
            error,
            _MEND,
        )
