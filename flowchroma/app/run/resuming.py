"""Which checkpoint a run resumes from, and whether its options still fit."""

import sys
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.records import read_record
from flowchroma.errors import UserError
from flowchroma.files.checkpoints import damage
from flowchroma.runs.option_effects import NETWORK, OPTIMIZER, changes_continuation, is_within
from flowchroma.runs.training_run import flattened
from flowchroma.training.checkpoint_files import LAST, PREVIOUS
from flowchroma.weights.files import WEIGHTS


def checkpoint_to_resume(config: DictConfig) -> Path | None:
    """The checkpoint that `resume` means; None for a new run, which must not overwrite one that has not ended.

    Refuses one that is not there or not whole, or of a run configured otherwise in what cannot be changed.
    """
    run_dir = Path(config.run_dir)
    if config.resume is None:
        _clear(run_dir)
        return None
    found = _find(Path(config.resume) if config.resume != "last" else run_dir / "checkpoints", config.resume == "last")
    if found is not None:
        _check_options(found, config)
        ended = found.parent.parent / "results.csv"
        if ended.is_file():
            _print_once(f"{ended.parent} is a run that has ended: it trains on only up to a higher trainer.max_steps")
    return found


def _find(where: Path, may_lack: bool) -> Path | None:
    if where.is_file():
        if wrong := damage(where):
            raise UserError(f"{where} is cut off or damaged ({wrong}): give another one")
        return where
    folder = where / "checkpoints" if (where / "checkpoints").is_dir() else where
    there = [path for path in (folder / LAST, folder / PREVIOUS) if path.is_file()]
    if not there:
        if may_lack:  # a job that is started again and again does so with one command
            _print_once(f"nothing to go on with in {folder} yet: this run starts from its first step")
            return None
        raise UserError(f"nothing to go on with at {where}: give a run's directory or one of its checkpoints")
    for path in there:
        wrong = damage(path)
        if wrong is None:
            return path
        _print_once(
            f"{path} is cut off or damaged ({wrong})" + (": using the one before it" if path != there[-1] else "")
        )
    raise UserError(f"no checkpoint in {folder} is whole: start again in another hydra.run.dir")


def _clear(run_dir: Path) -> None:
    """Remove what a run that has ended left; refuse, in all processes alike, what one has not."""
    folder = run_dir / "checkpoints"
    old = [folder / LAST, folder / PREVIOUS]
    # In this order, which is against that of removal: the first process may have come to that already.
    ended = (run_dir / "results.csv").exists()
    if not ended and any(path.exists() for path in old):
        raise UserError(
            f"{run_dir} holds a run that has not ended: go on with it by resume=last, or give another hydra.run.dir"
        )
    _remove([*old, folder / "best.ckpt"])
    _remove([run_dir / name for name in ("results.csv", "skipped_steps.csv", "metrics.csv", "wandb_id.txt", WEIGHTS)])


@rank_zero_only
def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _check_options(found: Path, config: DictConfig) -> None:
    record = found.parent.parent / "config.yaml"
    if not record.is_file():
        return
    then, now = (flattened(OmegaConf.to_container(c, resolve=True)) for c in (read_record(record), config))  # type: ignore[arg-type]
    old, new = str(then.get("run_dir")), str(config.run_dir)
    moved = {k: v.replace(old, new) if isinstance(v, str) else v for k, v in then.items()}
    changed = [k for k in {**then, **now} if moved.get(k) != now.get(k) and changes_continuation(k)]
    shown = {k: f"{k}={now.get(k, 'nothing')} instead of {then.get(k, 'nothing')}" for k in changed}
    for keys, reason in (
        (NETWORK, "is of another network or stage"),
        (OPTIMIZER, "brings its own optimizer and schedule along"),
    ):
        if wrong := [shown[k] for k in changed if is_within(k, keys)]:
            more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
            raise UserError(
                f"{found} {reason}: {', '.join(wrong[:4])}{more}. Leave them as they were, or start a new run with"
                f" weights.model={found.parent.parent}"
            )
    if changed:
        _print_once(f"going on with {', '.join(shown[k] for k in changed[:6])}: losses will differ from the run's own")


@rank_zero_only
def _print_once(line: str) -> None:
    print(f"flowchroma: {line}", file=sys.stderr)
