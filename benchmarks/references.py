"""What the choice of references does to matching alone: the table in docs/matching.md.

    python benchmarks/references.py DAVIS/JPEGImages/240p/{blackswan,camel}
    python benchmarks/references.py --checkpoint outputs/swintexco/RUN films/*.mp4

PSNR of 8-bit RGB in dB, mean over the frames that are no reference, then over clips. Each
clip's first `--frames` count.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

from flowchroma.app.systems import load_part
from flowchroma.colorizers import MatchingAlone, Painter
from flowchroma.film import open_film
from flowchroma.metrics import psnr


@torch.inference_mode()
def score(matcher: torch.nn.Module, frames: Tensor, references: Sequence[int], left_out: set[int], size: int) -> float:
    """Mean PSNR of a clip, (T, 3, H, W) uint8, coloured from these of its frames, without those left out."""
    painter = Painter(MatchingAlone(matcher), size)  # type: ignore[arg-type]
    painter.start(*(frames[index, None] for index in references))
    figures = []
    for index, frame in enumerate(frames):
        if index not in left_out:
            figures.append(psnr(painter.paint(frame[None]), frame[None], data_range=255))
    return float(torch.cat(figures).mean())


def main() -> None:
    """Print a row a clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--checkpoint")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--every", type=int, default=3, help="of so many frames, one is scored")
    parser.add_argument("--size", type=int, default=240)
    given = parser.parse_args()
    matcher = load_part("matcher", given.checkpoint)
    rows = []
    print("| clip | first frame | last frame | both |\n|---|---|---|---|")
    for path in given.clips:
        film = open_film(path)
        count = min(len(film), given.frames)
        frames = torch.stack([torch.from_numpy(f).permute(2, 0, 1) for f in film.read(range(count))])
        unscored = {n for n in range(count) if n % given.every != 1} | {0, count - 1}
        choices: tuple[list[int], ...] = ([0], [count - 1], [0, count - 1])
        rows.append([score(matcher, frames, chosen, unscored, given.size) for chosen in choices])
        print(f"| {film.name} | {' | '.join(f'{figure:.2f}' for figure in rows[-1])} |", flush=True)
    means = torch.tensor(rows).mean(0)
    print(f"| mean | {' | '.join(f'{figure:.2f}' for figure in means)} |")


if __name__ == "__main__":
    main()
