"""The picture at the head of the README: a film's frames in gray, as they were coloured, and as they were.

python -m flowchroma.colorize source=flower.mp4 reference=first output=coloured.mp4
python benchmarks/picture.py flower.mp4 coloured.mp4 docs/film.jpg --frames 25 55
"""

import argparse

import numpy as np
import torch
from PIL import Image

from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.film import open_film

GAP = 4  # white pixels between pictures


def without_colour(rgb: np.ndarray) -> np.ndarray:
    """The luminance of (H, W, 3) uint8 RGB, as such."""
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    lab[:, 1:] = 0
    return lab_to_rgb8(lab)[0].permute(1, 2, 0).numpy()


def main() -> None:
    """Write the picture: a row a frame."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("coloured")
    parser.add_argument("picture")
    parser.add_argument("--frames", type=int, nargs="+", default=[25, 55])
    options = parser.parse_args()
    true = open_film(options.film).read(options.frames)
    coloured = open_film(options.coloured).read(options.frames)
    rows = [[without_colour(rgb), made, rgb] for rgb, made in zip(true, coloured, strict=True)]
    height, width = true[0].shape[:2]
    shape = (len(rows) * (height + GAP) - GAP, 3 * (width + GAP) - GAP, 3)
    sheet = np.full(shape, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + GAP), j * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    Image.fromarray(sheet).save(options.picture, quality=88, optimize=True)


if __name__ == "__main__":
    main()
