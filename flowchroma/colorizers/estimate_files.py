"""Luminance and colour estimates of frames that wait on the disk, so that memory stays flat in a film's length."""

import math
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flowchroma.models.estimate import Estimate

_LEAST, _MOST = 0.25, 100.0  # CIELAB units of expected error, coded in logarithmic steps of 2.4 %
_RANGE = math.log(_MOST / _LEAST)


class EstimateFiles:
    """A folder of frames' luminance and estimates, by frame number.

    Luminance is kept in 16 bits, an estimate in three bytes a pixel: ab in whole CIELAB units, of which rounding is off
    by 0.3 on average, and the expected error.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def bytes_for(frames: int, size: tuple[int, int]) -> int:
        """The most that the files of so many frames, each of (h, w) pixels, take at a time."""
        return frames * 3 * size[0] * size[1]

    def put_luma(self, number: int, luma: Tensor) -> None:
        """Keep L (1, 1, h, w), in [0, 100]."""
        self._save(number, "luma", (luma[0, 0] * 655.35).round().cpu().numpy().astype(np.uint16))

    def take_luma(self, number: int, device: torch.device) -> Tensor:
        """Give L back, (1, 1, h, w), and delete it."""
        path = self._path(number, "luma")
        luma = torch.from_numpy(np.load(path).astype(np.float32)).to(device) / 655.35
        path.unlink()
        return luma[None, None]

    def put(self, number: int, estimate: Estimate) -> None:
        """Keep an estimate, (1, 2, h, w) and (1, 1, h, w)."""
        error = (estimate.error.clamp(_LEAST, _MOST) / _LEAST).log() * (255 / _RANGE)
        coded = torch.cat([estimate.ab + 128, error], dim=1)[0].round().clamp(0, 255)
        self._save(number, "estimate", coded.to(torch.uint8).cpu().numpy())

    def get(self, number: int, device: torch.device) -> Estimate:
        """Give an estimate back."""
        coded = torch.from_numpy(np.load(self._path(number, "estimate"))).to(device).float()[None]
        return Estimate(coded[:, :2] - 128, _LEAST * (coded[:, 2:] * (_RANGE / 255)).exp())

    def has(self, number: int) -> bool:
        """Whether there is an estimate of a frame."""
        return self._path(number, "estimate").exists()

    def drop(self, number: int) -> None:
        """Delete an estimate, if there is one."""
        self._path(number, "estimate").unlink(missing_ok=True)

    def _save(self, number: int, what: str, values: np.ndarray) -> None:
        path = self._path(number, what)
        path.parent.mkdir(parents=True, exist_ok=True)
        side = path.with_suffix(".partial.npy")
        np.save(side, values)
        side.replace(path)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int, what: str) -> Path:
        return self._folder / f"{what}-{number:08}.npy"
