"""Results of the stages: `block.json`, `net.json`, `train.json`, `export.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from frostnas.artifacts.specs import BlockSpec, NetSpec


@dataclass(frozen=True, slots=True)
class SlotResult:
    """How one slot of the block was decided."""

    slot: str
    choice: str
    candidates: tuple[str, ...]
    probabilities: tuple[float, ...]
    """Softmax of the architecture weights that decided, in the order of ``candidates``; the mean over seeds."""
    margin: float
    """Probability of the choice minus that of the runner-up."""
    clear: bool
    """Whether the margin was large enough to speak of a winner."""
    agreement: float
    """Share of the seeds whose own search made this choice."""


@dataclass(frozen=True, slots=True)
class BlockHistoryRow:
    """Architecture weights after one epoch."""

    seed: int
    epoch: int
    """From 1, over all phases of the seed's search."""
    phase: str
    """`warm-up` (floating point, weights only) or `search`."""
    probabilities: dict[str, tuple[float, ...]]
    """Slot -> softmax over its candidates; 0 for one that was dropped."""
    entropy: dict[str, float]
    """Slot -> entropy as a fraction of that of equal probabilities."""
    margin: dict[str, float]
    loss: float
    """Cross-entropy on the architecture half of the training data (of the weights' half in the warm-up)."""
    expected_ms: float
    """Expected INT8 latency of the proxy network, from the candidates' measured costs."""
    top1_mixed: float | None
    """Validation accuracy of the supernet as it is trained; None where paths are sampled."""
    top1_path: float
    """Validation accuracy of the present block inside the supernet."""
    block: str
    """The present argmax, as a block code."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A block trained alone in the proxy network for the common budget."""

    name: str
    block: BlockSpec
    top1_fp32: float
    top1_int8: float
    """Validation accuracies as fractions; INT8 in fake-quant evaluation."""
    latency_ms: float
    """Measured INT8 latency of the proxy network, one image."""
    predicted_ms: float | None
    """What the search took it for; None for blocks outside the space."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one search of several found on its own."""

    seed: int
    block: BlockSpec
    best_epoch: int
    """Search epoch, from 1, whose argmax scored best of all epochs'; `probabilities` are of that epoch."""
    probabilities: dict[str, tuple[float, ...]]
    seconds: float
    finalists: dict[str, float]
    """Block code -> validation cross-entropy after a short training alone, plus the latency term; in their order."""
    finals: dict[str, float]
    """The same after a full training of the best finalists and of published blocks; the least won."""
    own: BlockSpec
    """The best of the finals that the search came to by itself; `block` unless a published one was better."""


@dataclass(frozen=True, slots=True)
class CandidateCosts:
    """Measured INT8 costs of the candidates: a block's latency is the reference times one factor per slot."""

    reference_ms: float
    factors: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """`block.json`: what stage 1 found."""

    KIND: ClassVar[str] = "block"
    SCHEMA: ClassVar[int] = 2

    block: BlockSpec
    slots: tuple[SlotResult, ...]
    history: tuple[BlockHistoryRow, ...]
    comparison: tuple[Contender, ...]
    seeds: tuple[SeedResult, ...]
    costs: CandidateCosts
    warnings: tuple[str, ...]
    """What speaks against trusting the result: slots without a winner, collapse, a gap, seeds that disagree."""
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One evaluated network of stage 2; `pareto.csv`."""

    network: str
    """Its choices, encoded; of a named network its name."""
    latency_ms: float
    """INT8, one image."""
    top1: float
    """Validation accuracy, fake-quantized, as a fraction."""
    on_front: bool
    picked: bool
    measured: bool = False
    """Its latency was measured; otherwise the table predicts it."""
    alone: bool = False
    """It was trained alone; otherwise its accuracy is that inside the supernet."""


@dataclass(frozen=True, slots=True)
class NetResult:
    """`net.json`: the network of stage 2."""

    KIND: ClassVar[str] = "net"
    SCHEMA: ClassVar[int] = 3

    net: NetSpec
    strategy: str
    budget_ms: float
    predicted_ms: float
    cpu: str
    """The one that this latency is of."""
    top1: float
    """Validation accuracy, fake-quantized, as a fraction."""
    alone: bool
    """It was trained alone; otherwise the accuracy is that inside the supernet."""
    evaluated: int
    """Distinct networks that were scored."""
    seed: int
    seconds: float
    weights_sha256: str | None = None
    """Of `net.safetensors`, what the search trained of the network; None where there is none."""
    block: BlockSpec | None = None
    """The one whose space was searched."""


@dataclass(frozen=True, slots=True)
class ClassImages:
    """The images of one class in one part of a data set, by their content: what says that they are still the same."""

    part: str
    """`train`, `val` or `test`, what they are for; empty where one set is split."""
    name: str
    images: int
    sha256: str
    """Over the name in the class folder and the content of every file, or over the pixels where there are no files."""


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """Which images there were and which were held out, so that numbers can be checked."""

    data: str
    seed: int
    train: int
    val: int
    test: int
    """Numbers of images."""
    test_fraction: float | None
    """None where the data set brings its own test split."""
    test_indices: tuple[int, ...] | None
    """Positions in the data set's own order; None where it brings its own test split."""
    images: tuple[ClassImages, ...]
    """All of them, part by part, in the order of the classes."""
    skipped: int = 0
    """Files that could not be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a picture of any mode becomes 8-bit RGB, the same for every picture that a network sees."""

    background: tuple[int, int, int] = (128, 128, 128)
    """RGB that transparent parts are put on."""
    levels: tuple[float, float] | None = None
    """Black and white of grey pictures deeper than 8 bits; None where none of these was learnt from."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """What a network expects of its images, and what its outputs mean."""

    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """Of RGB pixels scaled to 0..1."""
    reading: Reading = Reading()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 as fractions of the images."""

    val: float
    test: float


