"""Times ONNX models on the machine it runs on. One file: Python 3.8 or newer, numpy and onnxruntime, nothing else.

    python3 agent.py [FOLDER]        measure what FOLDER/manifest.json lists, write FOLDER/results.json
    python3 agent.py --facts         print what this machine is, as JSON
    python3 agent.py --check FOLDER  the same, with what is missing, the free disk, and the files that FOLDER holds
    python3 agent.py --self-test     check that this machine can measure

Without FOLDER it is the agent's own.

Each model is timed hot (in a loop) and round-robin (one run of every model in turn, so that caches hold other models'
data), over interleaved rounds. What an empty model takes is subtracted. A run during which the system gave the CPU to
another process is repeated or left out. Times are in ms per run. Every finished round is kept in FOLDER/journal.jsonl:
an interrupted measurement goes on there, unless this machine or the protocol is another one by then.
"""

import argparse
import base64
import ctypes
import glob
import hashlib
import importlib
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time

try:
    import numpy as np
    import onnxruntime as ort
except ImportError:  # `lacking` says so, before one of them is needed
    pass

AGENT = 3  # changes with what is measured
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")
ARM_CAPABILITIES = {"asimddp": (16, 20), "sve": (16, 22), "i8mm": (26, 13)}  # name: (auxiliary value, bit)
CLOCK = "/sys/devices/system/cpu/cpu0/cpufreq/"
THROTTLED = {
    0: "its supply voltage is too low",
    1: "its clock is capped",
    2: "it is throttled",
    3: "it is close to too hot",
}
WARMUP_RUNS = 3
LEAST_RUNS = 3  # per hot sample
PASSES = 3  # round-robin runs per round
TRIES = 4  # for a hot sample in which nothing interfered
MOST_CHARACTERS = 1 << 26  # that are read of a file
EMPTY = (  # ONNX: identity of uint8 (1, 8)
    "CAg6VQoZCgVpbnB1dBIGb3V0cHV0IghJZGVudGl0eRIFZW1wdHlaFwoFaW5wdXQSDgoMCAIS"
    "CAoCCAEKAggIYhgKBm91dHB1dBIOCgwIAhIICgIIAQoCCAhCBAoAEBE="
)


# ---- the machine


def facts(runtime="onnxruntime"):
    """This machine: architecture, CPU, the flags that matter for INT8, versions."""
    info = cpu_info()
    return {
        "agent": AGENT,
        "machine": platform.machine(),
        "cpu": cpu_name(info),
        "cpu_flags": cpu_flags(info),
        "system": platform.platform(),
        "emulated": emulated(info),
        "runtime": runtime,
        "runtime_version": runtime_version(runtime),
        "python": platform.python_version(),
        "allowed_cpus": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "governor": read_text(CLOCK + "scaling_governor"),
    }


def read_text(path):
    """A small file, or an empty string."""
    try:
        with open(path, errors="replace") as file:
            return file.read(MOST_CHARACTERS).strip("\0 \n")
    except OSError:
        return ""


def cpu_info():
    """The entries of /proc/cpuinfo; of several CPUs the last."""
    pairs = [line.partition(":") for line in read_text("/proc/cpuinfo").splitlines()]
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_name(info):
    """What the CPU, or on ARM the board, calls itself."""
    board = read_text("/proc/device-tree/model")
    part = " ".join(info[key] for key in ("CPU implementer", "CPU part") if key in info)
    return board or info.get("model name") or info.get("Model") or part or platform.processor() or platform.machine()


def cpu_flags(info):
    """Those of `FLAGS` that this CPU has."""
    if platform.machine() != "aarch64":
        return [flag for flag in FLAGS if flag in info.get("flags", "").split()]
    try:
        value = ctypes.CDLL(None).getauxval
        value.restype, value.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    except (OSError, AttributeError):
        return [flag for flag in FLAGS if flag in info.get("Features", "").split()]
    return [flag for flag in FLAGS if flag in ARM_CAPABILITIES and has_bit(value, *ARM_CAPABILITIES[flag])]


