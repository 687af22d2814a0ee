"""Commands for a shell, wherever they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefectlite import Flow, task
from prefectlite.states import Failed
from prefectlite.tasks.shell import ShellTask


def test_commands_map_fail_and_are_tried_again(world: Any, tmp_path: Path) -> None:
    shell = ShellTask(name="shell", shell="sh", env={"BASE": "10"})

    @task
    def total(values: Any) -> int:
        return sum(map(int, values))

    with Flow("shell") as flow:
        lines = shell.map(command=[f"echo $((BASE + {n}))" for n in range(4)])
        summed = total(lines)
        fails = shell(command="echo before >&2; exit 3")
        again = ShellTask("test -e $F || { touch $F; exit 1; }; echo yes", max_retries=1)(
            env={"F": str(tmp_path.parent / f"{tmp_path.name}-again")}
        )

    state = world.run(flow)

    assert state.result[lines].result == ["10", "11", "12", "13"]
    assert state.result[summed].result == 46
    assert state.result[again].result == "yes"
    assert type(state.result[fails]) is Failed
    assert state.result[fails].message == "The command failed with exit status 3. Its last lines:\nbefore"
    assert state.result[fails].result == "before"