@dataclass(frozen=True, slots=True)
class TrainResult:
    """`train.json`, beside `weights.safetensors`."""

    KIND: ClassVar[str] = "train"
    SCHEMA: ClassVar[int] = 2

    net: NetSpec
    images: ImageFormat
    split: SplitRecord
    weight_bits: int
    signed_activations: bool
    fp32: Accuracy
    """Of the network's own weights with the quantizers off."""
    fake_quant: Accuracy
    best_epoch: int
    parameters: int
    macs: int
    weights_sha256: str
    seed: int
    seconds: float
    warnings: tuple[str, ...] = ()
    """What speaks against trusting the result."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One exported file, run back by its real runtime."""

    path: str
    """Relative to the run directory."""
    sha256: str
    size_bytes: int
    top1: float
    """On the test split, as a fraction."""
    latency_ms_p50: float
    latency_ms_p90: float
    """One image, in the runtime and on the threads of the config."""


@dataclass(frozen=True, slots=True)
class FormatFile:
    """The INT8 network in a format other than ONNX, run back by that format's runtime on the machine of the export."""

    format: str
    runtime: str
    """Name and version."""
    path: str
    """Relative to the run directory."""
    sha256: str
    size_bytes: int
    """With the files that belong to it."""
    top1: float
    """On the test split, as a fraction."""
    agreement: float
    """As `ExportReport.agreement`."""
    latency_ms_p50: float
    latency_ms_p90: float
    """One image, on the threads of the config, in the exporting process."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """`export.json`."""

    KIND: ClassVar[str] = "export"
    SCHEMA: ClassVar[int] = 2

    int8: ModelFile
    fp32: ModelFile
    top1_fake_quant: float
    agreement: float
    """Share of test images on which the INT8 file and fake-quant evaluation name the same class."""
    predicted_ms: float | None
    """From the latency table, where there is one for this machine."""
    runtime: str
    threads: int
    formats: tuple[FormatFile, ...]
    """What `export.formats` asks for beside ONNX, in its order."""


@dataclass(frozen=True, slots=True)
class Rung:
    """The network at one image size."""

    image_size: int
    top1_fp32: float
    """On the validation images, as a fraction."""
    top1: float
    """The same in fake-quant, which is the exported arithmetic."""
    top1_test: float
    """Of the INT8 file on the test split."""
    latency_ms: float
    """Measured INT8 latency of one image; all sizes took turns in one session."""
    latency_ms_p90: float
    size_bytes: int
    macs: int
    path: str
    """Of the INT8 file, relative to the run directory."""
    seconds: float
    """Training of this size; without that of the network that all sizes share."""


@dataclass(frozen=True, slots=True)
class LadderResult:
    """`ladder.json`: one network at several image sizes, accuracy against latency."""

    KIND: ClassVar[str] = "ladder"
    SCHEMA: ClassVar[int] = 1

    net: str
    """Name of the network."""
    shared: bool
    """Whether all sizes have the weights of one training."""
    rungs: tuple[Rung, ...]
    """From the smallest size to the largest."""
    cpu: str
    runtime: str
    threads: int
    shared_seconds: float
    """Training of the network that all sizes share; 0 where each has its own."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class in the confusion matrix; fractions, 0 where nothing was named or nothing was there."""

    name: str
    images: int
    precision: float
    recall: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """Speed at one batch size."""

    batch: int
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image that the network was wrong about."""

    path: str
    """Of the file, or `image N` of a data set that has none."""
    true: str
    named: str
    probability: float
    """What the network gave the class that it named."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `frostnas evaluate` reports."""

    path: str
    images: int
    part: str
    """Which images these are, in words."""
    top1: float
    top5: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true classes, columns named ones."""
    latency_ms_p50: float
    latency_ms_p90: float
    throughput: tuple[Throughput, ...]
    size_bytes: int
    mistakes: tuple[Mistake, ...] = ()
    """The wrong answers that the network was surest of, surest first."""
