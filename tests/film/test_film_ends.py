"""Ends that fail: no frame that is done is lost, and none is called done that is not."""

import subprocess
import sys
from pathlib import Path

import av
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film, open_writer
from flowchroma.film.muxer import mux

pytestmark = pytest.mark.filterwarnings("ignore:.*trying less.*")


def copy(source, target):
    film = open_film(source)
    with open_writer(target, like=film) as writer:
        for frame in film:
            writer.write(frame)


@pytest.mark.parametrize("failing", [("copied",), ("copied", "encoded"), ("copied", "encoded", "alone")])
def test_an_end_that_fails_costs_no_frame(tmp_path, write_film, numbered, number_of, monkeypatch, failing):
    source = write_film(tmp_path / "in.mp4", [numbered(n) for n in range(30)], sound={"aac": 1})
    tried = []

    def fragile(path, container, encoder, others, limit=None):
        if limit is None:
            tried.append(container)
            if container == "mp4" and len(tried) <= len(failing):
                raise av.error.ArgumentError(22, "Invalid argument")
        mux(path, container, encoder, others, limit)

    monkeypatch.setattr("flowchroma.film.outputs.mux", fragile)
    target = tmp_path / "out.mp4"
    if len(failing) < 3:
        with pytest.warns(UserWarning, match="trying less"):
            copy(source, target)
    else:
        with pytest.raises(UserError, match=r"30 frames that are done are kept in .*out\.mp4-part\.mkv"):
            copy(source, target)
        assert not target.exists()
        target = tmp_path / "out.mp4-part.mkv"
    assert [number_of(frame) for frame in open_film(target)] == list(range(30))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_disk_that_fills_up_late_costs_no_frame(tmp_path, write_film, numbered, number_of, monkeypatch):
    from flowchroma.film.outputs import write_png

    def nearly_full(path, rgb):
        if path.stem == "00007":
            raise OSError(28, "No space left on device")
        write_png(path, rgb)

    monkeypatch.setattr("flowchroma.film.outputs.write_png", nearly_full)
    source = write_film(tmp_path / "in.mp4", [numbered(n) for n in range(25)])
    with pytest.raises(UserError, match=r"No space left.*7 frames that are done are kept in .*out-part"):
        copy(source, tmp_path / "out")
    assert [number_of(frame) for frame in open_film(tmp_path / "out-part")] == list(range(7))


def test_what_was_encoded_before_a_disk_was_full_can_be_shown(tmp_path):
    """In a process of its own, whose files may not grow beyond a size."""
    script = """
import resource, signal, sys
import numpy as np
from flowchroma.film import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
rng = np.random.default_rng(0)
with open_writer(sys.argv[1]) as writer:
    for _ in range(200):
        writer.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert "File too large; " in done.stderr
    (kept,) = tmp_path.iterdir()
    assert kept.name == "out.mp4-part.h264"
    frames = int(done.stderr.split("File too large; ")[1].split()[0])
    assert frames > 10
    assert abs(len(open_film(kept)) - frames) <= 2


def test_what_is_not_what_was_meant_is_not_called_done(tmp_path, write_film, numbered, monkeypatch):
    source = write_film(tmp_path / "in.mp4", [numbered(n) for n in range(25)])

    def lossy(path, container, encoder, others, limit=None):
        if limit is None and container == "mp4":
            whole = list(encoder.packets())
            monkeypatch.setattr(encoder, "packets", lambda: iter(whole[:-3]))
            mux(path, container, encoder, others, limit)
            monkeypatch.setattr(encoder, "packets", lambda: iter(whole))
        else:
            mux(path, container, encoder, others, limit)

    monkeypatch.setattr("flowchroma.film.outputs.mux", lossy)
    with pytest.raises(UserError, match="shows 22 frames, not 25; 25 frames that are done are kept"):
        copy(source, tmp_path / "out.mp4")
