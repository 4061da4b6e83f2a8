from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image

from flowchroma.training import Panels
from flowchroma.training.stage import ValidationPanel


class Pictured:
    """A logger that counts what it is given."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def log_image(self, key: str, images: list, step: int, caption: list[str]) -> None:
        self.steps.append(step)


def validate(panels: Panels, logger: Pictured, step: int, max_steps: int, fn: TrainerFn = TrainerFn.FITTING) -> None:
    trainer = SimpleNamespace(
        is_global_zero=True, sanity_checking=False, global_step=step, max_steps=max_steps, loggers=[logger],
        state=SimpleNamespace(fn=fn),
    )  # fmt: skip
    images = {"gray": torch.zeros(3, 4, 6), "own": torch.ones(3, 4, 6), "truth": torch.full((3, 4, 6), 0.5)}
    panels.on_validation_epoch_end(trainer, SimpleNamespace(shown=[ValidationPanel(images, "bear 0..7")]))


@pytest.mark.parametrize(
    ("every", "max_steps", "limit"), [(1, 1000, 10), (7, 1000, 10), (300, 1000, 10), (10, 30, 50), (1, 53, 50)]
)
def test_a_run_gives_no_more_pictures_than_asked_for_evenly_and_always_the_last(
    tmp_path: Path, every: int, max_steps: int, limit: int
) -> None:
    panels, logger = Panels(str(tmp_path), limit), Pictured()
    steps = [*range(every, max_steps, every), max_steps]
    for step in steps:
        validate(panels, logger, step, max_steps)
    assert len(logger.steps) <= limit + 1
    assert logger.steps[-1] == max_steps
    assert len(logger.steps) >= min(len(steps), limit // 2)
    gaps = [b - a for a, b in zip(logger.steps[:-1], logger.steps[1:-1], strict=False)]
    assert max(gaps, default=0) - min(gaps, default=0) <= every
    assert len(list(tmp_path.glob("*.png"))) <= limit


def test_without_a_known_end_every_validation_is_shown_and_old_files_go(tmp_path: Path) -> None:
    panels, logger = Panels(str(tmp_path), 3), Pictured()
    for step in range(10):
        validate(panels, logger, step, -1)
    assert logger.steps == list(range(10))
    assert sorted(int(p.stem) for p in tmp_path.glob("*.png")) == [7, 8, 9]


def test_the_best_weights_are_shown_at_the_end_whatever_came_before(tmp_path: Path) -> None:
    panels, logger = Panels(str(tmp_path), 2), Pictured()
    for step in (10, 11):
        validate(panels, logger, step, 100)
    validate(panels, logger, 12, 100, TrainerFn.VALIDATING)
    assert logger.steps == [10, 12]


def test_a_panel_says_in_the_file_what_is_in_it(tmp_path: Path) -> None:
    validate(Panels(str(tmp_path)), Pictured(), 40, 100)
    with Image.open(tmp_path / "0000040.png") as panel:
        assert panel.info["caption"] == "gray | own | truth | bear 0..7"
        assert panel.getpixel((2 + 8, 2)) == (255, 255, 255)
        assert panel.size == (2 + 3 * 8, 4 + 4)
