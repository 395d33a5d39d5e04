"""Times ONNX models on the machine it runs on. One file: Python 3.8 or newer, numpy and onnxruntime, nothing else.

    python3 agent.py FOLDER       measure what FOLDER/manifest.json lists, write FOLDER/results.json
    python3 agent.py --facts      print what this machine is, as JSON

Each model is timed hot (in a loop) and round-robin (one run of every model in turn, so that caches hold other models'
data), over several interleaved rounds. What an empty model takes is subtracted. Times are in ms per run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time

import numpy as np
import onnxruntime as ort

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")
WARMUP_RUNS = 3


def facts():
    """This machine: architecture, CPU, the flags that matter for INT8, versions."""
    cpu, flags = platform.processor() or platform.machine(), ()
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line.partition(":") for line in file]
        values = {key.strip(): value.strip() for key, _, value in lines}
        cpu = values.get("model name") or values.get("Model") or values.get("CPU part") or cpu
        present = (values.get("flags") or values.get("Features") or "").split()
        flags = [flag for flag in FLAGS if flag in present]
    except OSError:
        flags = []
    return {
        "machine": platform.machine(),
        "cpu": cpu,
        "cpu_flags": list(flags),
        "system": platform.platform(),
        "emulated": emulated(),
        "runtime": "onnxruntime",
        "runtime_version": ort.__version__,
        "allowed_cpus": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
    }


def emulated():
    """Whether this interpreter runs under qemu's user-mode emulation."""
    try:
        with open("/proc/self/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        with open("/proc/self/maps") as file:
            maps = file.read()
        return b"qemu" in words[0] or "qemu-" in maps
    except OSError:
        return False


def sha256_of(path):
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def random_input(shape, kind):
    """Numbers that an input may hold; `kind` is onnxruntime's name of its type."""
    generator = np.random.default_rng(0)
    if kind == "tensor(float)":
        return generator.standard_normal(shape).astype(np.float32)
    limits = {"tensor(uint8)": (0, 256, np.uint8), "tensor(int8)": (-128, 128, np.int8)}
    low, high, dtype = limits[kind]
    return generator.integers(low, high, shape).astype(dtype)


class Model:
    """One session with its input and output bound to fixed buffers."""

    def __init__(self, path, threads, batch):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        for item in self.session.get_inputs():
            shape = [size if isinstance(size, int) else batch for size in item.shape]
            self.binding.bind_cpu_input(item.name, random_input(shape, item.type))
        for item in self.session.get_outputs():
            self.binding.bind_output(item.name, "cpu")

    def run_ms(self, runs):
        """Mean time of ``runs`` runs in a loop."""
        run, binding = self.session.run_with_iobinding, self.binding
        start = time.perf_counter()
        for _ in range(runs):
            run(binding)
        return (time.perf_counter() - start) / runs * 1e3


def measure(models, empty, rounds, round_ms):
    """Hot and round-robin times of every model, per round: two lists of lists in ms."""
    runs = []
    for model in [*models, empty]:
        for _ in range(WARMUP_RUNS):
            model.run_ms(1)
        runs.append(max(1, min(1000, int(round_ms / max(model.run_ms(2), 1e-4)))))
    hot, cold = [[] for _ in models], [[] for _ in models]
    for _ in range(rounds):
        floor = empty.run_ms(runs[-1])
        for index, model in enumerate(models):
            model.run_ms(1)
            hot[index].append(max(model.run_ms(runs[index]) - floor, 0.0))
        for _ in range(3):
            for index, model in enumerate(models):
                cold[index].append(max(model.run_ms(1) - floor, 0.0))
    return hot, cold


def percentiles(values):
    """p10, p50, p90."""
    return [float(value) for value in np.percentile(values, [10, 50, 90])]


def main(folder):
    """Measure a folder and write its results."""
    with open(os.path.join(folder, "manifest.json")) as file:
        manifest = json.load(file)
    here = facts()
    cpus = manifest["cpus"] or here["allowed_cpus"][: manifest["threads"]]
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    for item in manifest["models"]:
        if sha256_of(os.path.join(folder, item["file"])) != item["sha256"]:
            sys.exit("agent: %s is not the model that the manifest names" % item["file"])
    threads, batch = manifest["threads"], manifest["batch"]
    empty = Model(os.path.join(folder, manifest["empty"]), threads, batch)
    models = [Model(os.path.join(folder, item["file"]), threads, batch) for item in manifest["models"]]
    start = time.perf_counter()
    hot, cold = measure(models, empty, manifest["rounds"], manifest["round_ms"])
    results = {
        "facts": here,
        "cpus": cpus,
        "manifest_sha256": sha256_of(os.path.join(folder, "manifest.json")),
        "seconds": time.perf_counter() - start,
        "models": [
            {"name": item["name"], "sha256": item["sha256"], "hot_ms": percentiles(h), "round_robin_ms": percentiles(c)}
            for item, h, c in zip(manifest["models"], hot, cold)
        ],
    }
    temporary = os.path.join(folder, "results.json.part")
    with open(temporary, "w") as file:
        json.dump(results, file)
    os.replace(temporary, os.path.join(folder, "results.json"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="folder with manifest.json and its models")
    parser.add_argument("--facts", action="store_true", help="print what this machine is")
    arguments = parser.parse_args()
    if arguments.facts:
        print(json.dumps(facts()))
    elif arguments.folder:
        main(arguments.folder)
    else:
        parser.error("give a folder, or --facts")
