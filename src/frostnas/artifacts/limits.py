"""Types of the numbers and words in artifacts, with the limits that reading a file checks.

A field says by its type what it holds, and with that what it may be: ``top1: Fraction``. `store.load`, `read_rows` and
the reader of an exported file's metadata convert by `msgspec`, which checks these limits in fields, in elements of
tuples and in values of dicts alike, refuses NaN and infinity by every one of them, and names the place. Config fields
have theirs by `config.fields`, since Hydra's typed configs know no annotated types. What several fields must agree on
is in the `__post_init__` of their class.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

ROUNDING = 1e-4
"""How far sums of float32 probabilities may leave 0 to 1."""
MOST = 2**53
"""Whole numbers up to which every JSON reader agrees."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A ratio of counts."""
Probability = Annotated[float, Meta(ge=-ROUNDING, le=1 + ROUNDING)]
"""A share or a probability that was summed in floating point."""
Signed = Annotated[float, Meta(ge=-1 - ROUNDING, le=1 + ROUNDING)]
"""A difference of probabilities, or a correlation."""
Amount = Annotated[float, Meta(ge=0, le=1e12)]
"""Milliseconds, seconds, factors, relative errors."""
Positive = Annotated[float, Meta(gt=0, le=1e12)]
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]

Whole = Annotated[int, Meta(ge=0, le=MOST)]
"""A count, a seed, a size in bytes."""
Count = Annotated[int, Meta(ge=1, le=MOST)]
"""A count of what must be there."""
Few = Annotated[int, Meta(ge=1, le=4096)]
"""Threads, images of a batch."""
Channels = Annotated[int, Meta(ge=1, le=2**16)]
NoChannels = Annotated[int, Meta(ge=0, le=2**16)]
"""0 where the layer is absent."""
Classes = Annotated[int, Meta(ge=1, le=2**16)]
Pixels = Annotated[int, Meta(ge=1, le=1024)]
"""Side of a square image or feature map; `data.image_size` goes as far."""
Level = Annotated[int, Meta(ge=0, le=255)]
"""Of one colour of an 8-bit pixel."""
Kernel = Annotated[int, Meta(ge=1, le=31)]
Stride = Annotated[int, Meta(ge=1, le=16)]
Expansion = Annotated[float, Meta(ge=1, le=64)]
Dropout = Annotated[float, Meta(ge=0, lt=1)]
Mean = Annotated[float, Meta(ge=0, le=1)]
"""Of pixels scaled to 0..1."""
Std = Annotated[float, Meta(ge=1e-3, le=10)]
"""Of the same; what it divides stays finite."""
WeightBits = Annotated[int, Meta(ge=7, le=8)]

Slot = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
"""A registered operation's name."""
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""Hex SHA-256."""
FileName = Annotated[str, Meta(pattern=r"\A[^/\\\x00]{1,255}\Z")]
"""Of a file beside the artifact."""
PathBelow = Annotated[str, Meta(pattern=r"\A(?!/)(?!(?:.*/)?\.\./)[^\\\x00]{1,1024}\Z")]
"""Of a file below the artifact's folder, by slashes."""
Line = Annotated[str, Meta(max_length=4096)]
"""Words for a person."""
