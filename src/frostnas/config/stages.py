"""The groups that belong to one stage each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from frostnas.config.fields import bounded, chosen, listed, place
from frostnas.config.optim import OptimConfig


class Paths(Enum):
    """Which candidates a block-search step evaluates."""

    all = "all"
    sampled = "sampled"


@dataclass
class ProxyConfig:
    """The small network that blocks are searched and compared in."""

    stem_channels: int = bounded(32, 8)
    stem_stride: int = bounded(2, 1, 4)
    widths: list[int] = listed(32, 48)
    """Output channels per stage; a squeeze by R needs at least 8 R channels before it."""
    depths: list[int] = listed(2, 1)
    strides: list[int] = listed(2, 1)
    head_channels: int = bounded(128, 8)


@dataclass
class SearchBlockConfig:
    """Stage 1: DARTS over block slots."""

    batch_size: int = bounded(64, 2)
    float_epochs: int = bounded(4, 0)
    """StatAssist: weights only, in floating point."""
    epochs: int = bounded(6, 1)
    """Fake-quantized epochs in which architecture weights move too."""
    order: int = chosen(1, 1, 2)
    """2: the architecture gradient looks through one step of the weights."""
    paths: Paths = Paths.all
    progressive: bool = False
    """In three phases, drop the weakest candidates of every slot and deepen the proxy network."""
    seeds: int = bounded(1, 1)
    """Independent searches; the block is the one whose final score is best."""
    arch_lr: float = bounded(0.05, 0)
    """Of the architecture weights (Adam)."""
    arch_weight_decay: float = bounded(1e-3, 0)
    latency_weight: float = bounded(0.05, 0)
    """Weight of the expected latency, relative to the mean over the space, in the architecture loss."""
    finalists: int = bounded(12, 1)
    """Blocks trained alone after the search: the argmax of every epoch and draws by the architecture weights, to half;
    the rest are uniform draws."""
    finalist_epochs: int = bounded(4, 1)
    """Epochs that each of them is trained for."""
    refinements: int = bounded(12, 0)
    """Further finalists, one by one: the block that a model of all scores so far hopes most of."""
    finals: int = bounded(3, 1)
    """Best finalists that are trained anew for `compare_epochs`; the best of these is the block."""
    published: list[str] = listed("frost", "mobilenet_v2", "mobilenet_v3")
    """Named blocks that join the finals whatever the search says."""
    compare_epochs: int = bounded(5, 1)
    """Equal budget that the found, named and random blocks are trained for."""
    random_blocks: int = bounded(8, 0)
    micro_batches: int = bounded(1, 1)
    """Parts that a batch goes through the networks in, their gradients summed, to save memory."""
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)


class RuntimeName(Enum):
    onnxruntime = "onnxruntime"
    openvino = "openvino"


class Precision(Enum):
    int8 = "int8"
    fp32 = "fp32"


class TargetName(Enum):
    """Where latency is measured: here, over ssh, or on a machine that a zip is carried to."""

    local = "local"
    ssh = "ssh"
    bundle = "bundle"


@dataclass
class TargetConfig:
    """The machine that latency is measured on."""

    name: TargetName = TargetName.local
    host: str = ""
    """`ssh`: what the ssh command takes: a host of its config, or user@host."""
    port: int | None = bounded(None, 1, 65535, matters=False)
    """`ssh`: null for ssh's own choice."""
    ssh_config: str = place("")
    """`ssh`: a config file in place of the user's."""
    python: str = place("python3")
    """`ssh`: the interpreter there that has numpy and onnxruntime."""
    folder: str = place(".cache/frostnas")
    """`ssh`: where models are put meanwhile, from the home folder unless absolute."""
    patience_s: float = bounded(300.0, 0.0, matters=False)
    """`ssh`: how long to try to come back after the connection was dropped, s."""
    out: str = place("bundle.zip")
    """`bundle`: the file to carry."""
    results: str = place("")
    """`bundle`: the results.json that came back."""


@dataclass
class LatencyConfig:
    """How latency is measured, for the table and for the exported network."""

    runtime: RuntimeName = RuntimeName.onnxruntime
    precision: Precision = Precision.int8
    threads: int = bounded(1, 1, 256)
    cpus: list[int] = listed()
    """CPUs to pin to; empty for the first allowed one(s)."""
    batch: int = bounded(1, 1)
    rounds: int = bounded(10, 2)
    """Interleaved rounds over all workloads; p10, p50 and p90 over the rounds are kept."""
    round_ms: float = bounded(5.0, 0.1)
    """Shortest time spent on one workload in one round, ms."""
    fit_networks: int = bounded(10, 4)
    """Whole random networks that the calibration is fitted on."""
    held_out_networks: int = bounded(10, 2)
    """Other random networks that it is checked on."""
    target: TargetConfig = field(default_factory=TargetConfig)


@dataclass
class OtherTarget:
    """A further table and budget that the same supernet gives a network for."""

    table: str = place("")
    """Path of its latency.json; empty for the one of the run."""
    latency_ms: float | None = None
    """As `budget.latency_ms`."""
    fraction: float = 0.5
    """As `budget.fraction`."""


