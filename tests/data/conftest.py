import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from flowchroma.errors import UserError


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """As in a worker; small tensors only wait for more."""
    torch.set_num_threads(1)


class FakeFilm:
    """Frame i is (10 i, 10 i, 10 i) all over, or what `paint` makes of i."""

    path, files = None, ()

    def __init__(self, name="fake", frames=20, size=(32, 48), paint=None):
        self.name, self.frames, self.size, self.paint = name, frames, size, paint
        self.asked = []

    def __len__(self):
        return self.frames

    def read(self, indices, at_least=None):
        assert all(0 <= i < self.frames for i in indices)
        self.asked.append(at_least)
        return [self._frame(i) for i in indices]

    def _frame(self, index):
        if self.paint is not None:
            return self.paint(index)
        return np.full((*self.size, 3), 10 * index, np.uint8)


@pytest.fixture
def fake_film():
    return FakeFilm


class BrokenFilm(FakeFilm):
    """None of its frames can be read."""

    def read(self, indices, at_least=None):
        raise UserError("frame 3 is corrupt")


@pytest.fixture
def broken_film():
    return BrokenFilm("broken", size=(32, 32))


@pytest.fixture
def write_frames():
    """Write a folder of frames; the gray of frame i is 20 i."""
    from PIL import Image

    def write(folder: Path, count: int, size=(24, 32), suffix="jpg", name="{:05d}"):
        folder.mkdir(parents=True)
        for index in range(count):
            image = np.full((*size, 3), 20 * index, np.uint8)
            Image.fromarray(image).save(folder / f"{name.format(index)}.{suffix}")
        return folder

    return write


@pytest.fixture
def davis(tmp_path, write_frames):
    """A set in DAVIS layout: train a, b; val c."""

    def make(resolutions=("480p",), frames=6):
        for resolution in resolutions:
            for sequence in "abc":
                write_frames(tmp_path / "JPEGImages" / resolution / sequence, frames)
        lists = tmp_path / "ImageSets" / "2017"
        lists.mkdir(parents=True)
        (lists / "train.txt").write_text("a\nb\n\n")
        (lists / "val.txt").write_text("c\n")
        return tmp_path

    return make


@pytest.fixture
def on_full_disk():
    """Call a function where no file may grow beyond a size, as on a disk without room; the UserError it raised.

    A process of its own bears the limit, which would hold for pytest as well.
    """
    from flowchroma.errors import UserError

    def call(size, function, *arguments):
        fork = multiprocessing.get_context("fork")
        here, there = fork.Pipe(duplex=False)

        def run():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                function(*arguments)
            except UserError as error:
                there.send(str(error))

        child = fork.Process(target=run)
        child.start()
        assert here.poll(60), "no UserError was raised"
        said = here.recv()
        child.join()
        assert child.exitcode == 0
        return said

    return call


@pytest.fixture
def noisy(tmp_path):
    """A set in DAVIS layout whose frames are noise, so that no two are alike: train a, b, d; val c."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for sequence, count in {"a": 7, "b": 12, "c": 9, "d": 8}.items():
        folder = tmp_path / "set/JPEGImages/480p" / sequence
        folder.mkdir(parents=True)
        for index in range(count):
            coarse = Image.fromarray(draw.integers(0, 256, (6, 8, 3), np.uint8))
            coarse.resize((64, 48)).save(folder / f"{index:05}.jpg")
    lists = tmp_path / "set/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\nd\n")
    (lists / "val.txt").write_text("c\n")
    return tmp_path / "set"


@pytest.fixture
def packed(noisy, tmp_path):
    """The set in shards of one or two films."""
    from flowchroma.data import FrameFolders
    from flowchroma.data.prepare.packing import pack

    source, target = FrameFolders(noisy), tmp_path / "shards"
    assert pack({split: source.films(split) for split in ("train", "val")}, target, shard_bytes=20_000).films == 4
    assert len(list(target.glob("*.tar"))) > 1
    return target
