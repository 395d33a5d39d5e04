"""The machine that a run is for: what its CPU asks of the integer scheme, and whether a table speaks of it."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from frostnas.artifacts import LatencyTable, load
from frostnas.config import Config, LatencyConfig, RuntimeName, TargetName
from frostnas.errors import InputError
from frostnas.latency import prefers_signed, saturates, target_host


def with_integers(config: Config, table_path: Path) -> Config:
    """The config with `quant.weight_bits` and `quant.signed_activations` filled in where they are null.

    They are those of the table if there is one, else what the target's CPU asks for. A bundle's machine cannot be
    asked; 8 bits and uint8 are taken for it, and the table made from its results says where sums may overflow.
    """
    quant, latency = config.quant, config.latency
    if None not in (quant.weight_bits, quant.signed_activations):
        return config
    if table_path.is_file():
        made = load(table_path, LatencyTable).value.protocol
        bits, signed = made.weight_bits, made.activation_type == "int8"
    elif latency.target.name is TargetName.bundle:
        bits, signed = 8, False
    else:
        host = target_host(latency)
        bits = 7 if saturates(host) else 8
        signed = latency.runtime is RuntimeName.onnxruntime and prefers_signed(host)
    chosen = replace(
        quant,
        weight_bits=bits if quant.weight_bits is None else quant.weight_bits,
        signed_activations=signed if quant.signed_activations is None else quant.signed_activations,
    )
    return replace(config, quant=chosen)


def difference(table: LatencyTable, latency: LatencyConfig) -> str | None:
    """In what the table was measured otherwise than the config's target would be; None where it holds for it."""
    made, wanted = table.protocol, latency.runtime.value
    host = target_host(latency)
    if not table.host.is_like(host):
        return f"on {table.host.cpu} ({table.host.machine}), not on {host.cpu} ({host.machine})"
    if (made.runtime, made.threads) != (wanted, latency.threads):
        return f"with {made.runtime}, {made.threads} thread(s), not {wanted}, {latency.threads}"
    if latency.target.name is TargetName.local and made.runtime_version != (here := _version(wanted)):
        return f"with {made.runtime} {made.runtime_version}, not {here}"
    return None


def check_table(table: LatencyTable, config: Config, path: Path) -> None:
    """Refuse a table of another machine than the one that the config names.

    `target_cpu`, or a target other than this machine, names it.

    Raises:
        InputError: the table is of another machine, integer scheme, precision or batch.
    """
    made, latency = table.protocol, config.latency
    target = latency.target.name
    if (made.precision, made.batch) != (latency.precision.value, latency.batch):
        raise InputError(
            f"{path}: was measured in {made.precision}, batch {made.batch}; "
            f"the config has {latency.precision.value} (latency.precision), {latency.batch} (latency.batch)"
        )
    kind = "int8" if config.quant.signed_activations else "uint8"
    if (made.weight_bits, made.activation_type) != (config.quant.weight_bits, kind):
        raise InputError(
            f"{path}: was measured with {made.weight_bits}-bit weights and {made.activation_type} activations; "
            f"the config has {config.quant.weight_bits} (quant.weight_bits) and {kind} (quant.signed_activations)"
        )
    if config.target_cpu is not None:
        if config.target_cpu.lower() not in table.host.cpu.lower():
            raise InputError(f"target_cpu={config.target_cpu}: {path} was measured on {table.host.cpu}")
        return
    if target is not TargetName.local:
        wanted = (target.value, latency.target.host)
        if (table.target, table.address) != wanted:
            measured, now = (" host=".join(filter(None, one)) for one in ((table.target, table.address), wanted))
            raise InputError(f"{path}: was measured with latency/target={measured}, not {now}")
        return
    other = difference(table, latency)
    if other:
        raise InputError(
            f"{path}: was measured {other}; to search for that machine name it: target_cpu='{table.host.cpu}'"
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "which is not installed"
