"""How often `ops.is_cut` is wrong: on films without cuts, and on splices of them.

python benchmarks/cuts.py FILM FILM ...      each a single shot: a video file or a folder of frames
"""

import argparse
import random
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import rgb_to_lab
from flowchroma.film import open_film


def luma_of(path: str) -> Tensor:
    """A film's luminance, (T, 1, 240, 432), L in [0, 100]."""
    frames = []
    for frame in open_film(path):
        rgb = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        small = F.interpolate(rgb, size=(240, 432), mode="bilinear", antialias=True).clamp(0, 1)
        frames.append(rgb_to_lab(small)[:, :1])
    return torch.cat(frames)


def light_changed(luma: Tensor) -> dict[str, Tensor]:
    """The same frames under another light."""
    half = luma.clone()
    half[..., : luma.shape[-1] // 2] += 35
    return {
        "light * 1.6": (1.6 * luma).clamp(0, 100),
        "light * 0.4": 0.4 * luma,
        "flash of 40": (luma + 40).clamp(0, 100),
        "flash of 60, most of it clipped": (luma + 60).clamp(0, 100),
        "flash of 35 in one half": half.clamp(0, 100),
    }


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(description="Count what ops.is_cut gets wrong.")
    parser.add_argument("films", nargs="+", metavar="FILM")
    parser.add_argument("--splices", type=int, default=10, help="of each ordered pair of films, at random frames")
    options = parser.parse_args()
    torch.set_num_threads(1)
    films = [luma_of(path) for path in options.films]
    called: dict[str, list[Tensor]] = {}
    for film in films:
        for stride in (1, 2, 3, 5):
            called.setdefault(f"one shot, step of {stride}", []).append(ops.is_cut(film[stride:], film[:-stride]))
        for name, changed in light_changed(film[1:]).items():
            called.setdefault(f"one shot, {name}", []).append(ops.is_cut(changed, film[:-1]))
    draw = random.Random(0)
    for one, other in permutations(films, 2):
        after = torch.stack([one[draw.randrange(len(one))] for _ in range(options.splices)])
        before = torch.stack([other[draw.randrange(len(other))] for _ in range(options.splices)])
        called.setdefault("splices", []).append(ops.is_cut(after, before))
    print("| pairs of frames | called a cut | of |")
    print("|---|---|---|")
    for name, parts in called.items():
        cuts = torch.cat(parts)
        print(f"| {name} | {int(cuts.sum())} | {len(cuts)} |")


if __name__ == "__main__":
    main()
