"""How much of its latency INT8 takes off each network of the zoo here, and off which operations.

    python benchmarks/reduction.py OUT [--runtimes onnxruntime openvino] [--threads 1 2] [--rounds 30] [--table-only]

FrostNet's authors report that INT8 takes 65% off FrostNets' latency on a phone, more than off its rivals'. This
measures FP32 and INT8 of every named network at 224 pixels, and of MobileNetV2, V3 and EfficientNet-Lite0 at 160, with
random weights (a latency does not depend on them), by the measuring agent: all files of one runtime and number of
threads take turns in one session, whose folder below OUT a killed run goes on from. Rows go to OUT/reduction.csv and
OUT/operations.csv, the tables of docs/networks.md to OUT/reduction.md, the plot to OUT/reduction.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from frostnas.artifacts import write_atomic
from frostnas.config import LatencyConfig, RuntimeName
from frostnas.latency.doubts import saturates
from frostnas.latency.job import Job
from frostnas.latency.measure import perform, target_host
from frostnas.latency.models import network_model, one_thread
from frostnas.latency.operations import kind_of
from frostnas.nets import zoo_entries
from frostnas.nets.zoo import ZooEntry
from frostnas.quant import Scheme
from frostnas.report.figures import save_figure

SMALLER = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_lite")
PROFILED = (
    "frostnet_small_1_0",
    "frostnet_large_1_0",
    "mobilenet_v2_1_0",
    "mobilenet_v3_large_1_0",
    "efficientnet_lite0",
    "ghostnet_1_0",
)
"""Networks whose operations are timed one by one, with ONNX Runtime's profiler on one thread."""
PRECISIONS = ("fp32", "int8")


@dataclass(frozen=True, slots=True)
class Case:
    """A network at a size."""

    entry: ZooEntry
    size: int

    @property
    def name(self) -> str:
        return f"{self.entry.name}@{self.size}"


def cases(names: Sequence[str]) -> list[Case]:
    """Args: names: of the zoo; all of it if there are none."""
    entries = [entry for entry in zoo_entries() if not names or entry.name in names]
    return [Case(entry, 224) for entry in entries] + [Case(entry, 160) for entry in entries if entry.family in SMALLER]


