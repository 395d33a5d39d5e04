"""A full disk and a read-only folder: every command that writes says so in one line and loses nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import TIMING, TRAINING, Said, colour_model, net_json, photo_folder, said

pytestmark = pytest.mark.slow

SEARCH = (
    *("data=imagefolder", "data.image_size=8", "data.workers=0", "search_block.published=[]", "search_block.seeds=1"),
    *("search_block.float_epochs=1", "search_block.epochs=1", "search_block.finalists=1", "search_block.finals=1"),
    *("search_block.refinements=0", "search_block.random_blocks=1", "search_block.compare_epochs=1"),
    *("search_block.finalist_epochs=1", "search_block.proxy.widths=[16]", "search_block.proxy.depths=[1]"),
    *("search_block.proxy.strides=[2]", "search_block.proxy.head_channels=16", "space.block.spatial=[depthwise_3]"),
    *("space.block.activation=[relu]", "space.block.reuse=[none]", *TIMING, "latency.fit_networks=4"),
    *("latency.held_out_networks=2", "space.network.widths=[16]", "space.network.depths=[1]"),
    *("space.network.strides=[1]", "space.network.head_channels=16", "space.network.stem_channels=16"),
)
WRITING = {
    "search-block": SEARCH,
    "profile-latency": SEARCH,
    "search-net": (*SEARCH, "search_net.float_epochs=1", "search_net.epochs=1"),
    "train": TRAINING,
    "export": (*TRAINING, *TIMING, "export.min_agreement=0", "export.max_top1_drop=1"),
    "run": (*SEARCH, "search_net.float_epochs=1", "search_net.epochs=1", "train.epochs=1", "train.frozen_epochs=0"),
}


@contextmanager
def mounted(folder: Path, kib: int) -> Iterator[Path]:
    """A file system of its own in ``folder``; skips where none may be mounted."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"mount needs root: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fill a file system up to ``leave`` bytes."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * max(0, shutil.disk_usage(folder).free - leave))
    return ballast


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


def one_line(end: Said, statuses: tuple[int, ...]) -> str:
    lines = [line for line in end.err.splitlines() if line.startswith("frostnas: ")]
    assert end.status in statuses, end
    assert "Traceback" not in end.err, end
    return lines[-1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    net_json(tmp_path / "net.json")
    photo_folder(tmp_path / "photos", count=12)
    return tmp_path


@pytest.mark.parametrize("command", WRITING)
def test_a_full_disk_names_the_file_and_what_is_free_and_the_same_command_goes_on(command: str, here: Path) -> None:
    with mounted(here / "disk", kib=16_000) as disk:
        words = (command, *WRITING[command], "data.root=photos", "run_dir=disk/run")
        if command == "search-net":
            assert said("profile-latency", *SEARCH, "data.root=photos", "run_dir=disk/run").status == 0
        if command == "export":
            assert said("train", *TRAINING, "data.root=photos", "run_dir=disk/run").status == 0
        before = {path: path.read_bytes() for path in disk.rglob("*.json")}
        ballast = fill(disk, leave=4096)
        line = one_line(said(*words), (1,))
        assert "no space left on the disk" in line
        assert "MiB free" in line
        assert "the same command goes on" in line
        assert {path: path.read_bytes() for path in before} == before
        ballast.unlink()
        assert said(*words).status == 0
        assert list(disk.rglob(".*.part")) == []


@pytest.mark.parametrize("command", WRITING)
def test_a_read_only_run_directory_is_named_before_any_work(command: str, here: Path) -> None:
    with mounted(here / "disk", kib=16_000) as disk:
        (disk / "run").mkdir()
        read_only(disk)
        line = one_line(said(command, *WRITING[command], "data.root=photos", "run_dir=disk/run"), (2,))
        assert "run_dir=disk/run: Read-only file system" in line


def test_evaluate_in_a_read_only_folder_says_its_result_and_where_the_files_may_go(here: Path) -> None:
    with mounted(here / "disk", kib=16_000) as disk:
        colour_model(disk / "model.onnx")
        read_only(disk)
        words = ("evaluate", "disk/model.onnx", "data=imagefolder", "data.root=photos", *TIMING)
        end = said(*words)
        assert "top-1" in end.out
        assert "disk/model.confusion.csv: not written: Read-only file system; --out" in one_line(end, (2,))
        assert said(*words, "--out", "elsewhere").status == 0
        assert Path("elsewhere/model.confusion.csv").is_file()


def test_report_of_a_read_only_run_goes_elsewhere_when_asked(here: Path) -> None:
    with mounted(here / "disk", kib=16_000) as disk:
        shutil.copy("net.json", disk)
        read_only(disk)
        line = one_line(said("report", "disk"), (2,))
        assert "disk/report.html: not written: Read-only file system; --out" in line
        assert said("report", "disk", "--out", "elsewhere").status == 0
        assert Path("elsewhere/report.html").is_file()


def test_a_bundle_that_does_not_fit_is_named(here: Path) -> None:
    with mounted(here / "disk", kib=1000) as disk:
        fill(disk, leave=4096)
        end = said("profile-latency", *SEARCH, "data.root=photos", "run_dir=run", "--out", "disk/b.zip")
        assert "disk/b.zip: no space left on the disk" in one_line(end, (1,))


def test_a_full_standard_output_is_one_line(here: Path) -> None:
    code = "from frostnas.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-c", code, "zoo"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