@dataclass
class BudgetConfig:
    """What the network may cost; the most accurate one within is looked for."""

    latency_ms: float | None = bounded(None, 0)
    """INT8 latency on the table's target; null takes `fraction`."""
    fraction: float = bounded(0.5, 0, 1)
    """Place between the space's fastest network (0) and slowest (1)."""
    size_bytes: int | None = bounded(None, 1)
    """Of the exported INT8 file; null for any."""
    macs: int | None = bounded(None, 1)
    """Multiply-adds of one image; null for any."""
    peak_activation_bytes: int | None = bounded(None, 1)
    """Most bytes of INT8 activations alive at one time, for one image; null for any."""
    others: list[OtherTarget] = listed()
    """Targets beside the run's own; the limits other than latency hold for all."""


class Strategy(Enum):
    gradient = "gradient"
    evolution = "evolution"
    reinforce = "reinforce"
    random = "random"


@dataclass
class GradientConfig:
    """What the strategy `gradient` alone takes."""

    lr: float = bounded(0.05, 0)
    """Of the decisions' logits (Adam)."""
    start: float = bounded(0.5, 0, 1)
    """Share of the fake-quantized epochs before the logits move."""
    latency_weight: float = bounded(1.0, 0)
    """Weight of |expected latency / budget - 1| beside the cross-entropy."""


@dataclass
class ReinforceConfig:
    """What the strategy `reinforce` alone takes."""

    lr: float = bounded(0.2, 0)
    """Of the controller's logits (Adam)."""
    batch: int = bounded(4, 1)
    """Networks per update of the controller."""
    power: float = bounded(-0.07, -10, 0)
    """w of the reward accuracy * (latency / budget)^w."""


@dataclass
class DistillConfig:
    """Learning from another trained network besides the labels (Hinton et al. 2015)."""

    teacher: str | None = place(None)
    """Run directory of a finished training, a zoo name, `torchvision:NAME` or `timm:NAME`; null for none."""
    weights: str | None = place(None)
    """With a name: its weights, for a zoo name as `train.weights`; DEFAULT downloads the library's own."""
    mean: list[float] | None = None
    """With a name: of RGB pixels scaled to 0..1, as the teacher was trained with; null: what the weights
    expect, and where they do not say, those of the data."""
    std: list[float] | None = None
    image_size: int | None = bounded(None, 8, 1024)
    """With a name: side of the images that the teacher sees, pixels; null: that of the student's."""
    crop: float = bounded(1.0, 0.1, 1)
    """Share of a picture's side that the teacher sees, in the middle: 0.875 for most of torchvision's own weights."""
    weight: float = bounded(0.5, 0, 1)
    """Share of the teacher in the loss; the labels have the rest."""
    temperature: float = bounded(4.0, 0.1)
    """Divides the logits of both."""
    views: int = bounded(10, 0)
    """Random views of each picture that the teacher is asked about once and every epoch shows one of; as many as fit
    into `data.in_memory_mb`. 0: new ones in every epoch, with the teacher asked in every step."""


@dataclass
class SearchNetConfig:
    """Stage 2: one supernet, one strategy."""

    strategy: Strategy = Strategy.evolution
    batch_size: int = bounded(64, 2)
    float_epochs: int = bounded(10, 0)
    """StatAssist: sampled paths in floating point."""
    epochs: int = bounded(40, 1)
    """Fake-quantized epochs of the supernet."""
    qat_lr: float = bounded(1.0, 0, 1)
    """Learning rate that fake-quantized epochs begin with, those of the finals too, as a share of `optim.lr`."""
    sandwich: int = bounded(0, 0, 16)
    """All but `gradient`: random networks that each step trains beside the largest; 0 for one random network alone."""
    near: float = bounded(0.0, 0, 1)
    """All but `gradient`: steps train, and the front shows, networks of this share of the budget's latency up to the
    budget alone; 0 for all of the space."""
    share_weights: bool = True
    """The candidates of a layer are parts of common weights; false gives each its own."""
    population: int = bounded(32, 4)
    generations: int = bounded(8, 1)
    """Population times generations networks are scored by every strategy that scores."""
    front_networks: int = bounded(12, 0)
    """Networks of evenly spaced latencies that are scored besides, for the accuracy-latency front."""
    finals: int = bounded(0, 0)
    """Best networks of the supernet that are trained alone for `final_epochs` before one is handed over, the strategy's
    pick and the whole network with the largest images that fit beside them; 0 hands over the pick as it is."""
    final_epochs: int = bounded(2, 0)
    """Fake-quantized epochs of each of the finals."""
    alone: int = bounded(0, 0)
    """`random`: networks trained alone, each for its share of the epochs, instead of one supernet; 0 for none."""
    baselines: list[str] = listed()
    """Named networks to compare with: measured, and trained alone with the supernet's epochs and optimizer."""
    gradient: GradientConfig = field(default_factory=GradientConfig)
    reinforce: ReinforceConfig = field(default_factory=ReinforceConfig)
    recalibration_batches: int = bounded(4, 1)
    """Training batches that re-estimate batch norm and ranges before a candidate is scored."""
    distill: DistillConfig = field(default_factory=DistillConfig)
    """A teacher of the supernet."""
    micro_batches: int = bounded(1, 1)
    """Parts that a batch goes through the supernet in, their gradients summed, to save memory."""
    optim: OptimConfig = field(default_factory=OptimConfig)


