"""Serializers of stored values: there and back, and equal when made alike."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from prefectlite.errors import DefinitionError
from prefectlite.moments import pendular
from prefectlite.results.formats import (
    CompressedSerializer,
    DateTimeSerializer,
    JSONSerializer,
    PandasSerializer,
    PickleSerializer,
    Serializer,
)

MOMENT = datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("serializer", "value"),
    [
        (PickleSerializer(), {"a": (1, {2}), None: b"x"}),
        (JSONSerializer(), {"a": [1, None, "ä"]}),
        (DateTimeSerializer(), MOMENT),
        (DateTimeSerializer(), MOMENT.astimezone(timezone(timedelta(hours=2)))),
        (DateTimeSerializer(), datetime(2030, 1, 2)),  # noqa: DTZ001  # it has no zone
        (CompressedSerializer(PickleSerializer()), ["x"] * 1000),
        *(
            (CompressedSerializer(JSONSerializer(), format=one), [1])
            for one in ("zlib", "gzip", "bz2", "lzma")
        ),
        (CompressedSerializer(CompressedSerializer(JSONSerializer()), format="bz2"), [1]),
        (CompressedSerializer(JSONSerializer(), compress=bytes.upper, decompress=bytes.lower), "abc"),
    ],
)
def test_a_value_comes_back(serializer: Serializer, value: Any) -> None:
    content = serializer.serialize(value)
    assert type(content) is bytes
    assert serializer.deserialize(content) == value


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2030, 1, 2, tzinfo=UTC), b"2030-01-02T00:00:00Z"),
        (MOMENT, b"2030-01-02T03:04:05.000006Z"),
        (MOMENT.astimezone(ZoneInfo("UTC")), b"2030-01-02T03:04:05.000006Z"),
        (pendular(MOMENT), b"2030-01-02T03:04:05.000006Z"),
        (MOMENT.astimezone(ZoneInfo("Europe/London")), b"2030-01-02T03:04:05.000006+00:00"),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), b"2030-01-02T05:04:05.000006+02:00"),
    ],
)
def test_a_moment_is_written_as_prefect_1_wrote_it(moment: datetime, text: bytes) -> None:
    assert DateTimeSerializer().serialize(moment) == text
    assert DateTimeSerializer().deserialize(text) == moment


@pytest.mark.parametrize("text", [b"2030-01-02T00:00:00+00:00", b"2030-01-02T00:00Z", b"20300102T00Z"])
def test_a_moment_is_read_in_any_form(text: bytes) -> None:
    assert DateTimeSerializer().deserialize(text) == datetime(2030, 1, 2, tzinfo=UTC)


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="'noon' is no date or time"):
        DateTimeSerializer().deserialize(b"noon")


def test_a_local_function_is_pickled_too() -> None:
    serializer = PickleSerializer()
    assert serializer.deserialize(serializer.serialize(lambda x: x + 1))(1) == 2


def test_what_compresses_has_its_arguments() -> None:
    small = CompressedSerializer(PickleSerializer(), format="zlib", compress_kwargs={"level": 9})
    none = CompressedSerializer(PickleSerializer(), format="zlib", compress_kwargs={"level": 0})
    assert len(small.serialize("x" * 1000)) < 100 < 1000 < len(none.serialize("x" * 1000))


def test_serializers_that_are_made_alike_are_equal() -> None:
    assert JSONSerializer() == JSONSerializer() != PickleSerializer()
    assert len({JSONSerializer(), JSONSerializer(), PickleSerializer()}) == 2
    one, other = (CompressedSerializer(JSONSerializer(), format=name) for name in ("zlib", "bz2"))
    assert one != other
    assert one == CompressedSerializer(JSONSerializer())
    assert PandasSerializer("csv") != PandasSerializer("json")
    assert repr(PandasSerializer("csv")) == (
        "PandasSerializer(file_type='csv', serialize_kwargs={}, deserialize_kwargs={})"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"format": "zip"},
        {"compress": bytes.upper},
        {"decompress": bytes.upper},
        {"format": "zlib", "compress": bytes.upper, "decompress": bytes.lower},
    ],
)
def test_compression_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="CompressedSerializer"):
        CompressedSerializer(JSONSerializer(), **given)


def test_a_subclass_that_says_nothing_is_told_so() -> None:
    with pytest.raises(NotImplementedError, match="Serializer does not say how a value becomes bytes"):
        Serializer().serialize(1)
    with pytest.raises(NotImplementedError, match="Serializer does not say how bytes become a value"):
        Serializer().deserialize(b"")


@pytest.mark.parametrize("kind", ["csv", "json", "pickle"])
def test_a_table_comes_back(kind: str) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    serializer = PandasSerializer(kind, {"index": False} if kind == "csv" else {})
    pandas.testing.assert_frame_equal(serializer.deserialize(serializer.serialize(table)), table)


def test_a_format_that_pandas_does_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DefinitionError, match="file_type='cvs', which pandas does not read"):
        PandasSerializer("cvs")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DefinitionError, match=r"needs pandas: pip install"):
        PandasSerializer("csv")
