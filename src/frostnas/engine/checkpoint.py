"""Checkpoint files that know whether they are whole, and the state of the random generators for them."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frostnas.artifacts import write_atomic

TITLE, DIGITS = "frostnas checkpoint 2", 20
HEADER = len(TITLE) + 2 * hashlib.sha256().digest_size + DIGITS + 3  # title, SHA-256 and size of the rest, a line


def rng_state() -> dict[str, Any]:
    """The global generators of Python, NumPy and torch, as `seed_all` seeds them."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    version, internal, gauss_next = random.getstate()
    return {
        "python": [version, list(internal), gauss_next],
        "numpy": [torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the global generators back to where `rng_state` found them."""
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


class DamagedError(Exception):
    """A checkpoint is not what was written; the message says in what."""


def former(path: Path) -> Path:
    """Where `save_checkpoint` leaves what was at ``path`` before."""
    return path.with_name(f"{path.name}.former")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them under a digest; keep the file that was there.

    A crash leaves that one, at ``path`` or as `former`.
    """
    buffer = io.BytesIO()
    buffer.write(bytes(HEADER))
    torch.save(content, buffer)
    with buffer.getbuffer() as view:
        digest = hashlib.sha256(view[HEADER:]).hexdigest()
        view[:HEADER] = _header(digest, len(view) - HEADER)
    if path.exists():
        path.replace(former(path))
    write_atomic(path, buffer.getvalue())


def load_checkpoint(path: Path) -> tuple[dict[str, Any], str]:
    """What `save_checkpoint` wrote, on the CPU, and its digest.

    Raises:
        DamagedError: it is not as it was written.
        FileNotFoundError: there is none.
    """
    with path.open("rb") as file:
        header, size = file.read(HEADER), path.stat().st_size - HEADER
        if not header.endswith(b" %0*d\n" % (DIGITS, max(size, 0))):  # before gigabytes of nothing are read
            raise DamagedError("it has another size than it was written with")
        payload = file.read()
    digest = hashlib.sha256(payload).hexdigest()
    if header != _header(digest, size):
        raise DamagedError("its digest is that of another content")
    try:
        return dict(torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)), digest
    except Exception as error:  # torch raises several unrelated types
        raise DamagedError(f"{type(error).__name__} in spite of its digest") from error


def _header(digest: str, size: int) -> bytes:
    return f"{TITLE} {digest} {size:0{DIGITS}}\n".encode()
