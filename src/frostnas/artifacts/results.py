"""Results of the stages: `block.json`, `net.json`, `train.json`, `export.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from frostnas.artifacts.limits import (
    Amount,
    Count,
    Digest,
    Few,
    FileName,
    Finite,
    Fraction,
    Level,
    Line,
    Mean,
    PathBelow,
    Pixels,
    Positive,
    Probability,
    Signed,
    Slot,
    Std,
    WeightBits,
    Whole,
)
from frostnas.artifacts.specs import BlockSpec, NetSpec, Normalisation, Source
from frostnas.errors import InputError


@dataclass(frozen=True, slots=True)
class SlotResult:
    """How one slot of the block was decided."""

    slot: Slot
    choice: Line
    candidates: tuple[Line, ...]
    probabilities: tuple[Probability, ...]
    """Softmax of the architecture weights that decided, in the order of ``candidates``; the mean over seeds."""
    margin: Signed
    """Probability of the choice minus that of the runner-up."""
    clear: bool
    """Whether the margin was large enough to speak of a winner."""
    agreement: Fraction
    """Share of the seeds whose own search made this choice."""

    def __post_init__(self) -> None:
        if len(self.candidates) != len(self.probabilities):
            raise InputError(f"probabilities: {len(self.probabilities)}; expected one for each candidate")
        if self.choice not in self.candidates:
            raise InputError(f"choice={self.choice}: expected one of {', '.join(self.candidates)}")


@dataclass(frozen=True, slots=True)
class BlockHistoryRow:
    """Architecture weights after one epoch."""

    seed: Whole
    epoch: Count
    """From 1, over all phases of the seed's search."""
    phase: Literal["warm-up", "search"]
    """`warm-up` (floating point, weights only) or `search`."""
    probabilities: dict[Slot, tuple[Probability, ...]]
    """Slot -> softmax over its candidates; 0 for one that was dropped."""
    entropy: dict[Slot, Probability]
    """Slot -> entropy as a fraction of that of equal probabilities."""
    margin: dict[Slot, Signed]
    loss: Finite
    """Cross-entropy on the architecture half of the training data (of the weights' half in the warm-up)."""
    expected_ms: Amount
    """Expected INT8 latency of the proxy network, from the candidates' measured costs."""
    top1_mixed: Fraction | None
    """Validation accuracy of the supernet as it is trained; None where paths are sampled."""
    top1_path: Fraction
    """Validation accuracy of the present block inside the supernet."""
    block: Line
    """The present argmax, as a block code."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A block trained alone in the proxy network for the common budget."""

    name: Line
    block: BlockSpec
    top1_fp32: Fraction
    top1_int8: Fraction
    """Validation accuracies as fractions; INT8 in fake-quant evaluation."""
    latency_ms: Amount
    """Measured INT8 latency of the proxy network, one image."""
    predicted_ms: Amount | None
    """What the search took it for; None for blocks outside the space."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one search of several found on its own."""

    seed: Whole
    block: BlockSpec
    best_epoch: Count
    """Search epoch, from 1, whose argmax scored best of all epochs'; `probabilities` are of that epoch."""
    probabilities: dict[Slot, tuple[Probability, ...]]
    seconds: Amount
    finalists: dict[Line, Finite]
    """Block code -> validation cross-entropy after a short training alone, plus the latency term; in their order."""
    finals: dict[Line, Finite]
    """The same after a full training of the best finalists and of published blocks; the least won."""
    own: BlockSpec
    """The best of the finals that the search came to by itself; `block` unless a published one was better."""


@dataclass(frozen=True, slots=True)
class CandidateCosts:
    """Measured INT8 costs of the candidates: a block's latency is the reference times one factor per slot."""

    reference_ms: Positive
    factors: dict[Slot, tuple[Amount, ...]]


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
    warnings: tuple[Line, ...]
    """What speaks against trusting the result: slots without a winner, collapse, a gap, seeds that disagree."""
    seed: Whole
    seconds: Amount


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch of a training; `metrics/train.csv`."""

    epoch: Count
    phase: Line
    lr: Amount
    train_loss: Finite
    train_top1: Fraction
    val_top1: Fraction


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One evaluated network of stage 2; `pareto.csv`."""

    network: Line
    """Its choices, encoded; of a named network its name."""
    latency_ms: Amount
    """INT8, one image."""
    top1: Fraction
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
    strategy: Slot
    budget_ms: Amount
    predicted_ms: Amount
    cpu: Line
    """The one that this latency is of."""
    top1: Fraction
    """Validation accuracy, fake-quantized, as a fraction."""
    alone: bool
    """It was trained alone; otherwise the accuracy is that inside the supernet, or after its epochs in the finals."""
    evaluated: Whole
    """Distinct networks that were scored."""
    seed: Whole
    seconds: Amount
    weights_sha256: Digest | None = None
    """Of `net.safetensors`, what the search trained of the network; None where there is none."""
    block: BlockSpec | None = None
    """The one whose space was searched."""


PartName = Annotated[str, Meta(pattern="^(train|val|test)?$")]


@dataclass(frozen=True, slots=True)
class ClassImages:
    """The images of one class in one part of a data set, by their content: what says that they are still the same."""

    part: PartName
    """`train`, `val` or `test`, what they are for; empty where one set is split."""
    name: Line
    images: Whole
    sha256: Digest
    """Over the name in the class folder and the content of every file, or over the pixels where there are no files."""


