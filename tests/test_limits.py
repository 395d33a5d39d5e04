"""What artifacts, tables and exported files may hold, whoever wrote them and whatever digest they carry."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from frostnas.artifacts import (
    BlockResult,
    ExportReport,
    LatencyTable,
    NetResult,
    TrainResult,
    bytes_of,
    load,
    load_table,
    sha256_of,
)
from frostnas.artifacts.store import MOST_BYTES
from frostnas.deploy.runtime import SEAL, UNSEALED, OnnxClassifier, sealed
from frostnas.errors import InputError
from tests.damage import VALUES, leaves, put, resealed
from tests.made_run import make_run

KINDS: dict[str, Any] = {
    f"{kind.KIND}.json": kind for kind in (BlockResult, LatencyTable, NetResult, TrainResult, ExportReport)
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.mark.parametrize(
    ("name", "place", "value", "named"),
    [
        ("train.json", ("weight_bits",), 0, "weight_bits=0"),
        ("train.json", ("weight_bits",), 64, "weight_bits=64"),
        ("train.json", ("images", "std"), [0, 0, 0], "images.std[0]=0"),
        ("train.json", ("images", "classes"), ["a", "b", "c"], "images.classes: 3 names; expected 10"),
        ("train.json", ("images", "image_size"), 16, "images.image_size=16"),
        ("latency.json", ("calibration", "hot"), -1.0, "calibration.hot=-1.0"),
        ("net.json", ("net", "layers", 0, "out_channels"), 2**63, f"net.layers[0].out_channels={2**63}"),
        ("net.json", ("net", "layers", 0, "out_channels"), 2**16, "weights: expected at most 100,000,000"),
        ("block.json", ("block", "reuse"), "squeeze_" + "9" * 5000, "reuse=squeeze_999"),
        ("block.json", ("block", "spatial"), "warp", "spatial=warp"),
        ("export.json", ("int8", "path"), "../../etc/passwd", "int8.path="),
        ("export.json", ("int8", "sha256"), "f" * 63, "int8.sha256="),
    ],
)
def test_a_value_outside_its_limits_is_named_by_file_and_place(
    made: Path, tmp_path: Path, name: str, place: tuple[str | int, ...], value: Any, named: str
) -> None:
    path = tmp_path / name
    shutil.copy(made / name, path)
    resealed(path, lambda data: put(data, place, value))
    with pytest.raises(InputError) as caught:
        load(path, KINDS[name])
    assert f"{path}: " in str(caught.value) and named in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_whatever_takes_the_place_of_a_value_loads_or_is_refused_in_one_line(
    made: Path, tmp_path: Path, name: str
) -> None:
    """Every kind of value in every place, with a digest that fits: no other error, and no number past its limits."""
    path, refused, whole = tmp_path / name, 0, (made / name).read_bytes()
    places = list(leaves(json.loads(whole)["data"]))
    for at, place in enumerate(places):
        for value in VALUES[at % 3 :: 3]:
            path.write_bytes(whole)
            resealed(path, lambda data, place=place, value=value: put(data, place, value))  # type: ignore[misc]
            try:
                load(path, KINDS[name])
            except InputError as error:
                refused += 1
                assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 1000
    assert refused > 3 * len(places)


def test_a_digit_that_was_changed_is_seen(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text((made / "net.json").read_text().replace('"top1": 0.9', '"top1": 0.8'))
    with pytest.raises(InputError, match=r"net\.json: was changed after it was written"):
        load(path, NetResult)


def test_a_file_past_the_largest_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for read in (lambda: load(path, NetResult), lambda: bytes_of(path)):
        with pytest.raises(InputError, match="67,108,865 bytes; expected at most"):
            read()


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "text", "", "-1", "1e400"])
@pytest.mark.parametrize("column", ["hot_ms_p50", "in_channels", "expand"])
def test_a_table_of_no_numbers_is_named_by_line_and_column_though_its_digest_fits(
    made: Path, tmp_path: Path, value: str, column: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(made, run)
    rows = list(csv.reader((run / "latency.csv").read_text().splitlines()))
    rows[2][rows[0].index(column)] = value
    (run / "latency.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    resealed(run / "latency.json", lambda data: put(data, ("csv_sha256",), sha256_of(run / "latency.csv")))
    with pytest.raises(InputError, match=rf"latency\.csv: line 3: {column}="):
        load_table(run / "latency.json")


METADATA = [
    ("image_size", "1000000"),
    ("image_size", "-1"),
    ("image_size", "0"),
    ("image_size", "8.5"),
    ("image_size", "text"),
    ("image_size", '"8"'),
    ("image_size", "16"),
    ("image_size", ""),
    ("classes", '["a", "b", "c"]'),
    ("classes", "[]"),
    ("classes", "{}"),
    ("classes", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"),
    ("classes", "[" * 100_000),
    ("mean", "[0, 0]"),
    ("mean", "[NaN, 0, 0]"),
    ("mean", "[1e999, 0, 0]"),
    ("mean", "0.5"),
    ("std", "[0, 0, 0]"),
    ("std", "[0.5, 0.5, -0.5]"),
    ("std", "[1e-320, 1, 1]"),
    ("std", "null"),
    ("background", "[0, 0, 256]"),
    ("levels", "[NaN, 1]"),
]


@pytest.mark.parametrize(("key", "value"), METADATA)
def test_metadata_that_cannot_be_is_named_by_its_key_though_its_seal_fits(
    made: Path, tmp_path: Path, key: str, value: str
) -> None:
    model = onnx.load(made / "model.int8.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, said | {key: value, SEAL: UNSEALED})
    path = tmp_path / "model.onnx"
    path.write_bytes(sealed(model.SerializeToString()))
    with pytest.raises(InputError) as caught:
        OnnxClassifier(path)
    words = str(caught.value)
    assert str(path) in words and (key in words or "metadata asks for" in words) and "\n" not in words


def test_a_sealed_file_classifies_and_a_changed_bit_is_seen(made: Path, tmp_path: Path) -> None:
    path = made / "model.int8.onnx"
    assert OnnxClassifier(path).images.image_size == 8
    content = bytearray(path.read_bytes())
    for at in (0, len(content) // 2, len(content) - 1):
        content[at] ^= 1
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.onnx: was changed after it was exported"):
            OnnxClassifier(tmp_path / "model.onnx")
        content[at] ^= 1
