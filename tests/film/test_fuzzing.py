"""300 damaged films and pictures: each ends in frames or in one line, within a minute and a gigabyte."""

import os
import signal
import time
import traceback
import warnings

import cv2
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import HeldFilm, open_film, open_writer

FILMS = {
    "a.mp4": {"g": "8", "bf": "2", "sound": {"aac": 1}},
    "b.mkv": {"g": "8", "bf": "2", "sound": {"libmp3lame": 1, "aac": 1}},
    "c.ts": {"g": "8", "bf": "2", "sound": {"aac": 1}},
    "d.avi": {"codec": "mpeg4", "g": "8", "bf": "2", "sound": {"pcm_s16le": 1}},
    "e.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full": True},
    "f.mpg": {"codec": "mpeg2video", "g": "8", "sound": {"mp2": 1}},
    "g.webm": {"codec": "libvpx-vp9", "cpu-used": "8", "g": "8"},
    "h.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full": True},
    "i.mkv": {"codec": "ffv1"},
    "j.mp4": {"codec": "libx265", "x265-params": "log-level=none"},
    "k.flv": {"codec": "flv", "sound": {"libmp3lame": 1}},
    "l.mp4": {"g": "8", "bf": "0", "container": {"movflags": "frag_keyframe+empty_moov"}},
    "m.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "n.wmv": {"codec": "wmv2"},
}
PICTURES = ("png", "jpg", "tif", "webp", "bmp", "jp2")
SEEDS = 300
SECONDS, BYTES = 60, 1 << 30


def damaged(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Flip bytes, cut, put another file's head before it, wipe or repeat a stretch: one of these, or two."""
    for _ in range(rng.integers(1, 3)):
        size = max(1, len(data))
        kind = rng.integers(6)
        made = bytearray(data)
        if kind == 0:  # anywhere
            for at in rng.integers(0, size, rng.integers(1, 200)):
                made[at : at + 1] = rng.bytes(1)
        elif kind == 1:  # in the head, where sizes and counts are
            for at in rng.integers(0, min(size, 1500), rng.integers(1, 30)):
                made[at : at + 1] = rng.bytes(1)
        elif kind == 2:
            made = made[: rng.integers(1, size)]
        elif kind == 3:
            cut = int(rng.integers(4, 3000))
            made = bytearray(other[:cut]) + made[cut:]
        elif kind == 4:
            at, length = int(rng.integers(0, size)), int(rng.integers(1, 5000))
            made[at : at + length] = bytes(min(length, size - at))
        else:
            at, length = int(rng.integers(0, size)), int(rng.integers(1, 5000))
            made[at:at] = made[at : at + length]
        data = bytes(made) or b"\0"
    return data


def coloured(source, output) -> str:
    """What becomes of a film: "frames", or the line that says why not."""
    try:
        film = open_film(source)
        _ = film.notes
        with open_writer(output, like=film) as writer:
            for frame in HeldFilm(film):
                writer.write(frame)
        return "frames" if len(open_film(output)) == len(film) else "frames are missing"
    except UserError as error:
        return f"line: {error}"


def in_a_process(task, report) -> str:
    """Run a task apart: what it gave, or how it broke a bound."""
    child = os.fork()
    if child == 0:
        warnings.simplefilter("ignore")
        try:
            said = task()
        except BaseException:
            said = traceback.format_exc()
        report.write_text(said)
        os._exit(0)
    began = time.monotonic()
    while (ended := os.wait4(child, os.WNOHANG))[0] == 0:
        if time.monotonic() - began > SECONDS:
            os.kill(child, signal.SIGKILL)
            os.wait4(child, 0)
            return "it hangs"
        time.sleep(0.01)
    if ended[1]:
        return f"it ends with status {ended[1]}"
    if ended[2].ru_maxrss * 1024 > BYTES:
        return f"it takes {ended[2].ru_maxrss >> 10} MiB"
    return report.read_text()


@pytest.mark.slow
def test_damage_ends_in_frames_or_one_line(tmp_path, write_film, numbered):
    films = {}
    for name, options in FILMS.items():
        path = write_film(tmp_path / name, [numbered(n) for n in range(24)], **options)
        films[name] = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    pictures = {f"p.{suffix}": cv2.imencode(f".{suffix}", noise)[1].tobytes() for suffix in PICTURES}
    bad, counts = {}, {"frames": 0, "line": 0}
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        kind = films if seed % 3 else pictures
        name, other = rng.choice(sorted(kind), 2)
        folder = tmp_path / f"case{seed}"
        folder.mkdir()
        source = folder / name
        source.write_bytes(damaged(kind[name], kind[other], rng))
        if kind is pictures:
            cv2.imwrite(str(folder / "q.png"), noise)
            source = folder
        output = tmp_path / (f"out{seed}" + (".mp4", ".mkv", ".mov")[seed % 3])
        said = in_a_process(lambda s=source, o=output: coloured(s, o), tmp_path / "report")
        counts["frames" if said == "frames" else "line"] += 1
        if said != "frames" and not (said.startswith("line: ") and "\n" not in said):
            bad[seed] = (name, said)
    print(counts)
    assert not bad, "\n".join(f"{seed} {name}: {said[-900:]}" for seed, (name, said) in bad.items())
    assert counts["frames"] > SEEDS // 4  # damage is not always told by a line
