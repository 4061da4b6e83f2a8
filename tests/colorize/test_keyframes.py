"""Films coloured from several pictures: keyframes, plans, parts of a film, and work that goes on."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from flowchroma import plan as plan_command
from flowchroma.app.colouring.pictures import read_pictures
from flowchroma.film import open_film
from flowchroma.plans.plan_reading import read_plan

ROOT = Path(__file__).parents[2]
LENGTHS = (12, 9, 14)  # frames of the shots


@pytest.fixture
def shots(tmp_path):
    """A folder of three shots, in each of which the camera pans over a picture of its own."""
    folder, random, number = tmp_path / "in", np.random.default_rng(0), 0
    folder.mkdir()
    for length in LENGTHS:
        layers = [cv2.resize(random.random((n, 2 * n), dtype=np.float32), (128, 64)) for n in (4, 9, 20)]
        wide = cv2.normalize(np.sum(layers, axis=0), None, 20, 235, cv2.NORM_MINMAX)
        for t in range(length):
            cv2.imwrite(str(folder / f"{number:04}.png"), wide[:, t : t + 96].astype(np.uint8))
            number += 1
    return folder


def coloured(folder, frame, path, ratios=(0.5, 0.8, 1)):
    """Write a frame as somebody coloured it."""
    path.parent.mkdir(exist_ok=True)
    rgb = cv2.imread(str(folder / f"{frame:04}.png")).astype(np.float32)
    rgb[:, :48], rgb[:, 48:] = rgb[:, :48] * ratios, rgb[:, 48:] * ratios[::-1]
    cv2.imwrite(str(path), rgb.astype(np.uint8))


def frames(path):
    return np.stack(list(open_film(path)))


def typed(folder, *options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "flowchroma.colorize", *options, "device=cpu", "size=32"]
    return subprocess.Popen(line, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True)


def test_keyframes_keep_their_colours_and_give_them_to_their_shots(tmp_path, run, system, shots):
    coloured(shots, 4, tmp_path / "keys" / "0004.png")
    coloured(shots, 30, tmp_path / "keys" / "000030.png", (1, 0.8, 0.5))
    code, _, err = run("source=in", "keyframes=keys", "output=out")
    assert (code, err) == (0, "")
    made = frames("out").astype(int)
    for frame in (4, 30):
        given = cv2.imread(str(tmp_path / "keys" / f"{frame:0{4 if frame == 4 else 6}}.png"))[:, :, ::-1]
        gray = open_film("in").read([frame])[0][:, :, 0]
        lit = (gray > 60) & (gray < 200)
        chroma = made[frame] - made[frame].mean(2, keepdims=True)
        wanted = given - given.astype(int).mean(2, keepdims=True)
        assert (np.sign(chroma[lit]) == np.sign(wanted[lit])).mean() > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("keyframes=nowhere",), "no folder of keyframes at nowhere"),
        (("keyframes=gray",), "still gray"),
        (("keyframes=late",), "its frames are 0 to 34"),
        (("keyframes=twice",), "are both frame 4"),
        (("keyframes=keys", "reference=4"), "no colour"),
        (("keyframes=keys", "directions=back"), "both or forward"),
        (("keyframes=keys", "frames=30:99"), "its frames are 0 to 34"),
        (("keyframes=keys", "frames=ten"), "START:STOP"),
        (("keyframes=keys", "shots=4"), "shots 1 to 3"),
        (("keyframes=keys", "shots=all"), "3,7-12"),
        (("plan=keys",), "no plan at"),
        (("plan=keys", "keyframes=keys"), "leave"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(tmp_path, run, system, shots, options, message):
    coloured(shots, 4, tmp_path / "keys" / "0004.png")
    coloured(shots, 4, tmp_path / "gray" / "4.png", (1, 1, 1))
    coloured(shots, 4, tmp_path / "late" / "35.png")
    coloured(shots, 4, tmp_path / "twice" / "4.png")
    coloured(shots, 4, tmp_path / "twice" / "004.png")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run("source=in", "output=out.mp4", *options)
    assert code in (1, 2), err
    assert message in err
    assert err.count("\n") == 1
    assert [path for path in sorted(tmp_path.rglob("*")) if ".out.mp4" not in str(path)] == before


def test_too_little_room_is_said_before_work_begins(tmp_path, run, system, shots, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100_000})())
    coloured(shots, 11, tmp_path / "keys" / "11.png")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run("source=in", "keyframes=keys", "output=out.mp4")
    assert (code, err.count("\n")) == (1, 1)
    assert "no room" in err
    assert sorted(tmp_path.rglob("*")) == before
    assert [what for what, _ in system.calls].count("match") == 0
    assert run("source=in", "keyframes=keys", "output=out.mp4", "directions=forward")[0] == 0  # which needs none


def test_a_part_of_a_film_is_what_it_is_in_the_whole(tmp_path, run, system, shots):
    coloured(shots, 4, tmp_path / "keys" / "4.png")
    for output, options in (("whole", ()), ("part", ("frames=15:28",))):
        assert run("source=in", "keyframes=keys", f"output={output}", *options)[0] == 0
    assert [file.stem for file in open_film("part").files] == [f"{n:04}" for n in range(15, 28)]
    assert np.array_equal(frames("whole")[15:28], frames("part"))


def test_shots_in_colour_are_passed_through_and_lend_their_colours(tmp_path, run, system, shots, picture):
    random = np.random.default_rng(1)
    for n in range(12, 21):  # the second shot
        gray = cv2.imread(str(shots / f"{n:04}.png"))
        gray[:, :48], gray[:, 48:] = gray[:, :48] * (0.3, 0.6, 1), gray[:, 48:] * (1, 0.7, 0.3)
        cv2.imwrite(str(shots / f"{n:04}.png"), (gray * random.uniform(0.98, 1)).astype(np.uint8))
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=out", "keep_colour=true")[0] == 0
    source, made = frames("in"), frames("out")
    assert np.array_equal(source[12:21], made[12:21])
    assert not np.array_equal(source[:12], made[:12])
    assert sum(what == "encode" for what, _ in system.calls) >= 2


def test_shots_are_coloured_by_several_processes_and_the_last_one_joins(tmp_path, run, system, shots, picture):
    picture(tmp_path / "ref.png")
    given = ("source=in", "reference=ref.png", "output=out.mp4")
    assert run("source=in", "reference=ref.png", "output=alone.mp4")[0] == 0
    code, out, _ = run(*given, "shots=1,3")
    assert (code, "joined when" in out) == (0, True)
    assert not (tmp_path / "out.mp4").exists()
    code, out, _ = run(*given, "shots=2")
    assert (code, out.startswith("35 frames")) == (0, True)
    assert np.array_equal(frames("alone.mp4"), frames("out.mp4"))
    assert not list(tmp_path.glob(".out*"))


def test_a_plan_is_coloured_and_a_new_still_touches_its_shot_alone(tmp_path, run, system, shots, command):
    assert command(plan_command.main)("source=in", "output=plan", "stills=3", "device=cpu")[0] == 0
    first, second, third = (shot.stills for shot in read_plan("plan").shots)
    assert [*map(len, (first, second, third))] == [1, 1, 1]
    code, _, err = run("plan=plan", "output=out.mp4")
    assert (code, "still gray" in err) == (1, True)
    for (still,) in (first, second):
        coloured(shots, still, tmp_path / "plan" / f"{still:06}.png")
    with pytest.warns(UserWarning, match="1 of 3 keyframes in plan are still gray"):
        assert run("plan=plan", "output=out.mp4")[0] == 0
    before = frames("out.mp4")
    coloured(shots, third[0], tmp_path / "plan" / f"{third[0]:06}.png", (1, 0.8, 0.5))
    system.calls.clear()
    assert run("plan=plan", "output=out.mp4", "overwrite=true")[0] == 0
    assert {what for what, _ in system.calls} == {"encode", "match"}
    assert sum(what == "match" for what, _ in system.calls) < 2 * LENGTHS[2]
    after = frames("out.mp4")
    assert np.array_equal(before[:21], after[:21])
    assert not np.array_equal(before[21:], after[21:])


def test_fifty_references_are_matched_as_three(tmp_path, run, system, shots):
    for n in range(35):
        coloured(shots, n, tmp_path / "refs" / f"{n}.png", (0.5 + n / 100, 0.8, 1))
    names = ",".join(str(tmp_path / "refs" / f"{n}.png") for n in range(35))
    joined = []
    match = system.matcher.match

    def counting(luma, memories, last=None):
        joined.append(max(int(memory.image[-1]) + 1 for memory in memories))
        return match(luma, memories, last)

    system.matcher.match = counting
    assert run("source=in", f"reference=[{names}]", "output=out")[0] == 0
    assert max(joined) == 3


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_film_goes_on_and_ends_in_the_same_frames(tmp_path, shots, kills):
    coloured(shots, 3, tmp_path / "keys" / "3.png")
    coloured(shots, 33, tmp_path / "keys" / "33.png")
    given = ("source=in", "keyframes=keys")
    started = time.monotonic()
    whole = typed(tmp_path, *given, "output=whole.mp4")
    assert whole.wait(300) == 0, whole.stderr.read()
    took = time.monotonic() - started
    random = np.random.default_rng(kills)
    for _ in range(kills):
        process = typed(tmp_path, *given, "output=killed.mp4")
        try:
            process.wait(took * random.uniform(0.3, 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if (tmp_path / "killed.mp4").exists():
            break
    if list(tmp_path.glob(".killed*/segments/*/index.json")):
        changed = typed(tmp_path, *given, "output=killed.mp4", "directions=forward")
        _, said = changed.communicate(timeout=300)
        assert (changed.returncode, "directions=both, not directions=forward" in said) == (1, True), said
    if not (tmp_path / "killed.mp4").exists():
        process = typed(tmp_path, *given, "output=killed.mp4")
        assert process.wait(300) == 0, process.stderr.read()
    assert np.array_equal(frames(tmp_path / "whole.mp4"), frames(tmp_path / "killed.mp4"))
    assert not list(tmp_path.glob(".killed*"))


def test_pictures_wait_on_the_disk(tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "big.png"
    cv2.imwrite(str(path), cv2.resize(random.integers(0, 256, (20, 30, 3), dtype=np.uint8), (1500, 1000)))
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "0.png"), np.zeros((64, 96, 3), np.uint8))
    config = OmegaConf.create({"keyframes": None, "reference": f"[{','.join([str(path)] * 6)}]"})
    film = open_film(tmp_path / "in")
    tracemalloc.start()
    pictures = read_pictures(config, film)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pictures.references) == 6
    assert held < 1500 * 1000 * 3  # less than one of them
    assert np.array_equal(pictures.references[5].rgb, cv2.imread(str(path))[:, :, ::-1])


def test_a_keyframe_of_other_tones_takes_the_film_s_where_it_shows_its_frame(tmp_path, shots):
    coloured(shots, 4, tmp_path / "keys" / "4.png")
    exact = cv2.imread(str(tmp_path / "keys" / "4.png"))
    frame = cv2.imread(str(shots / "0004.png"))
    config = OmegaConf.create({"keyframes": str(tmp_path / "keys"), "reference": None})
    toned = (255 * (exact / 255) ** 1.4).round().astype(np.uint8)
    toned[20:44, 10:40] = np.random.default_rng(3).integers(0, 255, (24, 30, 3))  # retouched
    cv2.imwrite(str(tmp_path / "keys" / "4.png"), toned)
    with pytest.warns(UserWarning, match="where it gives no colour"):
        picture = read_pictures(config, open_film(shots)).keyframes[4]
    assert not picture.valid.all()
    lightness = [
        cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[..., 0].astype(int) for rgb in (picture.rgb, frame, toned[..., ::-1])
    ]
    assert np.abs(lightness[0] - lightness[1])[picture.valid].mean() < 2
    assert np.abs(lightness[2] - lightness[1])[picture.valid].mean() > 10
    assert np.array_equal(picture.rgb[~picture.valid], toned[..., ::-1][~picture.valid])
