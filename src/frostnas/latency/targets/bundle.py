"""The target `bundle`: a zip to carry to a machine without a link, and the results that come back from it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from frostnas.config import TargetConfig
from frostnas.latency.job import MANIFEST, RESULTS, read_results
from frostnas.latency.targets.follow import AGENT, OnRound

TOP = "frostnas-latency"
README = f"""\
Latency of INT8 networks, to be measured on this machine.

It needs Python 3.8 or newer with numpy and {{runtime}}:

    python3 -m venv python && python/bin/pip install numpy {{runtime}}
    python/bin/python agent.py

Leave the machine alone meanwhile, and set its CPU governor to "performance". Interrupted, the same command goes on. In
the end there is a file results.json: carry it back to where this zip was written, and there

    frostnas profile-latency import results.json run_dir=...

Unpack without unzip: python3 -m zipfile -e BUNDLE.zip . && cd {TOP}
"""


class Carried(Exception):
    """Not measured yet: the models are in a zip, to be carried to the machine."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"wrote {path}; run its agent.py on the target, then import the results.json that it writes")
        self.path = path


class Bundle:
    """A machine that can be reached on foot."""

    host = None

    def __init__(self, target: TargetConfig, runtime: str) -> None:
        self._target, self._runtime = target, runtime

    def measure(self, folder: Path, on_round: OnRound) -> None:
        """See `Target`.

        Raises:
            Carried: the models were written for the machine; nothing is measured yet.
            InputError: the results are not whole, or not those of these models.
        """
        if not self._target.results:
            raise Carried(self._write(folder))
        results = Path(self._target.results)
        read_results(results, folder)
        shutil.copyfile(results, folder / RESULTS)

    def _write(self, folder: Path) -> Path:
        path = Path(self._target.out)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{TOP}/README.txt", README.format(runtime=self._runtime))
                for item in (AGENT, folder / MANIFEST, *sorted(folder.glob("*.onnx"))):
                    archive.write(item, f"{TOP}/{item.name}")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            error.filename = error.filename or str(path)  # a full disk is met by the zip, which does not say where
            raise
        return path
