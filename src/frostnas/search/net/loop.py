"""The supernet's epochs, from wherever a run stopped."""

from __future__ import annotations

from frostnas.data import Splits, derived_seed
from frostnas.engine import Workspace
from frostnas.engine.interrupt import Interrupts
from frostnas.search.net.saving import Saver
from frostnas.search.net.training import SupernetTrainer

CHECKPOINT = "search_net.pt"


def train(trainer: SupernetTrainer, data: Splits, workspace: Workspace, fingerprint: str) -> None:
    """Train to the last epoch; metrics go to `metrics/search_net.csv`.

    Raises:
        SearchError, RangeError: the loss or an activation is not a finite number.
        KeyboardInterrupt: the user asked to stop; the state is saved.
    """
    progress, steps = trainer.progress, trainer.steps_per_epoch
    with Interrupts() as interrupts:
        saver = Saver(workspace, CHECKPOINT, fingerprint, trainer.state_dict, interrupts, data.train.labels.device)
        if (state := saver.load()) is not None:
            trainer.load_state_dict(state)
            progress = trainer.progress
            workspace.say(f"search-net: going on from epoch {progress.epoch + 1}, step {progress.step + 1}")
        metrics = workspace.metrics("search-net", keep=progress.epoch)
        with workspace.progress("supernet", trainer.epochs * steps, progress.epoch * steps + progress.step) as bar:
            while progress.epoch < trainer.epochs:
                trainer.begin_epoch()
                search, seed = trainer.config.search_net, derived_seed(trainer.config.seed, progress.epoch)
                part = (trainer.world.rank, trainer.world.size)
                for batch in data.train.batches(
                    search.batch_size, seed=seed, augment=True, skip=progress.step, part=part
                ):
                    trainer.step(*batch)
                    bar.step(loss=progress.loss_sum / progress.step, top1=progress.top1_sum / progress.step)
                    if progress.step < steps:  # the epoch's last state is saved after its row
                        saver.after_step()
                figures = {"loss": progress.loss_sum / steps, "top1": progress.top1_sum / steps}
                metrics.row(epoch=progress.epoch + 1, phase=trainer.state.value, lr=trainer.lr, **figures)
                trainer.next_epoch()
                saver.after_step()
        saver.save()
