"""Every row of the table of faults, on real processes; ``python -m tests.faults`` prints the table."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.faults.ground import Ground
from tests.faults.row import CannotRunHere, Row
from tests.faults.table import ROWS

pytestmark = pytest.mark.cluster
#: Rows of two to six seconds each, of kinds that others have as well.
_LONG: Final = (
    "an exception that cannot be pickled",
    "a function or an argument that cannot be unpickled",
    "driver of an own cluster gets SIG",
    "exceptions whose repr",
    "results whose repr",
)


#: So do those of bodies that travel alone; in a bundle, the same happens to more.
_ALONE: Final = ", each alone"


def _marked(one: Row) -> pytest.ParameterSet:
    marks: list[pytest.MarkDecorator] = []
    if one.is_slow or one.name.startswith(_LONG) or one.name.endswith(_ALONE):
        # On a loaded machine the longest take minutes.
        marks += [pytest.mark.slow, pytest.mark.timeout(600)]
    if one.missing:
        marks.append(pytest.mark.xfail(reason=one.missing))
    return pytest.param(one, id=one.name, marks=marks)


# The hosts of the network rows are this machine's own, and nobody else's.
@pytest.mark.filterwarnings("ignore::prefectlite.errors.InsecureClusterWarning")
@pytest.mark.parametrize("fault", list(map(_marked, ROWS)))
def test_a_fault_ends_in_a_state_soon_and_once(fault: Row, tmp_path: Path) -> None:
    try:
        fault.provoke(Ground(tmp_path))
    except CannotRunHere as lack:
        pytest.skip(str(lack))
