"""Which options change what a run learns: stated once, for naming runs, comparing them and resuming one.

Keys are dotted, as in `optimizer.lr`; a group's choice is the group, as in `model`.
"""

from collections.abc import Sequence

# What a checkpoint holds weights of, and what it holds the state of: neither can be changed when a run is resumed.
NETWORK = ("model", "stage")
OPTIMIZER = ("optimizer", "scheduler")

# Where a run computes, how fast, and what it writes.
_SURROUNDINGS = (
    "hydra", "name", "run_dir", "record", "resume", "logger", "trainer", "callbacks", "data.root", "data.num_workers",
)  # fmt: skip
# What acts before the first step alone.
_START = ("weights", "callbacks.projections")
# When a run ends.
_LENGTH = ("trainer.max_steps", "trainer.max_epochs")
# What within the surroundings acts in every step.
_EACH_STEP = (
    "trainer.precision", "trainer.accumulate_grad_batches", "trainer.gradient_clip_val", "callbacks.ema",
)  # fmt: skip


def changes_result(key: str) -> bool:
    """Whether two whole runs that differ in an option or a group, as typed or as recorded, may learn something else."""
    key = key.split("@")[0].replace("/", ".")
    if key == "callbacks":  # the group decides whether weights are averaged
        return True
    return not is_within(key, _SURROUNDINGS) or is_within(key, (*_START, *_LENGTH, *_EACH_STEP))


def changes_continuation(key: str) -> bool:
    """Whether a run that goes on from a checkpoint with another value of this option may learn something else."""
    return changes_result(key) and not is_within(key, (*_START, *_LENGTH))


def is_within(key: str, groups: Sequence[str]) -> bool:
    """Whether a dotted key is one of `groups` or below one."""
    return any(f"{key}.".startswith(f"{group}.") for group in groups)
