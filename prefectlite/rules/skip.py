"""The skip rule: is a run left out since an upstream was? Knows states; knows neither the plan nor values.

It is asked before the trigger, so that a skip beats a failure, as in Prefect 1.
"""

from __future__ import annotations

from prefectlite.rules.verdict import Become, Proceed, Reason
from prefectlite.states.state import Skipped


def decide_skip(skip_on_upstream_skip: bool, skipped_slug: str | None) -> Proceed | Become:
    """Return whether a run is left out.

    Parameters
    ----------
    skip_on_upstream_skip : bool
        Whether the task wants to be skipped with its upstreams.
    skipped_slug : str or None
        The name of the first upstream run that was skipped; None if none was.

    Returns
    -------
    Proceed or Become
        ``Become`` holds a ``Skipped`` state whose message names the upstream.

    Examples
    --------
    >>> decide_skip(True, "load-1").state
    <Skipped: "Upstream load-1 was skipped; a task with skip_on_upstream_skip=False runs all the same.">
    """
    if skipped_slug is None:
        return Proceed(Reason("skip", "No upstream was skipped."))
    read = (("skipped", skipped_slug), ("skip_on_upstream_skip", str(skip_on_upstream_skip)))
    if not skip_on_upstream_skip:
        text = f"Upstream {skipped_slug} was skipped, which the task leaves to its trigger."
        return Proceed(Reason("skip", text, read))
    text = f"Upstream {skipped_slug} was skipped; a task with skip_on_upstream_skip=False runs all the same."
    return Become(Skipped(text), Reason("skip", text, read))
