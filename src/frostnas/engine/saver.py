"""What a stage has done so far, on disk: a killed run goes on from the last checkpoint to the identical result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import torch

from frostnas.engine.checkpoint import DamagedError, former, load_checkpoint, save_checkpoint
from frostnas.engine.distributed import from_first, processes, total
from frostnas.engine.interrupt import Interrupts
from frostnas.engine.metrics import MetricsWriter
from frostnas.engine.workspace import Workspace
from frostnas.errors import InputError

State = Callable[[], Any]
CPU = torch.device("cpu")


class Saver:
    """Finished work by name, and the state of the work that is going on; plain: tensors, numbers, strings, containers.

    Of several processes the first writes, and all go on from the same place. A file that is damaged is kept aside,
    and the one before it is used. The rows of the stage's metrics are in it too: their CSV files are only written.
    """

    def __init__(self, workspace: Workspace, name: str, identity: str, device: torch.device = CPU) -> None:
        """Args: name: of the file among the checkpoints.
        identity: of everything that determines the run; another run's checkpoint is not used.
        device: of the work that several processes share.

        Raises:
            InputError: several processes found different checkpoints.
        """
        self.workspace, self.identity, self.device = workspace, identity, device
        self.path = workspace.checkpoints / name
        self.interrupts = Interrupts()
        content = self._newest()
        self.done: dict[str, Any] = content["done"]
        self.live: Any = content["live"]
        """The state of unfinished work, until it is finished; None where there is none."""
        self._texts: dict[str, str] = content["metrics"]
        self._writers: dict[str, MetricsWriter] = {}
        self._seconds: float = content["seconds"]
        self._clock = self._saved = time.monotonic()

    def __enter__(self) -> Saver:
        """From here on an interrupt waits for `after_step`."""
        self.interrupts.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.interrupts.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Time spent, over all interruptions."""
        now = time.monotonic()
        self._seconds, self._clock = self._seconds + now - self._clock, now
        return self._seconds

    def _newest(self) -> dict[str, Any]:
        """The newest checkpoint of the same run that is whole."""
        content: dict[str, Any] = {"done": {}, "live": None, "metrics": {}, "seconds": 0.0}
        found = 0
        for path in (self.path, former(self.path)):
            try:
                stored, digest = load_checkpoint(path)
            except FileNotFoundError:
                continue
            except DamagedError as error:
                aside = self.path.with_name(f"{self.path.name}.damaged")
                if self.workspace.writes:
                    path.replace(aside)
                self.workspace.say(f"warning: {path}: is damaged ({error}); kept as {aside}, and not used")
                continue
            if stored.get("identity") == self.identity:
                content, found = content | stored, int(digest[:15], 16)
                break
        self._check_alike(found)
        return content

    def _check_alike(self, digest: int) -> None:
        """All processes must go on from one place; nodes that do not share the run directory might not."""
        mine = torch.tensor([digest], device=self.device)
        first = mine.clone()
        from_first([first])
        if total((mine != first).sum()):
            raise InputError(
                f"{self.path}: the processes found different checkpoints; all nodes need the first one's: share the "
                "run directory, or copy the file"
            )

    def metrics(self, name: str, by: Sequence[str] = ()) -> MetricsWriter:
        """`metrics/<name>.csv` after the rows that the checkpoint holds; see `Workspace.metrics`."""
        self._writers[name] = self.workspace.metrics(name, self._texts.get(name, ""), by)
        return self._writers[name]

    def once(self, name: str, work: Callable[[], Any], *, part: bool = False) -> Any:
        """The result of ``work``: from the checkpoint, else computed and written to it.

        Args:
            part: of work that goes on, whose live state is still wanted.
        """
        if name not in self.done:
            self.done[name] = work()
            live = self.live if part else None
            self.save(lambda: live)
        return self.done[name]

    def after_step(self, state: State, *, settled: bool = True) -> None:
        """Save the live state if it is time.

        Args:
            settled: there is nothing that the processes still have to exchange. Of several any may be asked to stop,
                and all look after the same steps.

        Raises:
            KeyboardInterrupt: the user asked to stop; the state is saved.
        """
        stop = self._asked_to_stop(settled)
        if stop or (settled and time.monotonic() - self._saved >= self.workspace.checkpoint_s):
            self.save(state)
        if stop:
            raise KeyboardInterrupt

    def _asked_to_stop(self, settled: bool) -> bool:
        if processes() == 1:
            return self.interrupts.requested
        return settled and bool(total(torch.tensor(float(self.interrupts.requested), device=self.device)))

    def save(self, state: State) -> None:
        """Write the checkpoint now."""
        if self.workspace.writes:
            self.live = state()
            self._texts |= {name: writer.text for name, writer in self._writers.items()}
            content = {"identity": self.identity, "done": self.done, "live": self.live, "metrics": self._texts}
            save_checkpoint(self.path, content | {"seconds": self.seconds})
        self._saved = time.monotonic()
