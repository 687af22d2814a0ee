from __future__ import annotations

from pathlib import Path

import click
import pytest

from prefectlite import DaskExecutor, LocalExecutor
from prefectlite.cli.places import Place
from prefectlite.errors import ExecutorError


def test_without_options_the_flow_chooses():
    Place().check()
    assert Place().executor() is None


def test_each_option_names_its_place():
    assert isinstance(Place(local=True).executor(), LocalExecutor)
    for place, shown in (
        (Place(workers=3), "DaskExecutor(n_workers=3)"),
        (Place(address="tcp://10.0.0.5:8786"), "DaskExecutor('tcp://10.0.0.5:8786')"),
        (Place(scheduler_file=Path("s.json")), f"DaskExecutor({Path('s.json')!r})"),
    ):
        place.check()
        executor = place.executor()
        assert isinstance(executor, DaskExecutor)
        assert repr(executor) == shown


def test_places_that_exclude_each_other_are_refused_by_name():
    with pytest.raises(
        click.UsageError, match="--address and --scheduler-file and --local exclude each other"
    ):
        Place("tcp://a:1", Path("s.json"), local=True).check()


def test_an_address_without_a_port_is_no_address():
    with pytest.raises(ExecutorError, match=r"'somewhere' is no scheduler's address.*tcp://host:8786"):
        Place(address="somewhere").executor()
