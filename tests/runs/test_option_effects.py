import pytest

from flowchroma.runs.option_effects import changes_continuation, changes_result


@pytest.mark.parametrize(
    ("key", "result", "continuation"),
    [
        # Where, how fast, and what is written.
        ("data.root", False, False),
        ("trainer.log_every_n_steps", False, False),
        ("callbacks.resumable.every_n_steps", False, False),
        ("name", False, False),
        ("record.git.commit", False, False),
        ("hydra/launcher", False, False),
        # What acts in every step.
        ("loss.l1", True, True),
        ("data.batch_size", True, True),
        ("trainer.precision", True, True),
        ("callbacks", True, True),
        ("callbacks.ema.decay", True, True),
        ("optimized_metric", True, True),
        ("model@stage.flow", True, True),
        # What acted before a checkpoint was written, and the end, which a run that goes on may put off.
        ("weights.model", True, False),
        ("callbacks.projections.clips", True, False),
        ("trainer.max_steps", True, False),
        # The start of a word is not the word.
        ("data.roots", True, True),
        ("resumes", True, True),
    ],
)
def test_what_changes_what_is_learnt(key: str, result: bool, continuation: bool) -> None:
    assert changes_result(key) == result
    assert changes_continuation(key) == continuation
