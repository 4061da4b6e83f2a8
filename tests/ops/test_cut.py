import pytest
import torch
from torch import Tensor

from flowchroma.ops import is_cut


def scene(seed: int, size: tuple[int, int] = (120, 200), cell: int = 6) -> Tensor:
    """Shapes of every size above `cell` pixels, L in [20, 70]."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 1, *size)
    for scale in (1, 3, 8):
        coarse = torch.rand(1, 1, size[0] // (cell * scale) + 2, size[1] // (cell * scale) + 2, generator=generator)
        picture += torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return 20 + 50 * picture / 3


def test_another_scene_is_a_cut_and_the_same_one_is_not() -> None:
    before = torch.cat([scene(seed) for seed in range(10)])
    after = torch.cat([scene(seed + 100) for seed in range(10)])
    assert is_cut(after, before).all()
    assert not is_cut(before, before).any()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 1.5 * x - 10,
        lambda x: 0.3 * x,
        lambda x: x + 25,
        lambda x: x + torch.where(torch.arange(x.shape[-1]) < 90, 30, 0),
        lambda x: x + 2 * torch.randn_like(x),
        lambda x: x.roll((8, -30), (-2, -1)),
    ],
    ids=["gain", "fade", "flash", "flash in one half", "grain", "fast pan"],
)
def test_light_grain_and_motion_are_no_cut(change) -> None:
    before = torch.cat([scene(seed) for seed in range(10)])
    assert not is_cut(change(before), before).any()


def test_a_scene_out_of_black_begins_anew_and_black_does_not() -> None:
    black = torch.zeros(1, 1, 120, 200)
    assert is_cut(scene(0), black).item()
    assert not is_cut(black, scene(0)).item()
    assert not is_cut(black, black + 1).item()


def test_items_are_judged_by_themselves_at_any_size() -> None:
    one, other = scene(0, (33, 47), 4), scene(1, (33, 47), 4)
    assert is_cut(torch.cat([one, one]), torch.cat([one, other])).tolist() == [False, True]


def test_shots_of_real_films_are_told_apart(shared) -> None:
    from flowchroma.color import rgb_to_lab
    from flowchroma.film import open_film

    folders = sorted((shared / "data" / "davis" / "JPEGImages" / "240p").iterdir())
    frames = [open_film(folder).read([10, 12]) for folder in folders]
    luma = [rgb_to_lab(torch.from_numpy(f).movedim(-1, 0)[None])[:, :1, :240, :428] for pair in frames for f in pair]
    first, second = torch.cat(luma[::2]), torch.cat(luma[1::2])
    assert not is_cut(second, first).any()
    assert is_cut(first, second.roll(1, 0)).all()
