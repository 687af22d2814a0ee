"""What a place does not promise, in words for users. Knows places; decides nothing."""

from __future__ import annotations

from typing import Any, Final

from prefectlite.executors.cluster import Place

#: Of a scheduler that takes no plugin.
WITHOUT_PLUGIN: Final = (
    "So this is not promised there: that a body runs once per attempt (when a worker is lost, Dask begins "
    "what ran there once more and makes its results again), that what never gets its inputs ends, that a "
    "long body holds up nothing but its readers, and that states tell why a worker ended. Reports "
    "come as events of a Dask topic, a little slower."
)


def reservations(place: Place, has_plugin: bool) -> list[str]:
    """Return what is to be said of a place when a run begins there.

    Parameters
    ----------
    place : Place
        The place, which is up.
    has_plugin : bool
        Whether our plugin is on its scheduler.

    Returns
    -------
    list of str
        A few words each; none of a local cluster of our own.
    """
    if not has_plugin:
        return ["without the plugin: bodies may run again when workers are lost"]
    if place.can_kill or place.in_process:
        return []  # what is silent there is looked at, or is this process
    client: Any = place.client
    ttl = client.sync(client.scheduler.prefectlite_ttl)
    return [f"silent workers count as lost after {ttl:g} s" if ttl else "silent workers never count as lost"]


def left_by_cancel(place: Place | None) -> str:
    """Return what states say of attempts that were in flight when their run was cancelled.

    Parameters
    ----------
    place : Place or None
        Where they are; None when no place is up.

    Returns
    -------
    str
        Empty where all processes end.
    """
    if place is None or (place.cluster is not None and not place.in_process):
        return ""
    return (
        "If its body had begun, it was interrupted; C code may run on, unless the task has isolate=True or a "
        "timeout."
    )
