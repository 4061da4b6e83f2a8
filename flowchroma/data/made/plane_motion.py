"""Smooth, bounded motion of planes, for the layers and the camera of a generated film."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (3, 3), acts on homogeneous (x, y, 1)


@dataclass(frozen=True)
class Wave:
    """An oscillating value, `mean + rate * t + amplitude * sin(2 pi t / period + phase)`, t in frames."""

    mean: float = 0.0
    amplitude: float = 0.0
    period: float = 1.0  # frames
    phase: float = 0.0
    rate: float = 0.0  # a frame

    def __call__(self, time: float) -> float:
        """Give the value at a time in frames."""
        oscillation = self.amplitude * math.sin(2 * math.pi * time / self.period + self.phase)
        return self.mean + self.rate * time + oscillation


STILL = Wave()


def draw_wave(rng: np.random.Generator, amplitude: float, speed: float, mean: float = 0.0) -> Wave:
    """Draw a wave of `amplitude` that changes by at most `speed` a frame."""
    period = 2 * math.pi * amplitude / max(speed, 1e-9)
    return Wave(mean, amplitude, max(period, 1.0), rng.uniform(0, 2 * math.pi))


@dataclass(frozen=True)
class PlaneMotion:
    """The homography of a plane into another one at each time: tilt, then rotation and scale, then translation."""

    x: Callable[[float], float] = STILL
    y: Callable[[float], float] = STILL
    angle: Callable[[float], float] = STILL  # radians
    log_scale: Callable[[float], float] = STILL
    tilt_x: Callable[[float], float] = STILL  # the perspective row of the homography
    tilt_y: Callable[[float], float] = STILL

    def matrix(self, time: float) -> Matrix:
        """Give the homography from this plane to the other at `time`."""
        scale, angle = math.exp(self.log_scale(time)), self.angle(time)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        turn = np.array(((cos, -sin, 0), (sin, cos, 0), (0, 0, 1)))
        tilt = np.array(((1, 0, 0), (0, 1, 0), (self.tilt_x(time), self.tilt_y(time), 1)))
        move = np.array(((1, 0, self.x(time)), (0, 1, self.y(time)), (0, 0, 1)))
        return move @ turn @ tilt


def draw_camera(rng: np.random.Generator, strength: float) -> PlaneMotion:
    """Draw a camera: at rest (in a fifth of all cases), or panning, turning, zooming and tilting.

    Args:
        rng: the source of randomness.
        strength: factor on all speeds; at 1 the picture mostly moves by 0 to 2% of its longer side a frame.

    Returns:
        The motion of the camera's frame in the world, in units of the frame's longer side.
    """
    moves = rng.random() > 0.2
    speed = strength * moves * (rng.uniform(0, 0.012) if rng.random() < 0.8 else rng.uniform(0.012, 0.03))
    direction = rng.uniform(0, 2 * math.pi)
    pan = (abs(speed * math.cos(direction)), abs(speed * math.sin(direction)))
    slow = strength * moves
    return PlaneMotion(
        x=draw_wave(rng, rng.uniform(0.05, 0.35), pan[0]),
        y=draw_wave(rng, rng.uniform(0.05, 0.2), pan[1]),
        angle=draw_wave(rng, rng.uniform(0, 0.15), slow * rng.uniform(0, 0.015)),
        log_scale=draw_wave(rng, rng.uniform(0, 0.2), slow * rng.uniform(0, 0.015)),
        tilt_x=draw_wave(rng, rng.uniform(0, 0.06), slow * rng.uniform(0, 0.004)),
        tilt_y=draw_wave(rng, rng.uniform(0, 0.06), slow * rng.uniform(0, 0.004)),
    )


def draw_object(rng: np.random.Generator, strength: float, reach: tuple[float, float]) -> PlaneMotion:
    """Draw the motion of an object: it moves to and fro, rotates and changes its size, and may leave the frame.

    Args:
        rng: the source of randomness.
        strength: factor on all speeds; at 1 it mostly moves by 0 to 3% of the longer side a frame, at most 10%.
        reach: half the width and half the height of the frame, in units of its longer side.

    Returns:
        The motion of the object's plane in the world.
    """
    speed = strength * (rng.uniform(0.001, 0.03) if rng.random() < 0.8 else rng.uniform(0.03, 0.1))
    direction = rng.uniform(0, 2 * math.pi)
    return PlaneMotion(
        x=draw_wave(rng, rng.uniform(0.2, 1.6) * reach[0], abs(speed * math.cos(direction)), _within(rng, reach[0])),
        y=draw_wave(rng, rng.uniform(0.2, 1.6) * reach[1], abs(speed * math.sin(direction)), _within(rng, reach[1])),
        angle=Wave(rng.uniform(0, 2 * math.pi), rate=strength * rng.uniform(-0.04, 0.04)),
        log_scale=draw_wave(rng, rng.uniform(0, 0.2), strength * rng.uniform(0, 0.02)),
    )


def _within(rng: np.random.Generator, reach: float) -> float:
    return rng.uniform(-0.7, 0.7) * reach
