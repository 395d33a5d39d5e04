"""Nothing a user can type or bring ends in a traceback: a result, or one line and an exit status of 2."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from frostnas.config import Config
from frostnas.config.compose import to_plain
from frostnas.config.groups import conf_dir
from tests.terminal import COLOURS, TIMING, TRAINING, Said, colour_model, net_json, photo_folder, picture, said

# --- what there is to type and to bring --------------------------------------------------------------------------

SIGNS = r"""
[bold]x [b] photo[1] a=b a,b ~ ~x -x été 日本 😀 $x$ $\frac * ? | ${x} a${ it's " \ x\ #1 %s {0} {a (b
null true 12 1e3 train val =cmd .hidden @eaDir
"""
NASTY = (*SIGNS.split(), "a b", "a\nb", "\u202etxt", "\x1b[31m", "\x07", "caf\udce9", "x" * 200)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
NAMES = st.sampled_from(NASTY) | st.text(LETTERS, min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
MODES = ("RGB", "L", "RGBA", "LA", "P", "CMYK", "1", "I;16", "F", "YCbCr")
SIZES = st.sampled_from([(1, 1), (1, 40), (40, 1), (8, 8), (10, 7), (300, 2), (33, 50)])
NUMBERS = ("0", "1", "-1", "1e400", "nan", "inf", "-inf", "1.5", "99999999999999999999", "0x10", "1_0", "")
VALUES = st.sampled_from([*NUMBERS, "[1", "[]", "{}", "[nan]", "[[1]]", "a,b", "${seed}", "${oc.env:X}", "???"]) | NAMES


def _leaves(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{prefix}{name}.")
    else:
        yield prefix[:-1]


KEYS = tuple(_leaves(to_plain(Config())))
GROUPS = tuple(sorted({path.parent.relative_to(conf_dir()).as_posix() for path in conf_dir().rglob("*/*.yaml")}))
OVERRIDES = st.one_of(
    st.builds("{}={}".format, st.sampled_from(KEYS), VALUES),
    st.builds("{}={}".format, st.sampled_from([*GROUPS, "hydra", "hydra.verbose", "data.rot", ""]), VALUES),
    st.builds("{}{}={}".format, st.sampled_from(["+", "++", "~"]), st.sampled_from([*KEYS[:9], *GROUPS]), VALUES),
    st.builds("~{}".format, st.sampled_from([*KEYS, *GROUPS])),
    NAMES,
)
YAML_PARTS = st.recursive(
    st.sampled_from(
        ["1", "nan", "x", "'", '"', "*a", "&a 1", "!!python/name:os.system", "~", "%", "\t", "é", "[", "- 1"]
    ),
    lambda inner: (
        st.builds("{{{}: {}}}".format, st.sampled_from(["seed", "data", "x", "<<", "defaults"]), inner)
        | st.builds("[{}, {}]".format, inner, inner)
    ),
    max_leaves=6,
)
YAMLS = st.one_of(
    st.builds("{}: {}\n".format, st.sampled_from([*KEYS[:12], "data", "train", "defaults", "x", "seed"]), YAML_PARTS),
    YAML_PARTS,
    st.text(max_size=30),
).map(lambda text: text.encode(errors="surrogateescape"))
BILLION = b"a: &a [1, 1]\n" + b"".join(b"%c: &%c [*%c, *%c, *%c]\n" % (n, n, *[n - 1] * 3) for n in range(98, 123))


def grey(path: Path) -> None:
    Image.new("L", (9, 9)).save(path, "png")


@st.composite
def picture_files(draw: st.DrawFn) -> Callable[[Path], None]:
    """Writes a picture of any mode and size, or something that is none."""
    mode, size, kind = (
        draw(st.sampled_from(MODES)),
        draw(SIZES),
        draw(st.sampled_from(["good", "good", "cut", "text", "empty"])),
    )
    ending = "tiff" if mode in ("F", "I;16", "CMYK", "YCbCr", "LA") else "png"

    def write(path: Path) -> None:
        image = Image.new(mode, size) if mode in ("F", "I;16", "LA") else Image.fromarray(picture(1, 1)).convert(mode)
        image.resize(size).save(path, ending)
        content = path.read_bytes()
        path.write_bytes({"cut": content[: len(content) // 2], "text": b"hello", "empty": b""}.get(kind, content))

    return write


# --- what must hold ----------------------------------------------------------------------------------------------


def checked(*words: str, encoding: str = "utf-8") -> Said:
    """Run a command: a result, or one line that says what is wrong; nothing in it steers the terminal."""
    end = said(*words, encoding=encoding)
    shown = f"{words} -> {end}"
    assert end.status in (0, 2), shown
    assert "Traceback" not in end.err, shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", end.out + end.err), shown
    if end.status:
        last = end.err.rstrip("\n").rpartition("\n")[2]
        assert last.startswith("frostnas: error: ") or "─╯" in last or "-+" in last, shown
        assert end.err.count("frostnas: error: ") <= 1, shown
    return end


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A new folder as the current one and the home, until the block ends."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", name)
        patch.setenv("XDG_STATE_HOME", name)
        yield Path(name)


def both(name: str, quick: int, long: int, *strategies: Any, examples: tuple[tuple[Any, ...], ...] = ()) -> Any:
    """A property as two tests: derandomised in `make test`, long and random in `make test-all`."""

    def register(check: Callable[..., None]) -> Callable[..., None]:
        for few in (True, False):
            test: Any = given(*strategies)(check)
            for one in examples:
                test = example(*one)(test)
            test = settings(
                max_examples=quick if few else long,
                derandomize=few,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )(test)
            test.__name__ = f"test_{name}" if few else f"test_{name}_at_length"
            globals()[test.__name__] = test if few else pytest.mark.slow(test)
        return check

    return register


@both(
    "overrides",
    *(30, 3000),
    st.sampled_from(["zoo", "train", "evaluate", "report", "run"]),
    st.lists(OVERRIDES, min_size=1, max_size=2),
    examples=(("train", ["data.root=données"]), ("train", ["train=null"]), ("train", ["data.root=~/x"])),
)
def overrides(command: str, words: list[str]) -> None:
    with place():
        words = [word for word in words if not word.startswith("-")]
        checked(command, *words, "--cfg")


@both(
    "predict",
    *(40, 1500),
    st.lists(NAMES, min_size=2, max_size=3, unique=True),
    st.lists(st.tuples(NAMES, picture_files()), min_size=1, max_size=4, unique_by=lambda one: one[0]),
    st.booleans(),
    st.sampled_from(["utf-8", "ascii", "latin-1"]),
    examples=(
        (["été", "[/b]"], [("caf\udce9", lambda path: Image.new("RGB", (9, 9)).save(path, "png"))], True, "utf-8"),
    ),
)
def predictions(classes: list[str], files: list[tuple[str, Any]], as_json: bool, encoding: str) -> None:
    with place() as folder:
        colour_model(folder / "model.onnx", [name.encode(errors="replace").decode() for name in classes])
        Path("in").mkdir()
        for name, write in files:
            write(Path("in", name))
        options = ["--json"] if as_json else []
        end = checked("predict", "model.onnx", *(f"in/{name}" for name, _ in files), *options, encoding=encoding)
        if as_json:
            assert len(json.loads(end.out)) == len(files)
        checked("predict", "model.onnx", "in", encoding=encoding)


RUN_FILES = ("block.json", "latency.json", "net.json", "train.json", "export.json", "config.yaml", "model.int8.onnx")
CONTENTS = st.sampled_from(
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"kind": "net"}', b"x" * 10_000, b'{"a":' * 3000, BILLION]
)


@both("report", 10, 500, NAMES, st.dictionaries(st.sampled_from(RUN_FILES), CONTENTS, max_size=3))
def reports(name: str, files: dict[str, bytes]) -> None:
    with place():
        run = Path("runs", name)
        run.mkdir(parents=True)
        net_json(run / "net.json")
        for file, content in files.items():
            (run / file).write_bytes(content)
        checked("report", str(run))
        checked("evaluate", str(run))


@both("yaml", 25, 1500, YAMLS, examples=((BILLION,), (b"seed: [",), (b"[" * 5000,), (b"x: " + b"y" * 2**21,)))
def yaml_files(content: bytes) -> None:
    with place():
        Path("own/experiment").mkdir(parents=True)
        Path("own/experiment/mine.yaml").write_bytes(b"# @package _global_\n" + content)
        checked("train", "--config-dir", "own", "experiment=mine", "--cfg")


@both(
    "evaluate",
    *(2, 80),
    st.lists(NAMES, min_size=3, max_size=3, unique=True),
    NAMES,
    st.sampled_from(["utf-8", "ascii"]),
    examples=((["[bold]x", "été", "$\\frac"], "a=b, [c]", "ascii"),),
)
def evaluations(classes: list[str], root: str, encoding: str) -> None:
    classes = [name.encode(errors="replace").decode() for name in classes]
    with place():
        model = colour_model(Path("model.onnx"), sorted(classes))
        photo_folder(Path(root), classes, count=5)
        checked("evaluate", str(model), "data=imagefolder", f"data.root=./{root}", *TIMING, encoding=encoding)


WORDS = (
    *("train.micro_batches=4", "train.batch_size=2", "train.optim.lr=inf", "data.test_fraction=0.9", "seed=3"),
    *("train.mixup=1", "train.ema_decay=1", "train.resize_from=0.25", "data.image_size=16", "train.epochs=0"),
)


@both(
    "train",
    *(2, 60),
    st.lists(NAMES, min_size=3, max_size=3, unique=True),
    st.lists(st.tuples(st.sampled_from(COLOURS), NAMES, picture_files()), max_size=4, unique_by=lambda one: one[:2]),
    NAMES,
    st.lists(
        st.sampled_from(WORDS),
        max_size=2,
    ),
    examples=((list(COLOURS), [], "r", ["train.micro_batches=4"]), (["a", "caf\udce9", "b"], [], "r", [])),
)
def trainings(classes: list[str], more: list[tuple[str, str, Any]], run: str, words: list[str]) -> None:
    with place():
        net_json(Path("net.json"))
        photo_folder(Path("photos"), classes, count=5)
        for colour, name, write in more:
            if not Path("photos", classes[COLOURS.index(colour)], name).exists():
                write(Path("photos", classes[COLOURS.index(colour)], name))
        checked("train", *TRAINING, "data.root=photos", f"run_dir=./{run}", *words, "-q")


def test_a_path_that_lies_there_is_a_path_whatever_its_name() -> None:
    with place():
        photo_folder(Path("p=1, [x] é"))
        colour_model(Path("lr=0.1.onnx"))
        end = checked("evaluate", "lr=0.1.onnx", "data=imagefolder", "data.root=p=1, [x] é", *TIMING, "--json")
        assert end.status == 0, end
        assert json.loads(end.out)["top1"] == 1
