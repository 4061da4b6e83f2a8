"""Resuming a run exactly, and stopping it so that it can be resumed."""

import logging
import shutil
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from flowchroma import processes
from flowchroma.errors import UserError
from flowchroma.training.checkpoint_files import LAST
from flowchroma.training.random_state import random_state, set_random_state

_log = logging.getLogger(__name__)
_PLACE = "place"  # this callback's entry in a checkpoint
_STOPPING = ("SIGTERM", "SIGUSR1", "SIGINT")


class Resumable(Callback):
    """Saves a run so that it goes on to the bit, now and then and when a signal stops it.

    What Lightning's checkpoints lack is added to all of them: the random streams of every process, and where the epoch
    stands, so that clips that were trained on are not seen again. `last.ckpt` is saved between two steps, when all that
    belongs to the one is done: its validation is over and its figures are on disk. It has to be the first callback.

    SIGTERM, SIGUSR1 and Ctrl-C end the run at the next such place, after saving; a second Ctrl-C ends it at once.

    Args:
        directory: where `last.ckpt` goes.
        every_n_steps: optimizer steps from one to the next; it is also saved after each validation.
    """

    def __init__(self, directory: str, every_n_steps: int = 200) -> None:
        self.directory, self.every_n_steps = Path(directory), every_n_steps
        self._place: dict[str, Any] | None = None  # to go on from
        self._saved, self._validated, self._signal = 0, False, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals. Lightning gives them back when it ends; its own reaction would end amid a step."""
        if threading.current_thread() is threading.main_thread():
            for name in _STOPPING:
                if hasattr(signal, name):
                    signal.signal(getattr(signal, name), self._note)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Finish going on; save if it is time; end on a signal, by a `UserError` with its code."""
        if self._place is not None:
            self._go_on(trainer, self._place)
            self._place = None
        if batch_idx % trainer.accumulate_grad_batches:
            return
        stop = self._asked_to_stop(trainer)
        if stop or self._validated or steps_done(trainer) - self._saved >= self.every_n_steps:
            self._save(trainer)
        if stop:
            self._stop(trainer, stop)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save before the next step."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of the run, before anything is done to its weights."""
        if trainer.fit_loop.done:
            self._save(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning leaves out, and mend what it counts too early."""
        if "loops" not in checkpoint:
            return
        loop = trainer.fit_loop.epoch_loop
        # A validation belongs to a step that is counted only after it.
        within = trainer.validating and not loop._should_accumulate()
        batches = _settle(checkpoint["loops"]["fit_loop"], trainer.num_training_batches)
        checkpoint[_PLACE] = {
            "step": steps_done(trainer) + int(within),
            "clips": batches * _clips_a_batch(trainer),
            "clips_a_batch": _clips_a_batch(trainer),
            "processes": trainer.world_size,
            "random": processes.gather(random_state()),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Rewind the data and the curves to where the run is; a `UserError` where the checkpoint does not say."""
        if _PLACE not in checkpoint:
            raise UserError("the checkpoint has weights but no run to go on with: give it as weights.model")
        place = self._place = checkpoint[_PLACE]
        if place["clips_a_batch"] != _clips_a_batch(trainer) or place["processes"] != trainer.world_size:
            _log.warning(
                "going on with %d processes and %d clips a batch, where it were %d and %d: losses will differ",
                trainer.world_size, _clips_a_batch(trainer), place["processes"], place["clips_a_batch"],
            )  # fmt: skip
            batches = place["clips"] // _clips_a_batch(trainer)
            _set(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"], batches)
        data: Any = getattr(trainer, "datamodule", None)
        if hasattr(data, "skip_clips"):
            data.skip_clips(place["clips"])
        for logger in trainer.loggers:
            if hasattr(logger, "rewind"):
                logger.rewind(place["step"])
        _move_paths(checkpoint, self.directory)

    def _go_on(self, trainer: Trainer, place: dict[str, Any]) -> None:
        trainer.fit_loop.epoch_loop._batches_that_stepped = self._saved = place["step"]
        if trainer.global_rank < len(place["random"]):
            set_random_state(place["random"][trainer.global_rank])
        self._validated = False

    def _save(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()  # or rows before this step could be lost
        trainer.save_checkpoint(self.directory / LAST, weights_only=False)
        self._saved, self._validated = steps_done(trainer), False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._signal:
            print("flowchroma: stopped at once; go on from the last save with resume=last", file=sys.stderr)
            raise KeyboardInterrupt
        self._signal = number
        if number == signal.SIGINT:
            print("flowchroma: stopping after this step; Ctrl-C again to stop at once", file=sys.stderr)

    def _asked_to_stop(self, trainer: Trainer) -> int:
        """The number of the signal that any of the processes has had, or 0."""
        if trainer.world_size == 1:
            return self._signal
        had = torch.tensor(float(self._signal), device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(had, reduce_op="max"))

    def _stop(self, trainer: Trainer, number: int) -> None:
        if not trainer.is_global_zero:
            raise UserError("", code=0)  # one process speaks for all
        raise UserError(
            f"stopped by {signal.Signals(number).name} at step {steps_done(trainer)}, saved in {self.directory / LAST}:"
            " go on with the same command and resume=last",
            code=128 + number,
        )


def steps_done(trainer: Trainer) -> int:
    """Optimizer steps, as loggers count them: one a batch, or one for so many batches as are accumulated."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def _settle(loops: dict[str, Any], batches_an_epoch: float) -> int:
    """Make the counts of a fit loop those between two steps, and tell how many batches of the epoch are done.

    Lightning counts a batch as ready before it has been trained on, and takes an epoch that the run's end cuts off for
    a whole one.
    """
    batch, epoch = loops["epoch_loop.batch_progress"], loops["epoch_progress"]
    if batch["total"]["started"] != batch["total"]["completed"]:
        return batch["current"]["completed"]  # within a step: of another callback's making, and left to Lightning
    before_a_batch = batch["total"]["ready"] != batch["total"]["completed"]
    done = batch["current"]["completed"]
    whole = not before_a_batch and (batch["is_last_batch"] or done >= batches_an_epoch)
    for part in ("total", "current"):
        _set(batch[part], 0 if whole and part == "current" else batch[part]["completed"])
        _set(epoch[part], epoch[part]["ready"])
        if not whole:
            epoch[part]["processed"] = epoch[part]["completed"] = epoch[part]["ready"] - 1
    batch["is_last_batch"] = False
    return 0 if whole else done


def _set(progress: dict[str, int], value: int) -> None:
    progress.update(dict.fromkeys(progress, value))


def _clips_a_batch(trainer: Trainer) -> int:
    """Clips that all processes take together."""
    return getattr(getattr(trainer, "datamodule", None), "batch_size", 1) * trainer.world_size


def _move_paths(checkpoint: dict[str, Any], directory: Path) -> None:
    """Keep the best score of a run whose directory was moved: Lightning drops that of another folder."""
    here = str(directory.resolve())
    for state in checkpoint.get("callbacks", {}).values():
        if isinstance(state, dict) and state.get("dirpath"):
            _bring(Path(state.get("best_model_path") or ""), Path(here))
            for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                if state.get(key):
                    state[key] = str(Path(here) / Path(state[key]).name)
            state["best_k_models"] = {str(Path(here) / Path(p).name): v for p, v in state["best_k_models"].items()}
            state["dirpath"] = here


@rank_zero_only
def _bring(best: Path, directory: Path) -> None:
    """Copy another run's best to where the run goes on, if it is not there: it may remain the best."""
    if best.is_file() and not (directory / best.name).exists():
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(best, directory / best.name)
