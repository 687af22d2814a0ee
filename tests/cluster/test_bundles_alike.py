"""Bundling changes no outcome: a drawn flow comes to the same at any bundle size, and in this process."""

from __future__ import annotations

import re
import threading
import zlib
from collections import Counter

import pytest
from distributed import Client, LocalCluster
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from prefectlite import DaskExecutor, Flow, LocalExecutor, context, flatten, signals, task, triggers, unmapped
from prefectlite.errors import ResultUnavailable
from prefectlite.states import Mapped
from prefectlite.states.keys import RunKey

pytestmark = pytest.mark.cluster
SIZES = (None, 1, 7, 1000, "auto")
#: Larger than what may share a bundle.
LARGE = 100_000

#: How often each body began: by flow run, run and attempt.
began = Counter()


def body(x=None, y=None, how="."):
    """End as the letter of ``how`` at the child's place says."""
    name, count = f"{context.task_slug}[{context.map_index}]", context.task_run_count
    began[context.flow_run_id, f"{name}, attempt {count}"] += 1
    letter = how[(context.map_index or 0) % len(how)]
    if letter == "r":
        raise ValueError(name)
    if letter == "s":
        raise signals.SKIP(f"{name} is not wanted")
    if letter == "f":
        raise signals.FAIL(f"{name} is no good")
    if letter == "1" and count == 1:
        raise OSError(name)
    if letter == "u":
        return threading.Lock()
    value = digest(x) + digest(y)
    if letter == "l":
        return list(range(value % 4))
    return str(value) * (LARGE // len(str(value))) if letter == "L" else value


def digest(x):
    """Return a number that tells most values apart, of errors only the type."""
    if isinstance(x, list | tuple):
        return sum((place + 1) * digest(one) for place, one in enumerate(x)) % 10_007
    return (
        zlib.crc32(type(x).__name__.encode() if isinstance(x, BaseException) else repr(x).encode()) % 10_007
    )


NAMES = {
    "body": body,
    "task": task,
    "flatten": flatten,
    "unmapped": unmapped,
    **{
        name: getattr(triggers, name)
        for name in ("any_failed", "all_finished", "some_failed", "any_successful")
    },
}
FORMS = ("call", "call", "chain", "calls", "tree", "map", "map", "map", "lists", "flat", "numbers")
OPTIONS = (
    *[""] * 6,
    ", max_retries=1",
    ", max_retries=1",
    ", keep_result=True",
    ", keep_result=True, max_retries=1",
    ", bundle_size=3",
    ", bundle_size=40, max_retries=1",
    ", bundle_size=None",
    ", trigger=any_failed",
    ", trigger=all_finished",
    ", trigger=any_successful",
    ", trigger=some_failed(at_least=1, at_most=0.9)",
    ", skip_on_upstream_skip=False",
    ", trigger=all_finished, skip_on_upstream_skip=False",
    ", trigger=all_finished, skip_on_upstream_skip=False, max_retries=1",
)
LETTERS = st.one_of(
    st.just("."), st.lists(st.sampled_from("........rsf11Lu"), min_size=1, max_size=12).map("".join)
)


@st.composite
def scripts(draw):
    """Return the lines that build a flow."""
    lines = []
    made = {"value": ["3"], "map": [], "list": ["list(range(5))"], "lists": [], "calls": []}

    def some(*kinds):
        return draw(st.sampled_from([name for kind in kinds for name in made[kind]]))

    def anything():
        return some(*made)

    for number in range(draw(st.integers(2, 8))):
        name, form, how = f"n{number}", draw(st.sampled_from(FORMS)), draw(LETTERS)
        made_by = f"task(body, name={name!r}{draw(st.sampled_from(OPTIONS))})"
        after = ""
        tasks = [one for kind in ("value", "map") for one in made[kind] if one.startswith("n")]
        if tasks and draw(st.integers(0, 4)) == 0:
            upstream = draw(st.sampled_from(tasks))
            is_whole = form in ("map", "lists", "flat") and draw(st.booleans())
            after = f", upstream_tasks=[{f'unmapped({upstream})' if is_whole else upstream}]"
        width = draw(st.sampled_from((0, 1, 2, 3, 8, 15, 30, 40)))
        kind = "value"
        if form == "call":
            x = draw(st.sampled_from((some("value"), anything(), f"[{anything()}, ({anything()}, 1)]")))
            line = f"{name} = {made_by}({x}, how={how[0]!r}{after})"
        elif form == "chain":
            x = anything()
            line = f"{name} = {x}\n"
            line += f"for at in range({1 + width}): {name} = {made_by}({name}, how={how!r}[at % {len(how)}])"
        elif form == "calls":
            kind, y = "calls", some("value", "calls", "map")
            line = f"{name} = [{made_by}(at, {y}, how={how!r}[at % {len(how)}]) for at in range({1 + width})]"
        elif form == "tree":
            leaves = some("calls") if made["calls"] else f"list(range({1 + width}))"
            line = f"{name} = {leaves}\n"
            line += (
                f"while len({name}) > 1: {name} = [{made_by}({name}[at], *{name}[at + 1 : at + 2], "
                f"how={how!r}[at % {len(how)}]) for at in range(0, len({name}), 2)]\n{name} = {name}[0]"
            )
        elif form == "numbers":
            kind, letter = "list", how[0].replace(".", "l")
            line = f"{name} = {made_by}({some('value')}, how={letter!r}{after})"
        else:
            kind = "lists" if form == "lists" else "map"
            if form == "lists":
                how = how.replace(".", "l")
            if form == "flat" and made["lists"]:
                x = f"flatten({some('lists')})"
            else:
                x = draw(
                    st.sampled_from(
                        (f"list(range({width}))", some("map", "list"), some("map", "list", "lists", "calls"))
                    )
                )
            y = draw(
                st.sampled_from(
                    (
                        "",
                        "",
                        f", {some('map', 'list')}",
                        f", unmapped({anything()})",
                        f", unmapped('x' * {LARGE})",
                    )
                )
            )
            line = f"{name} = {made_by}.map({x}{y}, how=unmapped({how!r}){after})"
        made[kind].append(name)
        lines.append(line)
    return "\n".join(lines)


def flow_of(script):
    with Flow("drawn") as flow:
        exec(script, dict(NAMES))
    return flow


def told(state):
    """Return what a state says, in a form that is equal across runs."""
    try:
        held = state.result
    except ResultUnavailable:  # too large to come with its report, and read by nobody any more
        return type(state).__name__, printed(state.message), None
    if isinstance(held, BaseException):
        held = type(held).__name__, printed(held.args)
    elif not isinstance(state, Mapped):
        held = printed(held)
    return type(state).__name__, printed(state.message), held


def printed(value):
    # Where something lay in memory, and which worker it was, differs.
    text = re.sub(r"0x[0-9a-f]+|inproc://[^\s'\")]+", "...", repr(value))
    return text if len(text) < 200 else f"{text[:20]}... {len(text)} {zlib.crc32(text.encode())}"


def outcome(flow, executor):
    """Run a flow; return what every run came to, its way there and how often its body began."""
    run = flow.start(executor=executor)
    end = run.wait(20)
    ends = {}
    for one, state in end.result.items():
        slug = flow.slugs[one]
        runs = {RunKey(slug): state}
        if isinstance(state, Mapped):
            runs.update({RunKey(slug, place): child for place, child in enumerate(state.map_states)})
        for key, found in runs.items():
            way = [type(entry.new).__name__ for entry in run.history(key) if hasattr(entry, "new")]
            if isinstance(found, Mapped):
                ends[str(key)] = "Mapped", found.message, found.n_map_states, way
            else:
                ends[str(key)] = *told(found), way
    starts = {name: count for (run_id, name), count in began.items() if run_id == run.run_id}
    for mark in [mark for mark in began if mark[0] == run.run_id]:
        del began[mark]
    return {"": (type(end).__name__, end.message), **ends}, starts


@pytest.fixture(scope="module")
def threads():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=False
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def differences(one, other):
    return {
        name: (one.get(name), other.get(name))
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    }


# The same flows each time, so that nobody's change is blamed for what another draw would have shown before.
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # smaller ones would be looked for longer than pytest waits
)
@given(script=scripts())
def test_a_drawn_flow_comes_to_the_same_at_any_bundle_size(script, threads):
    note(script)
    flow = flow_of(script)
    expected, starts = outcome(flow, DaskExecutor(threads, bundle_size=None))
    for size in SIZES[1:]:
        ends, began_there = outcome(flow, DaskExecutor(threads, bundle_size=size))
        assert not differences(expected, ends), f"bundle size {size}:\n{script}"
        assert not differences(starts, began_there), f"starts at bundle size {size}:\n{script}"
    if "u" not in "".join(re.findall(r"how=(?:unmapped\()?'(.*?)'", script)):  # only there is nothing pickled
        ends, began_there = outcome(flow, LocalExecutor())
        assert not differences(expected, ends), f"local:\n{script}"
        assert not differences(starts, began_there), f"local starts:\n{script}"