class ClassWeights(Enum):
    none = "none"
    balanced = "balanced"


class Sampler(Enum):
    shuffled = "shuffled"
    balanced = "balanced"


@dataclass
class TrainConfig:
    """Stage 3: StatAssist, QAT with GradBoost, frozen ranges."""

    batch_size: int = bounded(64, 2)
    head_epochs: int = bounded(0, 0)
    """Before all others: of a new classifier alone on given weights, while batch norm gets used to the images."""
    trunk_lr: float = bounded(1.0, 0, 1)
    """Learning rate of everything but the classifier, as a share of `optim.lr`."""
    float_epochs: int = bounded(10, 0)
    """StatAssist: floating point with the optimizer that QAT goes on with."""
    epochs: int = bounded(40, 0)
    """Fake-quantized epochs; 0 with float_epochs trains in FP32 only."""
    frozen_epochs: int = bounded(5, 0)
    """Of these the last, with ranges and batch-norm statistics fixed."""
    qat_lr: float = bounded(1.0, 0, 1)
    """Learning rate that fake-quantized epochs begin with, as a share of `optim.lr`."""
    max_ptq_loss: float | None = bounded(None, 0, 1)
    """Post-training quantization is tried before the fake-quantized epochs, which are left out where it loses no more
    validation top-1 than this, as a fraction, and than chance explains (one standard error); null trains them
    untried."""
    calibration_batches: int = bounded(32, 1)
    """Training batches that set the ranges after FP32-only training (post-training quantization)."""
    fresh_statistics: bool = False
    """Post-training quantization estimates batch norm's statistics anew first, as for images of another size."""
    class_weights: ClassWeights = ClassWeights.none
    """`balanced`: in the loss every class counts the same, however many images it has."""
    sampler: Sampler = Sampler.shuffled
    """`balanced`: every class is drawn equally often in an epoch of as many images: some repeated, some left out."""
    label_smoothing: float = bounded(0.0, 0, 1)
    drop_path: float = bounded(0.0, 0, 0.9)
    """Share of the images that a residual block is left out for in floating-point epochs; it grows from 0 at the first
    layer to this behind the last (stochastic depth)."""
    ema_decay: float | None = bounded(None, 0, 1)
    """Weight EMA; null for none."""
    mixup: float = bounded(0.0, 0)
    """Alpha of the Beta distribution that pairs of images are blended by; 0 for none."""
    cutmix: float = bounded(0.0, 0)
    """Alpha of the Beta distribution of pasted rectangles; with mixup each batch takes one of the two."""
    micro_batches: int = bounded(1, 1)
    """Parts that a batch goes through the network in, their gradients summed, to save memory."""
    amp: bool = False
    """Mixed precision: float16 with loss scaling on CUDA, bfloat16 on a CPU."""
    resize_from: float = bounded(1.0, 0.25, 1)
    """Share of the image side that training begins with; it grows to 1 in the first half of each phase's schedule."""
    sizes: list[int] = listed()
    """Image sides of which each batch takes one by chance; empty for `data.image_size` alone."""
    weights: str | None = place(None)
    """What to start from: path of weights in any known naming, or `torchvision:NAME` or `timm:NAME` for those
    libraries' own; a classifier of another number of classes is left out."""
    inherit: bool = True
    """Without `weights`: start from those that the search has trained, `net.safetensors` beside net.json."""
    distill: DistillConfig = field(default_factory=DistillConfig)
    recover: bool = False
    """After a loss that is not a number: go back to the last checkpoint, once, with a tenth of the learning rate."""
    synchronise: bool = True
    """Several processes: batch-norm statistics and activation ranges are those of the whole batch."""
    optim: OptimConfig = field(default_factory=OptimConfig)


@dataclass
class LadderConfig:
    """One network at several image sizes."""

    sizes: list[int] = listed(64, 96, 128, 160)
    """Sides of the images, pixels."""
    shared: bool = True
    """Train one network of which every batch takes one of the sizes, and estimate batch norm and ranges anew for each
    size; false trains one network per size, which takes longer for the same accuracy."""


@dataclass
class ExportConfig:
    """INT8 export and its checks."""

    formats: list[str] = chosen(["onnx"], "onnx", "openvino", "executorch", "tflite")
    """`onnx` is written in any case; the others are extras of the installation with the same names."""
    min_agreement: float = bounded(0.995, 0, 1)
    """Smallest share of test images on which the exported file and fake-quant agree."""
    max_top1_drop: float = bounded(0.001, 0, 1)
    """Largest loss of top-1 between fake-quant and the exported file, as a fraction."""