def measure(
    folder: Path, latency: LatencyConfig, every: Sequence[Case], bits: int
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Rows of latencies and of operations for one runtime and number of threads."""
    job, scheme = Job(folder, latency), Scheme(weight_bits=bits)
    with one_thread():
        for case in every:
            for precision in PRECISIONS:
                spec = case.entry.spec(image_size=case.size)
                job.add(f"{case.name}|{precision}", network_model(spec, scheme, quantized=precision == "int8"))
    known = {case.name for case in every}
    profiled = [f"{name}|{p}" for name in (f"{one}@224" for one in PROFILED) if name in known for p in PRECISIONS]
    profiled = profiled if latency.runtime is RuntimeName.onnxruntime and latency.threads == 1 else []
    job.close(operations_of=profiled)
    found = perform(job)
    where = {"runtime": latency.runtime.value, "version": found.runtime_version, "threads": latency.threads}
    rows: list[dict[str, object]] = []
    for case in every:
        fp32, int8 = (found.models[f"{case.name}|{precision}"].hot for precision in PRECISIONS)
        rows.append(
            {
                **where,
                "network": case.entry.name,
                "family": case.entry.family,
                "size": case.size,
                "fp32_ms": fp32.p50,
                "int8_ms": int8.p50,
                "spread": max((one.p90 - one.p10) / one.p50 for one in (fp32, int8)),
                "reduction": 1 - int8.p50 / fp32.p50,
            }
        )
    operations = [
        {"model": model, "operation": kind, "ms": ms}
        for model, times in zip(profiled, found.operations, strict=True)
        for kind, ms in by_kind(times).items()
    ]
    return rows, operations


def by_kind(times: Mapping[str, float]) -> dict[str, float]:
    """ms per run by what a node does, whatever the runtime calls it in FP32 and in INT8: "expand", "spatial", …"""
    total: dict[str, float] = {}
    for key, ms in times.items():
        name, _, operation = key.partition("|")
        kind = kind_of(name, operation).split(" ")[0]
        total[kind] = total.get(kind, 0.0) + ms
    return total


def table(rows: pd.DataFrame) -> str:
    """A row per network and size: FP32 and INT8 ms and what INT8 takes off, by runtime and number of threads."""
    places = list(rows[["runtime", "threads"]].drop_duplicates().itertuples(index=False, name=None))
    named = [f"{runtime}, {threads} thread{'s' * (threads > 1)}" for runtime, threads in places]
    lines = [f"| network | {' | '.join(named)} |", "|---" * (len(places) + 1) + "|"]
    for (network, size), group in rows.groupby(["network", "size"], sort=False):
        cells = []
        for runtime, threads in places:
            found = group[(group.runtime == runtime) & (group.threads == threads)]
            cells += [f"{one.fp32_ms:.2f} to {one.int8_ms:.2f} ms, {one.reduction:.0%}" for one in found.itertuples()]
        lines.append(f"| {network}, {size} | {' | '.join(cells)} |")
    return "\n".join(lines)


def families(rows: pd.DataFrame) -> str:
    """What INT8 takes off per family, mean over its networks at 224."""
    whole = rows[rows["size"] == 224].copy()
    whole["family"] = whole["family"].str.replace(r"^frostnet_.*", "frostnet", regex=True)
    means = whole.pivot_table(index="family", columns=["runtime", "threads"], values="reduction", sort=False)
    lines = [f"| family | {' | '.join(f'{runtime}, {threads}' for runtime, threads in means.columns)} |"]
    lines.append("|---" * (len(means.columns) + 1) + "|")
    lines += [f"| {family} | {' | '.join(f'{one:.0%}' for one in row)} |" for family, row in means.iterrows()]
    return "\n".join(lines)


def operations_table(operations: pd.DataFrame) -> str:
    """Per network the ms of each kind of operation in FP32 and in INT8, the largest first."""
    operations = operations.copy()
    operations[["network", "precision"]] = operations["model"].str.split("|", expand=True)
    kinds = operations.groupby("operation").ms.sum().sort_values(ascending=False).index[:8]
    lines = [f"| network | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for network, group in operations.groupby("network", sort=False):
        ms = group.pivot_table(index="operation", columns="precision", values="ms", aggfunc="sum").fillna(0.0)
        cells = [f"{ms.fp32[kind]:.2f} to {ms.int8[kind]:.2f}" if kind in ms.index else "" for kind in kinds]
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(rows: pd.DataFrame, path: Path) -> None:
    """What INT8 takes off against the FP32 latency, a panel per runtime and number of threads, a colour per family."""
    places = list(rows.groupby(["runtime", "threads"], sort=False))
    figure = Figure(figsize=(4.2 * len(places), 3.8), layout="constrained")
    for axes, ((runtime, threads), group) in zip(
        figure.subplots(1, len(places), sharey=True, squeeze=False)[0], places, strict=True
    ):
        for family, own in group.groupby("family", sort=False):
            axes.plot(own.fp32_ms, 100 * own.reduction, "o", markersize=4, label=family)
        axes.axhline(65, color="grey", linewidth=0.8, linestyle="--")
        axes.set(title=f"{runtime}, {threads} thread(s)", xlabel="FP32 latency, ms")
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("off by INT8, %")
    figure.axes[0].legend(fontsize=7)
    save_figure(figure, path, dpi=120)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runtimes", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--networks", nargs="*", default=(), help="of the zoo; left out: all")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--table-only", action="store_true", help="draw what was measured before")
    given = parser.parse_args(words)
    rows_file, operations_file = given.out / "reduction.csv", given.out / "operations.csv"
    if not given.table_only:
        host = target_host(LatencyConfig())
        bits = 7 if saturates(host) else 8
        rows, operations = [], []
        for runtime in given.runtimes:
            for threads in given.threads:
                latency = LatencyConfig(runtime=RuntimeName[runtime], threads=threads, rounds=given.rounds)
                some, kinds = measure(given.out / f"{runtime}-{threads}", latency, cases(given.networks), bits)
                rows += [{**row, "cpu": host.cpu, "weight_bits": bits} for row in some]
                operations += kinds
                pd.DataFrame(rows).to_csv(rows_file, index=False)
                pd.DataFrame(operations).to_csv(operations_file, index=False)
                print(f"done: {runtime}, {threads} thread(s)", flush=True)
    rows_table, operations_seen = pd.read_csv(rows_file), pd.read_csv(operations_file)
    text = "\n\n".join([families(rows_table), table(rows_table), operations_table(operations_seen)]) + "\n"
    write_atomic(given.out / "reduction.md", text.encode())
    plot(rows_table, given.out / "reduction.png")
    print(text)


if __name__ == "__main__":
    main()