def has_bit(value, kind, bit):
    """Whether a bit of the kernel's auxiliary vector is set."""
    return bool(value(kind) >> bit & 1)


def emulated(info):
    """Whether this interpreter runs under qemu's user-mode emulation: then the kernel describes another CPU."""
    foreign = "vendor_id" in info if platform.machine() == "aarch64" else "CPU implementer" in info
    return foreign or "qemu-" in read_text("/proc/self/maps") or "qemu" in info.get("model name", "").lower()


def runtime_version(runtime):
    """Version of a runtime, or an empty string where it is missing."""
    try:
        return importlib.import_module(runtime).__version__.split("-")[0]  # OpenVINO adds its build
    except ImportError:
        return ""


def lacking(runtime):
    """What measuring needs and this Python does not have, as {package: what the import said}."""
    found = {}
    for package in ("numpy", runtime):
        try:
            importlib.import_module(package)
        except ImportError as error:
            found[package] = str(error)
    return found


def throttled():
    """Sentences on what holds the CPU's clock down at the moment, where Linux shows it."""
    found = []
    bits = read_text("/sys/devices/platform/soc/soc:firmware/get_throttled")  # Raspberry Pi
    for bit, sentence in THROTTLED.items():
        if bits and int(bits, 16) >> bit & 1:
            found.append(sentence)
    limit, best = [read_text(CLOCK + name) for name in ("scaling_max_freq", "cpuinfo_max_freq")]
    if limit and best and int(limit) < int(best):
        found.append("its clock is limited to %d of %d MHz" % (int(limit) // 1000, int(best) // 1000))
    for device in glob.glob("/sys/class/thermal/cooling_device*"):
        kind = read_text(device + "/type").lower()
        if ("cpu" in kind or "processor" in kind) and read_text(device + "/cur_state") not in ("", "0"):
            found.append("it is being cooled by a lower clock (%s)" % kind)
    return sorted(set(found))


def check(folder, runtime):
    """What whoever is about to send models to ``folder`` wants to know."""
    existing = os.path.abspath(folder)
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    paths = filter(os.path.isfile, glob.glob(os.path.join(glob.escape(folder), "*")))
    return {
        "facts": facts(runtime),
        "lacking": lacking(runtime),
        "throttled": throttled(),
        "free_bytes": shutil.disk_usage(existing).free,
        "files": {os.path.basename(path): sha256_of(path) for path in paths},
    }


# ---- models


def sha256_of(path):
    """Hex SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def numbers(shape, kind):
    """The same scattered numbers on every machine, in the range of an input's type."""
    levels = (np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(2654435761) >> np.uint64(13)) & np.uint64(255)
    levels = levels.reshape(shape).astype(np.uint8)
    if "float" in kind:
        return (levels.astype(np.float32) - 128) / 64
    return levels if "uint8" in kind or "u8" in kind else levels.view(np.int8)


class OnnxRuntime:
    """One session with its input and output bound to fixed buffers."""

    def __init__(self, path, threads, batch, profile_prefix=None):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
        if profile_prefix:
            options.enable_profiling = True
            options.profile_file_prefix = profile_prefix
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        for item in self.session.get_inputs():
            shape = [size if isinstance(size, int) else batch for size in item.shape]
            self.binding.bind_cpu_input(item.name, numbers(shape, item.type))
        for item in self.session.get_outputs():
            self.binding.bind_output(item.name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def output(self):
        """Bytes of the outputs of the last run."""
        return b"".join(value.tobytes() for value in self.binding.copy_outputs_to_cpu())


class OpenVino:
    """The same, compiled by OpenVINO from the same file."""

    def __init__(self, path, threads, batch):
        openvino = importlib.import_module("openvino")
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}
        settings["ENABLE_CPU_PINNING"] = False  # the agent pins
        settings["INFERENCE_PRECISION_HINT"] = "f32"  # not bfloat16 between integer layers, nor for FP32
        model = core.read_model(path)
        if model.inputs[0].partial_shape.is_dynamic:
            fixed = [size.get_length() if size.is_static else batch for size in model.inputs[0].partial_shape]
            model.reshape(fixed)
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()
        given = model.inputs[0]
        self.buffer = numbers(tuple(given.shape), str(given.element_type))
        self.request.set_input_tensor(openvino.Tensor(self.buffer, shared_memory=True))
        self.run = self.request.infer

    def output(self):
        return self.request.get_output_tensor().data.tobytes()


RUNTIMES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


# ---- timing


def interruptions():
    """How often the system took the CPU from this process; 0 where it does not say."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def loop_ms(model, runs):
    """Mean time of ``runs`` runs in a loop, and whether nothing interfered."""
    before, run = interruptions(), model.run
    start = time.perf_counter()
    for _ in range(runs):
        run()
    elapsed = time.perf_counter() - start
    return elapsed / runs * 1e3, interruptions() == before


def hot_ms(model, runs):
    """A loop's mean time; repeated, within reason, until nothing interfered."""
    model.run()
    times = []
    for _ in range(TRIES):
        elapsed, quiet = loop_ms(model, runs)
        if quiet:
            return elapsed
        times.append(elapsed)
    return min(times)


def runs_for(model, round_ms):
    """How many runs make a hot sample of about ``round_ms``."""
    for _ in range(WARMUP_RUNS):
        model.run()
    return max(LEAST_RUNS, min(1000, int(round_ms / max(loop_ms(model, LEAST_RUNS)[0], 1e-3))))


def one_round(models, empty, runs):
    """Hot and round-robin times of models (dict by name), in ms, as {name: [hot, round robin]}."""
    floor = hot_ms(empty, runs[""])
    hot = {name: hot_ms(model, runs[name]) - floor for name, model in models.items()}
    passes = {name: [] for name in ["", *models]}
    for _ in range(PASSES):
        for name, model in [("", empty), *models.items()]:
            passes[name].append(loop_ms(model, 1))
    cold = {name: median_of_quiet(times) for name, times in passes.items()}
    return {name: [max(hot[name], 0.0), max(cold[name] - cold[""], 0.0)] for name in models}


def median_of_quiet(times):
    """Median of the times in which nothing interfered, of all if there is none."""
    quiet = [elapsed for elapsed, undisturbed in times if undisturbed]
    return float(np.median(quiet or [elapsed for elapsed, _ in times]))


# ---- the folder


def line_of(value: object) -> str:
    """A line of the journal: JSON, and the digest that a damaged line does not have."""
    text = json.dumps(value)
    return "%s %s\n" % (hashlib.sha256(text.encode()).hexdigest()[:16], text)


def value_of(line):
    """What `line_of` wrote; None of anything else."""
    digest, _, text = line.partition(" ")
    return json.loads(text) if digest == hashlib.sha256(text.encode()).hexdigest()[:16] else None


class Rounds:
    """Finished rounds, one line each, under a first line that says what they hold for; all of it is also told."""

    def __init__(self, path, key, tell):
        self.path, self.samples, self.tell = path, {}, tell
        lines = self.read()
        if not lines or lines[0] != {"key": key}:
            lines = [{"key": key}]
        for line in lines[1:]:
            for name, times in line.items():
                self.samples.setdefault(name, []).append(times)
        with open(path, "w") as file:  # without the half line that a kill may have left
            file.write("".join(line_of(line) for line in lines))
        for line in lines:
            tell("journal", line)

    def read(self):
        lines = []
        for line in read_text(self.path).splitlines():
            value = value_of(line)
            if value is None:
                break
            lines.append(value)
        return lines

    def add(self, times):
        for name, pair in times.items():
            self.samples.setdefault(name, []).append(pair)
        with open(self.path, "a") as file:
            file.write(line_of(times))
            file.flush()
            os.fsync(file.fileno())
        self.tell("journal", times)


def operation_times(path, threads, batch, runs):
    """Mean ms per run of every operation of a model, {"name|type": ms}, as ONNX Runtime's profiler saw it."""
    with tempfile.TemporaryDirectory() as folder:
        model = OnnxRuntime(path, threads, batch, os.path.join(folder, "profile"))
        for _ in range(runs):
            model.run()
        with open(model.session.end_profiling()) as file:
            events = json.load(file)
    total = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            key = name[: -len("_kernel_time")] + "|" + event["args"]["op_name"]
            total[key] = total.get(key, 0.0) + event["dur"] / 1e3 / runs
    return total


def tell_program(kind, value):
    """Progress as JSON lines: each line of the journal, the number of every finished round, the results."""
    print(json.dumps({kind: value}), flush=True)


def tell_person(kind, value):
    """Progress for somebody who looks on."""
    if kind == "round":
        print("agent: round %d of %d" % tuple(value), flush=True)


def end_with_input():
    """End this process as soon as standard input ends: whoever started it, perhaps from far, is gone."""

    def wait():
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end(process):
    """Kill a process by its number, a string, unless it is gone or not known yet."""
    try:
        os.kill(int(process), signal.SIGKILL)
    except (ValueError, ProcessLookupError):
        pass


def alone_in(folder):
    """A lock to keep; an agent that a broken connection left behind in the same folder is ended."""
    import fcntl

    lock = open(os.path.join(folder, "lock"), "a+")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            lock.seek(0)
            end(lock.read())
            time.sleep(0.1)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def signature(said: "dict[str, object]", key: str) -> str:
    """What a manifest or results that were cut or edited do not have."""
    body = {name: value for name, value in said.items() if name != "signature"}
    return hashlib.sha256((key + json.dumps(body, sort_keys=True)).encode()).hexdigest()


def signed(path):
    """What a manifest says, if it is whole."""
    with open(path, errors="replace") as file:
        text = file.read(MOST_CHARACTERS)
    try:
        said = json.loads(text)
        if said["signature"] == signature(said, said["key"]):
            return said
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    sys.exit("agent: %s is damaged; write or copy it anew" % path)


def main(folder, tell):
    """Measure a folder and write its results."""
    manifest_path = os.path.join(folder, "manifest.json")
    if not os.path.exists(manifest_path):
        sys.exit("agent: no manifest.json in %s" % folder)
    manifest = signed(manifest_path)
    missing = lacking(manifest["runtime"])
    if missing:
        sys.exit("agent: %s; install %s for %s" % (missing, " and ".join(missing), sys.executable))
    here = facts(manifest["runtime"])
    cpus = manifest["cpus"] or here["allowed_cpus"][: manifest["threads"]]
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    files = {item["sha256"]: os.path.join(folder, item["file"]) for item in manifest["models"]}
    for digest, path in files.items():
        if sha256_of(path) != digest:
            sys.exit("agent: %s is not the model that the manifest names" % os.path.basename(path))
    protocol = [manifest[name] for name in ("runtime", "threads", "batch", "round_ms")]
    machine = [here[name] for name in ("agent", "machine", "cpu", "cpu_flags", "runtime_version")]
    journal = Rounds(os.path.join(folder, "journal.jsonl"), [protocol, machine, cpus], tell)
    results = {
        "facts": here,
        "cpus": cpus,
        "manifest_sha256": sha256_of(manifest_path),
        "seconds": measure(files, manifest, journal, tell),
        "operations": [
            operation_times(files[digest], manifest["threads"], manifest["batch"], 10)
            for digest in manifest["operations_of"]
        ],
    }
    results["outputs"] = outputs(files, manifest)
    results["samples"] = {digest: journal.samples[digest][: manifest["rounds"]] for digest in files}
    results["signature"] = signature(results, manifest["key"])
    temporary = os.path.join(folder, "results.json.part")
    with open(temporary, "w") as file:
        json.dump(results, file)
    os.replace(temporary, os.path.join(folder, "results.json"))
    tell("results", results)


def measure(files, manifest, journal, tell):
    """Do the rounds that the journal lacks; the seconds that it took."""
    rounds, kind = manifest["rounds"], RUNTIMES[manifest["runtime"]]
    done = {digest: len(journal.samples.get(digest, [])) for digest in files}
    missing = {digest: path for digest, path in files.items() if done[digest] < rounds}
    if not missing:
        return 0.0
    start = time.perf_counter()
    empty = kind(base64.b64decode(EMPTY), manifest["threads"], 1)
    models = {}
    for digest, path in missing.items():
        models[digest] = kind(path, manifest["threads"], manifest["batch"])
    runs = {digest: runs_for(model, manifest["round_ms"]) for digest, model in models.items()}
    runs[""] = runs_for(empty, manifest["round_ms"])
    for number in range(min(done.values()), rounds):
        active = {digest: model for digest, model in models.items() if len(journal.samples.get(digest, [])) <= number}
        journal.add(one_round(active, empty, runs))
        tell("round", [number + 1, rounds])
    return time.perf_counter() - start


def outputs(files, manifest):
    """SHA-256 of the output of every model that the manifest wants to compare, on the same input everywhere."""
    found = {}
    for digest in manifest["outputs_of"]:
        model = RUNTIMES[manifest["runtime"]](files[digest], manifest["threads"], manifest["batch"])
        model.run()
        found[digest] = hashlib.sha256(model.output()).hexdigest()
    return found


def self_test():
    """Measure an empty model in a folder of its own and read the results back."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "0.onnx")
        with open(path, "wb") as file:
            file.write(base64.b64decode(EMPTY))
        digest = sha256_of(path)
        manifest = {"runtime": "onnxruntime", "threads": 1, "batch": 1, "cpus": [], "rounds": 2, "round_ms": 0.1}
        manifest.update(models=[{"file": "0.onnx", "sha256": digest}], operations_of=[], outputs_of=[digest], key="")
        manifest["signature"] = signature(manifest, "")
        with open(os.path.join(folder, "manifest.json"), "w") as file:
            json.dump(manifest, file)
        main(folder, tell_person)
        with open(os.path.join(folder, "results.json")) as file:
            results = json.load(file)
    expected = hashlib.sha256(numbers((1, 8), "tensor(uint8)").tobytes()).hexdigest()
    if results["outputs"] != {digest: expected} or results["signature"] != signature(results, ""):
        sys.exit("agent: self-test failed: onnxruntime gave another output than its input")
    print("agent: self-test passed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="folder with manifest.json and its models")
    parser.add_argument("--facts", action="store_true", help="print what this machine is")
    parser.add_argument("--check", metavar="FOLDER", help="print whether models can be sent to FOLDER and measured")
    parser.add_argument("--runtime", default="onnxruntime", choices=sorted(RUNTIMES), help="for --facts and --check")
    parser.add_argument("--attached", action="store_true", help="progress as JSON lines; end when standard input does")
    parser.add_argument("--self-test", action="store_true", help="check that this machine can measure")
    arguments = parser.parse_args()
    if arguments.facts:
        print(json.dumps(facts(arguments.runtime)))
    elif arguments.check:
        print(json.dumps(check(arguments.check, arguments.runtime)))
    elif arguments.self_test:
        self_test()
    else:
        try:
            if arguments.attached:
                end_with_input()
                held = alone_in(arguments.folder)
                main(arguments.folder, tell_program)
            else:
                main(arguments.folder or os.path.dirname(os.path.abspath(__file__)), tell_person)
        except OSError as error:
            where = "%s: " % error.filename if error.filename else ""
            sys.exit("agent: %s%s" % (where, error.strerror or error))
        except KeyboardInterrupt:
            sys.exit("agent: interrupted; started again it goes on from here")
