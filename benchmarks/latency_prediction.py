"""How well the latency of whole networks is predicted from measured parts, by several methods in one session.

    python benchmarks/latency_prediction.py [FOLDER] [--networks N] [--rounds N] [--size PIXELS]

Random networks of the published space around the Frost bottleneck are measured whole, together with every workload of
the space in two forms: with borders in NHWC integers, as the table has them, and in NCHW integers. Methods are fitted
on some networks and compared on others; what a time is taken for is a percentile over the rounds. An interrupted run
goes on; raw results stay in FOLDER, the errors go to results/latency_prediction.csv.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray
from onnx import helper
from scipy.optimize import nnls
from scipy.stats import spearmanr

from frostnas.artifacts import NetSpec, Workload
from frostnas.config import LatencyConfig
from frostnas.config.compose import compose_config
from frostnas.latency.job import Job
from frostnas.latency.models import network_model, one_thread, workload_model
from frostnas.latency.targets import run_agent
from frostnas.nets import NAMED_BLOCKS
from frostnas.quant import Scheme
from frostnas.search.spaces.network import NetworkSpace
from frostnas.search.spaces.skeleton import from_scratch

HELD_OUT = 30
FITS = (10, 20, 60)
PERCENTILES = (0, 10, 25, 50)  # of a time over the rounds
RESULTS = Path(__file__).parent / "results" / "latency_prediction.csv"
Array = NDArray[np.float64]


def with_nchw_borders(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the transposes at its borders, whose neighbours take over the outer tensors."""
    nodes = list(model.graph.node)
    for value, at_input in [(model.graph.input[0], True), (model.graph.output[0], False)]:
        for node in nodes:
            if node.op_type == "Transpose" and value.name in (node.input[0] if at_input else node.output[0],):
                inner = node.output[0] if at_input else node.input[0]
                for other in nodes:
                    for names in (other.input, other.output):
                        names[:] = [value.name if name == inner else name for name in names]
                nodes.remove(node)
                dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
                kind = value.type.tensor_type.elem_type
                nchw = [dims[0], dims[3], dims[1], dims[2]]
                value.CopyFrom(helper.make_tensor_value_info(value.name, kind, nchw))
                break
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def collect(folder: Path, space: NetworkSpace, config: LatencyConfig, networks: int) -> tuple[Job, list[NetSpec]]:
    """Emit and measure everything; a finished session is not repeated."""
    rng = random.Random(0)
    nets = list(dict.fromkeys(space.sample(rng) for _ in range(networks)))
    job = Job(folder, config)
    with one_thread():
        for workload in space.workloads():
            model = workload_model(workload, Scheme())
            job.add(workload.key, model)
            job.add(f"nchw {workload.key}", with_nchw_borders(model))
        for index, net in enumerate(nets):
            job.add(f"network {index}", network_model(net, Scheme()))
    job.close()
    if not (folder / "results.json").exists():
        run_agent(folder, lambda number: print(f"round {number} of {config.rounds}", end="\r", flush=True))
    return job, nets


class Data:
    """Sums over parts and measured latencies, ms."""

    def __init__(self, job: Job, nets: Sequence[NetSpec], estimate: Callable[[Array], float]) -> None:
        samples = json.loads((job.folder / "results.json").read_text())["samples"]
        self.time = {
            name: [estimate(np.asarray(samples[digest])[:, kind]) for kind in (0, 1)]
            for name, digest in job.digests.items()
        }
        self.parts = [list(net.workloads()) for net in nets]
        self.measured = np.array([self.time[f"network {index}"][0] for index in range(len(nets))])
        self.keys = sorted({part.key for parts in self.parts for part in parts})

    def sums(self, kind: int, prefix: str = "") -> Array:
        return np.array([sum(self.time[prefix + part.key][kind] for part in parts) for parts in self.parts])

    def counts(self, key: Callable[[Workload], str]) -> Array:
        """How often each network has each kind of part."""
        names = sorted({key(part) for parts in self.parts for part in parts})
        return np.array([[sum(key(part) == name for part in parts) for name in names] for parts in self.parts], float)


def nonnegative(design: Array, measured: Array, fit: slice) -> Array:
    """Predictions with non-negative coefficients of least squared relative error."""
    scaled = design[fit] / measured[fit, None]
    coefficients, _ = nnls(scaled, np.ones(len(scaled)))
    predicted: Array = design @ coefficients
    return predicted


def per_block(data: Data, prior: Array, fit: slice, strength: float) -> Array:
    """A correction per distinct block on top of ``prior`` ms, by ridge regression on whole networks."""
    counts = data.counts(lambda part: part.key)
    scaled, target = counts[fit] / data.measured[fit, None], 1 - prior[fit] / data.measured[fit]
    gram = scaled.T @ scaled + strength * np.eye(counts.shape[1])
    corrected: Array = prior + counts @ np.linalg.solve(gram, scaled.T @ target)
    return corrected


def methods(data: Data, fit: slice) -> dict[str, Array]:
    """Predicted ms of every network, by every method."""
    ones = np.array([len(parts) for parts in data.parts], float)
    hot, cold = data.sums(0), data.sums(1)
    hot_nchw, cold_nchw = data.sums(0, "nchw "), data.sums(1, "nchw ")
    measured = data.measured

    def fitted(*columns: Array) -> Array:
        return nonnegative(np.stack(columns, 1), measured, fit)

    calibrated = fitted(hot, cold, ones)
    return {
        "hot": hot,
        "round-robin": cold,
        "hot, NCHW borders": hot_nchw,
        "a * hot": fitted(hot),
        "a * round-robin": fitted(cold),
        "a * hot + c": fitted(hot, ones),
        "a * round-robin + c": fitted(cold, ones),
        "a * hot + b * round-robin + c": calibrated,
        "the same, NCHW borders": fitted(hot_nchw, cold_nchw, ones),
        "per-block regression alone": per_block(data, np.zeros(len(ones)), fit, 1e-4),
        "calibrated, then per-block regression": per_block(data, calibrated, fit, 1e-2),
    }


def errors(data: Data, fit_on: int) -> pd.DataFrame:
    """One row per method, relative errors on the held-out networks."""
    test = slice(len(data.parts) - HELD_OUT, None)
    rows = []
    for name, predicted in methods(data, slice(0, fit_on)).items():
        ratio = predicted[test] / data.measured[test] - 1
        error = np.abs(ratio)
        rows.append(
            {
                "fitted_on": fit_on,
                "method": name,
                "bias": ratio.mean(),
                "mean": error.mean(),
                "p95": np.percentile(error, 95),
                "max": error.max(),
                "spearman": spearmanr(predicted[test], data.measured[test]).statistic,
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/bench/latency"))
    parser.add_argument("--networks", type=int, default=max(FITS) + HELD_OUT)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    config = compose_config(["space=[block,network]"])
    space = NetworkSpace(from_scratch(config.space.network, NAMED_BLOCKS["frost"], [arguments.size], 1000))
    latency = replace(config.latency, rounds=arguments.rounds)
    job, nets = collect(arguments.folder, space, latency, arguments.networks)
    table = pd.concat(
        errors(Data(job, nets, partial(np.percentile, q=percentile)), fit_on).assign(percentile=percentile)
        for percentile in PERCENTILES
        for fit_on in FITS
        if fit_on + HELD_OUT <= len(nets)
    )
    table.to_csv(RESULTS, index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
