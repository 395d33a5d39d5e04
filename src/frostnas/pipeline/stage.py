"""One stage: whether its result is there, what it was made from, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch

from frostnas.artifacts import Artifact, Provenance, Stored, damage, load, save
from frostnas.config import Config
from frostnas.config.identity import part
from frostnas.errors import InputError
from frostnas.pipeline.files import KEPT, aside, matching, publish, set_aside
from frostnas.pipeline.origin import changes, identity_of, without
from frostnas.pipeline.session import Session

T = TypeVar("T", bound=Artifact)
SHOWN = 3  # differences that a refusal names


@dataclass(frozen=True, slots=True)
class Begun:
    """Work that a stage has begun and not finished; its provenance says on what."""

    KIND: ClassVar[str] = "begun"
    SCHEMA: ClassVar[int] = 1

    forced: bool
    """It is to replace a finished result."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage gets to do its work with."""

    provenance: Provenance
    identity: str
    """Of everything that the result depends on; what an interrupted run has saved is used under this alone."""
    folder: Path
    """Where the files go that belong beside the artifact."""
    forced: bool
    """It replaces what is there."""


@dataclass(frozen=True, slots=True)
class Stage(Generic[T]):
    """One step of the chain."""

    name: str
    """The command."""
    artifact: str
    """Its main file in the run directory."""
    kind: type[T]
    reads: tuple[str, ...]
    """Config groups and keys that its result depends on, of which fields may say that they make no difference."""
    inputs: Callable[[Session], dict[str, str]]
    """Hashes of what it consumes."""
    compute: Callable[[Session, Work], T]
    """Do the work; write the files that belong beside the artifact."""
    of_images: bool = False
    """Whether it depends on the images themselves."""
    journals: tuple[str, ...] = ()
    """Where an interrupted run leaves what it goes on from: patterns in the run directory."""
    figures: tuple[str, ...] = ()
    """Metrics that it writes meanwhile."""
    beside: tuple[str, ...] = ()
    """Config keys and inputs of what is added to the result without changing it: the saved work stays good."""
    below: Callable[[Session], Session] | None = None
    """The run that it works in, where that is not the session's own."""

    def path(self, session: Session) -> Path:
        """Its artifact."""
        return (self.below(session) if self.below else session).path(self.artifact)

    def settings(self, config: Config) -> dict[str, object]:
        """The part of the config that the result depends on."""
        return {key: part(config, key) for key in self.reads}

    def provenance(self, session: Session) -> Provenance:
        """What the result would be made from now."""
        split, images = (session.data.record, session.data.format) if self.of_images else (None, None)
        settings, inputs = self.settings(session.config), self.inputs(session)
        return Provenance(settings, inputs, split, images, torch.get_num_threads())

    def existing(self, session: Session, wanted: Provenance) -> T | None:
        """The finished artifact, if it was made from the same and its files are whole; None if it is to be made.

        Raises:
            InputError: there is one, made from something else.
        """
        path = session.path(self.artifact)
        if not path.exists():
            return None
        stored = load(path, self.kind)
        if changed := changes(without(stored.provenance, self.beside), without(wanted, self.beside)):
            raise InputError(
                f"{path}: was made with other {_listed(changed)}; it is kept: use another run_dir=, or --force to "
                "replace it"
            )
        again = changes(stored.provenance, wanted) + damage(path.parent, stored.files)
        if again:
            session.workspace.say(f"{self.name}: made again: {_listed(again)}")
        return None if again else stored.value

    def run(self, session: Session, *, force: bool = False) -> T:
        """The artifact: as it is if it is already there, else computed and saved.

        Args:
            force: begin anew, and replace what is there once the new is whole. Work that was begun so goes on.

        Raises:
            InputError: there is a result, or unfinished work, of something else.
        """
        session = self.below(session) if self.below else session
        workspace, wanted = session.workspace, self.provenance(session)
        begun = self._begun(session)
        other = changes(without(begun.provenance, self.beside), without(wanted, self.beside)) if begun else []
        if begun is None or other or not begun.value.forced:
            done = None if force else self.existing(session, wanted)
            if done is not None:
                workspace.say(f"{self.name}: already done ({session.path(self.artifact)})")
                return done
            if other and not force:
                raise InputError(
                    f"{workspace.run_dir}: an unfinished {self.name} is there, begun with other {_listed(other)}; "
                    "it is kept: use the same to go on, another run_dir=, or --force, which keeps a copy"
                )
            if force:
                self._set_aside(session)
                begun = None
        if begun is not None:
            session.look_at_threads(f"the unfinished {self.name}", begun.provenance)
        try:
            return self._made(session, wanted, forced=force or (begun is not None and begun.value.forced))
        except InputError:
            if begun is None and workspace.writes:  # it was refused before it began
                self._mark(session).unlink(missing_ok=True)
            raise

    def _made(self, session: Session, wanted: Provenance, *, forced: bool) -> T:
        workspace, mark = session.workspace, self._mark(session)
        workspace.say(f"{self.name}: started")
        if workspace.writes and self.journals:
            save(mark, Begun(forced), wanted)
        folder = session.path(f"{self.name}.part")
        with aside(folder) if workspace.writes else nullcontext(folder):
            value = self.compute(session, Work(wanted, identity_of(self.name, wanted, self.beside), folder, forced))
            if workspace.writes:
                save(session.path(self.artifact), value, wanted, publish(folder, workspace.run_dir))
                mark.unlink(missing_ok=True)
        workspace.say(f"{self.name}: done ({session.path(self.artifact)})")
        return value

    def _mark(self, session: Session) -> Path:
        return session.path(f"checkpoints/begun/{self.name}.json")

    def _begun(self, session: Session) -> Stored[Begun] | None:
        """What is unfinished, if anything of it was saved."""
        mark = self._mark(session)
        if not mark.is_file() or not matching(session.workspace.run_dir, self.journals):
            return None
        return load(mark, Begun)

    def _set_aside(self, session: Session) -> None:
        workspace = session.workspace
        if workspace.writes and set_aside(workspace.run_dir, (*self.journals, *self.figures)):
            workspace.say(f"{self.name}: what it has saved so far is kept in {session.path(KEPT)}")


def _listed(found: list[str]) -> str:
    left = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {left} more" if left > 0 else "")
