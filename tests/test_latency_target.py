"""A table speaks of one machine: others are refused unless they are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from frostnas.artifacts import Host, LatencyTable, Provenance, save, write_rows
from frostnas.config import Config
from frostnas.config.compose import compose_config
from frostnas.errors import InputError
from frostnas.pipeline.target import check_table, difference, with_integers
from tests.latency_parts import table

BOARD = Host("aarch64", "Raspberry Pi 5 Model B", ("asimddp",), "Linux")
PATH = Path("latency.json")


def config_of(*words: str) -> Config:
    return with_integers(compose_config(["quant.weight_bits=8", "quant.signed_activations=false", *words]), PATH)


def of_here() -> LatencyTable:
    made = table(4)
    return replace(made, protocol=replace(made.protocol, runtime_version=onnxruntime.__version__))


def test_a_table_of_this_machine_holds_here() -> None:
    check_table(of_here(), config_of(), PATH)
    assert difference(of_here(), config_of().latency) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "target_cpu='Raspberry Pi 5 Model B'"),
        (["target_cpu=Cortex"], "target_cpu=Cortex"),
        (["latency/target=ssh", "host=pi@board"], "latency/target=local, not ssh host=pi@board"),
        (["target_cpu=raspberry", "quant.weight_bits=7"], "quant.weight_bits"),
    ],
)
def test_a_table_of_another_machine_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_table(replace(of_here(), host=BOARD), config_of(*words), PATH)


def test_a_table_of_another_machine_serves_once_it_is_named() -> None:
    made = replace(of_here(), host=BOARD)
    check_table(made, config_of("target_cpu=raspberry pi"), PATH)
    far = replace(made, target="ssh", address="pi@board")
    check_table(far, config_of("latency/target=ssh", "host=pi@board"), PATH)
    with pytest.raises(InputError, match="ssh host=pi@board, not ssh host=other"):
        check_table(far, config_of("latency/target=ssh", "host=other"), PATH)
    assert "Raspberry" in (difference(made, config_of().latency) or "")


@pytest.mark.parametrize(("change", "said"), [({"runtime_version": "0.9"}, "0.9, not"), ({"threads": 2}, "2 thread")])
def test_another_runtime_version_or_thread_count_is_another_table(change: dict[str, object], said: str) -> None:
    made = of_here()
    other = replace(made, protocol=replace(made.protocol, **change))
    with pytest.raises(InputError, match=said):
        check_table(other, config_of(), PATH)


@pytest.mark.parametrize("change", [{"precision": "fp32"}, {"batch": 4}])
@pytest.mark.parametrize("words", [[], ["target_cpu=raspberry"]])
def test_a_table_of_another_precision_or_batch_is_refused_for_any_target(
    change: dict[str, object], words: list[str]
) -> None:
    made = replace(of_here(), host=BOARD) if words else of_here()
    other = replace(made, protocol=replace(made.protocol, **change))
    with pytest.raises(InputError, match=r"latency\.precision.*latency\.batch"):
        check_table(other, config_of(*words), PATH)


@pytest.mark.parametrize(
    ("machine", "flags", "words", "bits", "signed"),
    [
        ("x86_64", ("avx2",), [], 7, False),
        ("x86_64", ("avx2", "avx512_vnni"), [], 8, False),
        ("aarch64", (), [], 8, True),
        ("aarch64", ("asimddp",), [], 8, True),
        ("aarch64", ("asimddp", "i8mm"), [], 8, False),
        ("aarch64", ("asimddp",), ["latency=openvino"], 8, False),
        ("aarch64", ("asimddp",), ["quant.signed_activations=false", "quant.weight_bits=7"], 7, False),
    ],
)
def test_integers_are_what_the_cpu_asks_for_unless_named(
    machine: str,
    flags: tuple[str, ...],
    words: list[str],
    bits: int,
    signed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host(machine, "a CPU", flags, "Linux")
    monkeypatch.setattr("frostnas.pipeline.target.target_host", lambda latency: host)
    quant = with_integers(compose_config(words), tmp_path / "latency.json").quant
    assert (quant.weight_bits, quant.signed_activations) == (bits, signed)


def test_integers_are_those_of_the_table_unless_named(tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    made = replace(of_here(), protocol=replace(of_here().protocol, weight_bits=7, activation_type="int8"))
    save(path, replace(made, rows=(), csv_sha256=write_rows(path.with_suffix(".csv"), made.rows)), Provenance())
    quant = with_integers(compose_config(), path).quant
    assert (quant.weight_bits, quant.signed_activations) == (7, True)
    quant = with_integers(compose_config(["quant.weight_bits=8"]), path).quant
    assert (quant.weight_bits, quant.signed_activations) == (8, True)
