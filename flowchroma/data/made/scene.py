"""Textured layers under a moving camera: their pictures, and their exact backward flow with its visibility."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowchroma.data.made.plane_motion import Matrix, PlaneMotion
from flowchroma.film.film import check_indices


@dataclass(frozen=True)
class Layer:
    """A textured plane.

    `motion` maps the plane's own units to the world's, whose unit is the frame's longer side.
    """

    texture: Tensor  # (3, h, w), RGB in [0, 1], stretched over `extent`; mirrored beyond it
    extent: tuple[float, float]  # half the width and half the height that the texture covers
    motion: PlaneMotion
    # (1, h, w), pixels to the outline, negative outside it and at the border; None: infinite
    shape: Tensor | None = None


class Scene:
    """Layers, from back to front, seen by a camera.

    Every map between pixels and a layer is a homography, so the backward flow of a pixel has a closed form. A pixel
    belongs to the foremost layer whose outline encloses its centre.
    """

    def __init__(self, layers: Sequence[Layer], camera: PlaneMotion, size: tuple[int, int]) -> None:
        self.layers = layers
        self.camera = camera
        self.size = size
        self._unit = max(size)
        height, width = size
        self._y = ((torch.arange(height) - (height - 1) / 2) / self._unit)[:, None]
        self._x = ((torch.arange(width) - (width - 1) / 2) / self._unit)[None, :]

    def render(self, time: float) -> Tensor:
        """Render the frame at `time`: (3, H, W), RGB in [0, 1], outlines antialiased, no noise."""
        height, width = self.size
        picture = torch.zeros(3, height, width)
        for layer in self.layers:
            to_texture = self._to_texture(layer, time)
            rows, columns = self._window(layer, to_texture)
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            grid = _project(to_texture, self._x[:, columns], self._y[rows])
            colour = _sample(layer.texture, grid, "reflection")
            part = picture[:, rows, columns]
            if layer.shape is None:
                part.copy_(colour)
            else:
                part.lerp_(colour, (_sample(layer.shape, grid) + 0.5).clamp_(0, 1))
        return picture

    def flow(self, time: float, before: float) -> tuple[Tensor, Tensor]:
        """Find where each pixel of the frame at `time` was in the frame at `before`.

        Returns:
            Flow (2, H, W) in pixels, (x, y), and visible (1, H, W), bool: at `before` the point was inside the frame
            and no other layer was over it.
        """
        owner = self._owner(time)
        past_x, past_y = torch.empty(self.size), torch.empty(self.size)
        for index, layer in enumerate(self.layers):
            back = np.linalg.inv(self._to_texture(layer, before)) @ self._to_texture(layer, time)
            grid = _project(back, self._x, self._y)
            owned = owner == index
            past_x = torch.where(owned, grid[..., 0], past_x)
            past_y = torch.where(owned, grid[..., 1], past_y)
        flow = torch.stack((past_x - self._x, past_y - self._y)) * self._unit
        visible = self._inside(past_x, past_y) & (self._owner_at(before, past_x, past_y) == owner)
        return flow, visible[None]

    def flows(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """See `HasExactFlow.read_flow`."""
        flows, visible = zip(*(self.flow(index, index - 1) for index in indices), strict=True)
        started = torch.tensor(indices).view(-1, 1, 1, 1) > 0
        return torch.stack(flows), torch.stack(visible) & started

    def _owner(self, time: float) -> Tensor:
        height, width = self.size
        owner = torch.zeros(height, width, dtype=torch.uint8)
        for index, layer in enumerate(self.layers):
            if layer.shape is None:
                owner.fill_(index)
                continue
            to_texture = self._to_texture(layer, time)
            rows, columns = self._window(layer, to_texture)
            if rows.start < rows.stop and columns.start < columns.stop:
                grid = _project(to_texture, self._x[:, columns], self._y[rows])
                owner[rows, columns].masked_fill_(_sample(layer.shape, grid)[0] > 0, index)
        return owner

    def _owner_at(self, time: float, x: Tensor, y: Tensor) -> Tensor:
        owner = torch.zeros(x.shape, dtype=torch.uint8)
        for index, layer in enumerate(self.layers):
            if layer.shape is None:
                owner.fill_(index)
            else:
                grid = _project(self._to_texture(layer, time), x, y)
                owner.masked_fill_(_sample(layer.shape, grid)[0] > 0, index)
        return owner

    def _to_texture(self, layer: Layer, time: float) -> Matrix:
        """The homography from the frame, in units of its longer side from its middle, to [-1, 1] on the texture."""
        world_to_layer = np.linalg.inv(layer.motion.matrix(time))
        stretch = np.diag((1 / layer.extent[0], 1 / layer.extent[1], 1.0))
        return stretch @ world_to_layer @ self.camera.matrix(time)

    def _window(self, layer: Layer, to_texture: Matrix) -> tuple[slice, slice]:
        """The rows and columns of the pixels that a layer with an outline can cover."""
        height, width = self.size
        if layer.shape is None:
            return slice(0, height), slice(0, width)
        corners = np.linalg.inv(to_texture) @ np.array(((-1, 1, 1, -1), (-1, -1, 1, 1), (1, 1, 1, 1)))
        columns = corners[0] / corners[2] * self._unit + (width - 1) / 2
        rows = corners[1] / corners[2] * self._unit + (height - 1) / 2
        return _between(rows, height), _between(columns, width)

    def _inside(self, x: Tensor, y: Tensor) -> Tensor:
        slack = 1e-4 / self._unit  # so that rounding does not hide the border of a still picture
        return (x.abs() <= self._x[0, -1] + slack) & (y.abs() <= self._y[-1, 0] + slack)


class RenderedFilm(ABC):
    """A film that is rendered from a scene, with exact flow."""

    name: str
    frames: int
    files: ClassVar[Sequence[Path]] = ()

    @property
    @abstractmethod
    def scene(self) -> Scene:
        """What is rendered."""

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Render a frame, (H, W, 3) uint8 RGB."""
        return to_uint8(self.scene.render(index))

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame in order, (H, W, 3) uint8 RGB."""
        return (self.frame(index) for index in range(len(self)))

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[NDArray[np.uint8]]:
        """Render frames of the film, (H, W, 3) uint8 RGB each, at full size whatever `at_least` is."""
        check_indices(self.name, indices, self.frames)
        return [self.frame(index) for index in indices]

    def read_flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """See `flowchroma.film.film.HasExactFlow.read_flow`."""
        check_indices(self.name, indices, self.frames)
        return self.scene.flows(indices)


def to_uint8(picture: Tensor) -> NDArray[np.uint8]:
    """Convert (3, H, W) in [0, 1] to (H, W, 3) uint8."""
    return picture.mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0).contiguous().numpy()


def _project(matrix: Matrix, x: Tensor, y: Tensor) -> Tensor:
    """Apply a homography to points: x and y that broadcast to (h, w), to (h, w, 2)."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    grid = torch.stack(((a * x + c) + b * y, (d * x + f) + e * y), dim=-1)
    if g == 0 and h == 0:
        return grid / i
    return grid / ((g * x + i) + h * y)[..., None]


def _sample(image: Tensor, grid: Tensor, padding: str = "border") -> Tensor:
    return F.grid_sample(image[None], grid[None], padding_mode=padding, align_corners=False)[0]


def _between(values: np.ndarray, size: int) -> slice:
    start, stop = int(np.floor(values.min())), int(np.ceil(values.max())) + 1
    return slice(min(max(start, 0), size), min(max(stop, 0), size))
