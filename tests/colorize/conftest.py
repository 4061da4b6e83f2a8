import av
import cv2
import numpy as np
import pytest
import torch

from flowchroma import colorize


class MeanColour(torch.nn.Module):
    """Stands in for the networks: the references' mean colour, and after a known frame that frame's."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def start(self, *references):
        self.calls += [("start", tuple(group.shape)) for group in references]
        return torch.stack([group[:, :, 1:].mean((1, 3, 4)) for group in references]).mean(0)

    def step(self, luma, state):
        assert not torch.is_grad_enabled()
        assert 0 <= luma.min() <= luma.max() <= 100.01
        self.calls.append(("step", tuple(luma.shape)))
        return state[:, :, None, None].expand(-1, -1, *luma.shape[-2:]), state

    def observe(self, luma, ab, state):
        assert luma.shape[-2:] == ab.shape[-2:]
        self.calls.append(("observe", tuple(ab.shape)))
        return ab.mean((2, 3))


@pytest.fixture
def system(monkeypatch):
    system = MeanColour()
    monkeypatch.setattr(colorize, "load_system", lambda checkpoint: system)
    return system


@pytest.fixture
def run(command):
    return command(colorize.main)


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