@dataclass(frozen=True, slots=True)
class SplitRecord:
    """Which images there were and which were held out, so that numbers can be checked."""

    data: Line
    seed: Whole
    train: Whole
    val: Whole
    test: Whole
    """Numbers of images."""
    test_fraction: Fraction | None
    """None where the data set brings its own test split."""
    test_indices: tuple[Whole, ...] | None
    """Positions in the data set's own order; None where it brings its own test split."""
    images: tuple[ClassImages, ...]
    """All of them, part by part, in the order of the classes."""
    skipped: Whole = 0
    """Files that could not be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a picture of any mode becomes 8-bit RGB, the same for every picture that a network sees."""

    background: tuple[Level, Level, Level] = (128, 128, 128)
    """RGB that transparent parts are put on."""
    levels: tuple[Finite, Finite] | None = None
    """Black and white of grey pictures deeper than 8 bits; None where none of these was learnt from."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """What a network expects of its images, and what its outputs mean."""

    classes: Annotated[tuple[Line, ...], Meta(min_length=1)]
    image_size: Pixels
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Std, Std, Std]
    """Of RGB pixels scaled to 0..1."""
    reading: Reading = Reading()

    @property
    def normalisation(self) -> Normalisation:
        return Normalisation(self.mean, self.std)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 as fractions of the images."""

    val: Fraction
    test: Fraction


@dataclass(frozen=True, slots=True)
class TrainResult:
    """`train.json`, beside `weights.safetensors`."""

    KIND: ClassVar[str] = "train"
    SCHEMA: ClassVar[int] = 2

    net: NetSpec
    images: ImageFormat
    split: SplitRecord
    weight_bits: WeightBits
    signed_activations: bool
    fp32: Accuracy
    """Of the network's own weights with the quantizers off."""
    fake_quant: Accuracy
    best_epoch: Annotated[int, Meta(ge=-1)]
    """From 0; -1 where there were no epochs."""
    parameters: Count
    macs: Count
    weights_sha256: Digest
    seed: Whole
    seconds: Amount
    warnings: tuple[Line, ...] = ()
    """What speaks against trusting the result."""

    @property
    def source(self) -> Source:
        """What the weights expect, of who starts from them."""
        return Source(self.net.stem.convention, self.images.normalisation)

    def __post_init__(self) -> None:
        named, outputs = len(self.images.classes), self.net.head.classes
        if named != outputs:
            raise InputError(f"images.classes: {named} names; expected {outputs}, as net.head.classes")
        if self.images.image_size != self.net.image_size:
            raise InputError(
                f"images.image_size={self.images.image_size}: expected net.image_size={self.net.image_size}"
            )


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One exported file, run back by its real runtime."""

    path: FileName
    """Relative to the run directory."""
    sha256: Digest
    size_bytes: Count
    top1: Fraction
    """On the test split, as a fraction."""
    latency_ms_p50: Amount
    latency_ms_p90: Amount
    """One image, in the runtime and on the threads of the config."""


@dataclass(frozen=True, slots=True)
class FormatFile:
    """The INT8 network in a format other than ONNX, run back by that format's runtime on the machine of the export."""

    format: Slot
    runtime: Line
    """Name and version."""
    path: FileName
    """Relative to the run directory."""
    sha256: Digest
    size_bytes: Count
    """With the files that belong to it."""
    top1: Fraction
    """On the test split, as a fraction."""
    agreement: Fraction
    """As `ExportReport.agreement`."""
    latency_ms_p50: Amount
    latency_ms_p90: Amount
    """One image, on the threads of the config, in the exporting process."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """`export.json`."""

    KIND: ClassVar[str] = "export"
    SCHEMA: ClassVar[int] = 2

    int8: ModelFile
    fp32: ModelFile
    top1_fake_quant: Fraction
    agreement: Fraction
    """Share of test images on which the INT8 file and fake-quant evaluation name the same class."""
    predicted_ms: Amount | None
    """From the latency table, where there is one for this machine."""
    runtime: Slot
    threads: Few
    formats: tuple[FormatFile, ...]
    """What `export.formats` asks for beside ONNX, in its order."""
    tied: Whole = 0
    """Test images that they differ on with both classes within two steps of the logits' grid: rounding decides."""
    pace: Amount | None = None
    """How long the network's workloads took beside the files, as a multiple of what they took for the table; None
    without `predicted_ms`."""


@dataclass(frozen=True, slots=True)
class Rung:
    """The network at one image size."""

    image_size: Pixels
    top1_fp32: Fraction
    """On the validation images, as a fraction."""
    top1: Fraction
    """The same in fake-quant, which is the exported arithmetic."""
    top1_test: Fraction
    """Of the INT8 file on the test split."""
    latency_ms: Amount
    """Measured INT8 latency of one image; all sizes took turns in one session."""
    latency_ms_p90: Amount
    size_bytes: Count
    macs: Count
    path: PathBelow
    """Of the INT8 file, relative to the run directory."""
    seconds: Amount
    """Training of this size; without that of the network that all sizes share."""


@dataclass(frozen=True, slots=True)
class LadderResult:
    """`ladder.json`: one network at several image sizes, accuracy against latency."""

    KIND: ClassVar[str] = "ladder"
    SCHEMA: ClassVar[int] = 1

    net: Line
    """Name of the network."""
    shared: bool
    """Whether all sizes have the weights of one training."""
    rungs: tuple[Rung, ...]
    """From the smallest size to the largest."""
    cpu: Line
    runtime: Slot
    threads: Few
    shared_seconds: Amount
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
