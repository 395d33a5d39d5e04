"""What speaks against trusting a latency table, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from frostnas.artifacts import Host, Validation

NOISY_SPREAD = 0.15  # (p90 - p10) / p50 of one workload over the rounds
MEAN_ERROR, P95_ERROR = 0.025, 0.05  # what a quiet machine stays below
VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")


def saturates(host: Host) -> bool:
    """Whether the CPU adds pairs of u8*s8 products in 16 bits, which 8-bit weights overflow."""
    return host.machine in ("x86_64", "AMD64") and not set(VNNI) & set(host.cpu_flags)


def prefers_signed(host: Host) -> bool:
    """Whether ONNX Runtime has better kernels for int8 than for uint8 activations on the CPU.

    On arm64 its product for symmetric weights, which runs the 1x1 convolutions, takes int8 only. It has no i8mm form,
    where the general product has one for uint8. This was read in its source (`MLAS_PLATFORM`), not measured.
    """
    return host.machine in ("aarch64", "arm64") and "i8mm" not in host.cpu_flags


def doubts(host: Host, governor: str, weight_bits: int, repeatability: float, held_out: Validation) -> Iterator[str]:
    """One sentence each, with the figure and what to do."""
    if host.emulated:
        yield f"{host.machine} is emulated here: the times say nothing about a real one"
    if governor not in ("", "performance"):
        yield f"the CPU's governor is {governor}: its clock follows the load; set it to performance and profile again"
    if repeatability > NOISY_SPREAD:
        yield (
            f"the machine was busy: p10 and p90 of a workload are {repeatability:.0%} apart (at most "
            f"{NOISY_SPREAD:.0%} wanted); stop other work, or raise latency.rounds"
        )
    if held_out.mean_error > MEAN_ERROR or held_out.p95_error > P95_ERROR:
        yield (
            f"predictions of whole networks miss by {held_out.mean_error:.1%} in the mean and {held_out.p95_error:.1%} "
            f"at p95 (at most {MEAN_ERROR:.1%} and {P95_ERROR:.1%} wanted)"
        )
    if held_out.spearman <= 0:
        yield (
            f"predictions do not tell fast networks from slow ones (rank correlation {held_out.spearman:.2f} over "
            f"{held_out.networks}): stop other work, or raise latency.fit_networks, and profile again"
        )
    if saturates(host) and weight_bits == 8:
        yield f"{host.cpu} has no VNNI, so that sums of 8-bit products may overflow: use quant.weight_bits=7"
