"""The supernet's epochs, from wherever a run stopped."""

from __future__ import annotations

from frostnas.data import Splits, derived_seed
from frostnas.engine import Saver, Workspace
from frostnas.search.net.training import SupernetTrainer

CHECKPOINT = "search_net.pt"


def train(trainer: SupernetTrainer, data: Splits, workspace: Workspace, identity: str) -> None:
    """Train to the last epoch; metrics go to `metrics/search_net.csv`.

    Raises:
        TrainingError: the loss or an activation is not a finite number.
        KeyboardInterrupt: the user asked to stop; the state is saved.
    """
    recipe, steps = trainer.recipe, trainer.steps_per_epoch
    part = (trainer.world.rank, trainer.world.size)
    with Saver(workspace, CHECKPOINT, identity, trainer.device) as saver:
        if saver.live is not None:
            trainer.load_state_dict(saver.live)
            done = trainer.progress
            workspace.say(f"search-net: going on from epoch {done.epoch + 1}, step {done.step + 1}")
        progress = trainer.progress
        metrics = workspace.metrics("search-net", keep=progress.epoch)
        done_steps = progress.epoch * steps + progress.step
        with workspace.progress("supernet", recipe.total_epochs * steps, done_steps) as bar:
            while progress.epoch < recipe.total_epochs:
                trainer.begin_epoch()
                seed = derived_seed(recipe.seed, progress.epoch)
                side = data.train.side if trainer.lesson else None
                for batch in data.train.batches(
                    recipe.batch_size, seed=seed, augment=True, skip=progress.step, part=part, size=side
                ):
                    trainer.step(*batch)
                    bar.step(loss=progress.loss, top1=progress.top1)
                    if progress.step < steps:  # the epoch's last state is saved after its row
                        saver.after_step(trainer.state_dict, settled=not trainer.unread)
                figures = {"loss": progress.loss, "top1": progress.top1}
                metrics.row(epoch=progress.epoch + 1, phase=trainer.state.value, lr=trainer.lr, **figures)
                progress.next_epoch()
                saver.after_step(trainer.state_dict)
        saver.save(trainer.state_dict)
