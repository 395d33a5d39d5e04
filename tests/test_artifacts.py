"""Artifacts read back as they were written, and anything else is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostnas.artifacts import (
    BlockSpec,
    HeadSpec,
    LayerSpec,
    NetResult,
    NetSpec,
    ParetoRow,
    Provenance,
    StemSpec,
    TrainResult,
    Workload,
    csv_of,
    div8,
    load,
    save,
    write_atomic,
)
from frostnas.errors import InputError

FROST = LayerSpec(BlockSpec(), 40, 2)


def net_result() -> NetResult:
    net = NetSpec("n", 32, StemSpec(16, 1), (FROST, replace(FROST, stride=1)), HeadSpec(256, classes=10))
    return NetResult(net, "evolution", 2.0, 1.9, "a CPU", 0.95, False, 17, 0, 1.5)


def test_an_artifact_reads_back_as_it_was_written(tmp_path: Path) -> None:
    provenance = Provenance({"seed": 3, "data": {"name": "digits"}}, {"block.json": "ab"})
    save(tmp_path / "net.json", net_result(), provenance)
    stored = load(tmp_path / "net.json", NetResult)
    assert stored.value == net_result()
    assert stored.provenance == provenance


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema 99"),
        ({"kind": "block"}, "is a block artifact"),
        ({"data": {"net": 1}}, "net"),
        ({"data": None}, "Expected"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "net.json"
    save(path, net_result(), Provenance())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message) as caught:
        load(path, NetResult)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a frostnas net artifact"):
        load(path, NetResult)


def test_of_a_missing_file_the_command_is_named_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; `frostnas search-net` writes it"):
        load(tmp_path / "net.json", NetResult)
    with pytest.raises(InputError, match="no such file; `frostnas train` writes it"):
        load(tmp_path / "train.json", TrainResult)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    with pytest.raises(TypeError):
        write_atomic(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@given(st.floats(8, 5000))
def test_div8_is_a_multiple_of_8_near_its_argument(value: float) -> None:
    rounded = div8(value)
    assert rounded % 8 == 0
    assert 0.9 * value <= rounded <= value + 8


def test_a_squeeze_to_under_8_channels_is_left_out() -> None:
    assert FROST.squeezed(24) == 0
    assert FROST.squeezed(32) == 8
    assert FROST.hidden(32) == 240


def test_workloads_that_cost_the_same_share_a_key() -> None:
    same = Workload(replace(FROST, block=replace(FROST.block, reuse="squeeze_2")), 8, 16)
    assert Workload(FROST, 8, 16).key == same.key  # neither squeezes 8 channels
    assert Workload(FROST, 64, 16).key != replace(same, in_channels=64).key


def test_a_net_lists_its_parts_at_their_input_shapes() -> None:
    shapes = [(w.kind, w.in_channels, w.size) for w in net_result().net.workloads()]
    assert shapes == [("stem", 3, 32), ("block", 16, 32), ("block", 40, 16), ("head", 40, 16)]


def test_rows_become_a_table_with_their_fields_as_columns() -> None:
    row = ParetoRow("a, b", 0.1, 2 / 3, True, False)
    expected = f'network,latency_ms,top1,on_front,picked,measured,alone\n"a, b",0.1,{2 / 3!r},True,False,False,False\n'
    assert csv_of(ParetoRow, [row]).decode() == expected
    assert csv_of(ParetoRow, []).count(b"\n") == 1
