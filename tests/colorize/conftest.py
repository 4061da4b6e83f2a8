import runpy
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from flowchroma import colorize
from flowchroma.app.colouring import job

STAND_IN = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "stand_in.py"))


@pytest.fixture
def system(monkeypatch):
    """A stand-in for the networks: the references' mean colour; `calls` lists what its matcher is given."""
    system = STAND_IN["stand_in"]()
    monkeypatch.setattr(job, "load_system", lambda checkpoint: system)
    system.calls = system.matcher.calls
    return system


@pytest.fixture
def run(command):
    """Run the command, without its report unless the arguments ask for one."""
    colour = command(colorize.main)

    def ran(*arguments):
        told = any(argument.startswith(("report=", "-")) for argument in arguments)
        return colour(*arguments, *(() if told else ("report=false",)))

    return ran


@pytest.fixture
def textured():
    """Make a function that gives a gray frame, (H, W, 3)."""

    def made(size, shift=0):
        y, x = np.mgrid[: size[0], : size[1]]
        luma = 110 + 70 * np.sin((x + shift) / 7) * np.cos(y / 9)
        return luma.astype(np.uint8)[:, :, None].repeat(3, 2)

    return made


@pytest.fixture
def film_file(textured):
    """Make a function that writes a film."""

    def made(path, frames=6, size=(64, 96), sound=False):
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=24, options={"crf": "5"})
            stream.width, stream.height = size[1], size[0]
            stream.pix_fmt = "yuv420p" if size[0] % 2 == size[1] % 2 == 0 else "yuv444p"
            track = output.add_stream("aac", rate=44100, layout="mono") if sound else None
            for n in range(frames):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(textured(size, 3 * n), format="rgb24")))
            output.mux(stream.encode(None))
            if track:
                for n in range(frames * 2):
                    tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                    tone.rate, tone.pts = 44100, 1024 * n
                    output.mux(track.encode(tone))
                output.mux(track.encode(None))
        return path

    return made


@pytest.fixture
def picture():
    """Make a function that writes a picture of one colour."""

    def made(path, value=(200, 80, 60), size=(50, 70)):
        path.parent.mkdir(exist_ok=True, parents=True)
        assert cv2.imwrite(str(path), np.full((*size, 3), value[::-1], np.uint8))
        return path

    return made
