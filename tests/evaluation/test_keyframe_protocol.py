from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flowchroma.app.systems import load_system
from flowchroma.colorizers import ChainedDis, Gray, Hold, Oracle, Painter
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.errors import UserError
from flowchroma.evaluation import KeyframedSystem, PerceptualNetworks, Protocol, clip_metrics, score_clip

CPU = torch.device("cpu")


def score(film, protocol, **painters):
    with torch.inference_mode():
        return score_clip(film, painters, protocol, PerceptualNetworks(), CPU)


@pytest.mark.parametrize(
    ("keyframes", "given"),
    [
        ("first", [0]),
        ("middle", [20]),
        (["first", "last"], [0, 39]),
        ([0, 20, 39], [0, 20, 39]),
        ([39, 0, "last", 0], [0, 39]),
        (7, [7]),
        ("every:20", [0, 20, 39]),
        ("every:13", [0, 13, 26, 39]),
        (["every:30", 1], [0, 1, 30, 39]),
    ],
)
def test_keyframes_are_named_by_place_number_or_step(clip, keyframes, given):
    film, protocol = clip(frames=40), Protocol(keyframes=keyframes)
    assert protocol.given(film) == given
    assert protocol.scored(film) == [n for n in range(40) if n not in given]


def test_places_are_of_the_frames_that_count(clip):
    protocol = Protocol(keyframes=["first", "middle", "last"], frames=40)
    assert protocol.given(clip(frames=100)) == [0, 20, 39]
    assert protocol.given(clip(frames=11)) == [0, 5, 10]
    with pytest.raises(UserError, match="clip has no frame 40: its frames are 0 to 39"):
        Protocol(keyframes=40, frames=40).given(clip(frames=100))


@pytest.mark.parametrize(
    "wrong",
    [
        {"keyframes": "second"},
        {"keyframes": []},
        {"keyframes": [0, "nowhere"]},
        {"keyframes": -1},
        {"keyframes": 2.5},
        {"keyframes": True},
        {"keyframes": "every:1"},
        {"keyframes": "every:"},
        {"keyframes": "plan:0"},
        {"keyframes": "first", "reference": "first"},
        {"keyframes": "first", "reference": 10},
        {"keyframes": "first", "directions": "backward"},
        {"directions": "forward"},
    ],
)
def test_what_makes_no_sense_is_a_wrong_option(wrong):
    with pytest.raises(UserError) as told:
        Protocol(**wrong)
    assert told.value.code == 2


def test_a_plan_is_made_once_of_gray_frames_that_count(clip):
    film, asked = clip(frames=9), []

    def choose(shown, count):
        asked.append(count)
        frames = list(shown)
        assert len(shown) == len(frames) == 6
        assert shown.files == ()
        for n, (rgb, other) in enumerate(zip(frames, shown.read(range(6)), strict=True)):
            assert np.array_equal(rgb, other)
            assert (np.ptp(rgb, axis=2) == 0).all()
            assert np.abs(rgb[..., 0] - film.read([n])[0] @ [0.299, 0.587, 0.114]).max() <= 0.51
        with pytest.raises(UserError):
            shown.read([6])
        return [4, 1]

    protocol = Protocol(keyframes="plan:2", frames=6, choose=choose)
    assert protocol.given(film) == protocol.given(film) == [1, 4]
    assert protocol.scored(film) == [0, 2, 3, 5]
    assert asked == [2]


def test_a_report_says_which_frames_were_given_and_how_they_were_used():
    told = Protocol(keyframes=["first", 20]).describe()
    assert told["keyframes"] == "first, 20; given from the start, never scored"
    assert "both sides" in told["directions"]
    assert "reference" not in told
    assert Protocol(keyframes="middle", directions="forward").describe()["directions"] == "forward"
    assert not {"keyframes", "directions"} & Protocol().describe().keys()


class Spy:
    """Gives the original, and notes what it was given."""

    def __init__(self):
        self.told, self.closed = [], 0

    def start(self, *references):
        self.told.append(("start", [int(rgb.sum()) for rgb in references]))

    def observe(self, rgb):
        self.told.append(("observe", int(rgb.sum())))

    def paint(self, rgb):
        self.told.append(("paint", int(rgb.sum())))
        return rgb

    def close(self):
        self.closed += 1


def test_all_keyframes_are_references_from_the_start_and_each_is_observed_when_it_comes(clip):
    film, spy = clip(frames=6), Spy()
    got = score(film, Protocol(keyframes=[1, 4], resize=(40, 56)), spy=spy)["spy"]
    sums = [int(rgb.sum()) for rgb in Protocol(resize=(40, 56)).originals(film, CPU)]
    how = ["paint", "observe", "paint", "paint", "observe", "paint"]
    assert spy.told == [("start", [sums[1], sums[4]]), *zip(how, sums, strict=True)]
    assert got.frames["frame"] == [0, 2, 3, 5]
    # Neither a figure over time nor one of a frame has a keyframe in it.
    assert [np.isnan(e) for e in got.frames["warp_error"]] == [True, True, False, True]
    assert spy.closed == 1


def test_the_first_frame_as_keyframe_is_the_first_frame_as_reference_to_the_bit(clip):
    for make in (Gray, Hold, ChainedDis):
        one, other = (
            score(clip(), protocol, it=Painter(make(), 240))["it"]
            for protocol in (Protocol(), Protocol(keyframes="first"))
        )
        assert (one.metrics, str(one.frames)) == (other.metrics, str(other.frames))


def test_the_oracle_is_the_ceiling(clip):
    film, protocol = clip(frames=6, size=(96, 128)), Protocol(keyframes=["first", "last"], size=24)
    got = score(film, protocol, oracle=Oracle(24), dis=Painter(ChainedDis(), 24), hold=Painter(Hold(), 24))
    assert got["oracle"].metrics["psnr"] > max(got[name].metrics["psnr"] for name in ("dis", "hold"))


def test_a_clip_of_keyframes_alone_has_nothing_to_score(clip):
    with pytest.raises(UserError, match="none of them to score: keyframes are not scored"):
        score(clip(frames=2), Protocol(keyframes=["first", "last"]), gray=Painter(Gray(), 240))


@pytest.fixture(scope="module")
def system():
    return load_system()


@pytest.mark.parametrize("directions", ["both", "forward"])
def test_the_system_colours_the_clip_as_one_shot_and_leaves_no_file(clip, system, tmp_path, directions):
    from flowchroma.colorizers.estimate_files import EstimateFiles

    film = clip(frames=6)
    protocol = Protocol(keyframes=[1, 3], frames=5, resize=(40, 56), directions=directions)
    frames = list(protocol.originals(film, CPU))
    files = EstimateFiles(tmp_path / "own") if directions == "both" else None
    backward_frames = (lambda first, stop: iter(frames[first:stop])) if files else None
    with torch.inference_mode():
        shot = ShotPainter(system, 240, 0, 5, {n: frames[n] for n in (1, 3)}, [], backward_frames, files)
        expected = [shot.paint(frame)[0] for frame in frames]

    made, waiting = [], []

    class Kept(KeyframedSystem):
        def paint(self, rgb):
            made.append(super().paint(rgb))
            waiting.append(len(list(folder.rglob("estimate-*.npy"))))
            return made[-1]

    folder = tmp_path / "out"
    folder.mkdir()
    got = score(film, protocol, it=Kept(system, film, protocol, CPU, folder))["it"]
    assert got.frames["frame"] == [0, 2, 4]
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))
    assert waiting == ([0, 1, 0, 0, 0] if files else [0] * 5)
    assert not list(folder.iterdir())


def test_what_is_done_at_a_keyframe_counts_in_the_time_of_a_method(clip, monkeypatch):
    now = 0.0
    monkeypatch.setattr(clip_metrics, "time", SimpleNamespace(perf_counter=lambda: now))

    class Clocked(Spy):
        def observe(self, rgb):
            nonlocal now
            now += 8

        def paint(self, rgb):
            nonlocal now
            now += 1
            return rgb

    got = score(clip(frames=6), Protocol(keyframes=["first", "last"]), it=Clocked())["it"]
    assert got.seconds["method"] == (2 * 8 + 4) / 4  # the way back to the last keyframe is gone at the first
    assert score(clip(frames=6), Protocol(), it=Clocked())["it"].seconds["method"] == 1


def test_a_film_that_ends_early_is_told_and_leaves_no_file(clip, system, tmp_path):
    class Short(type(clip())):
        def __iter__(self):
            return iter(list(super().__iter__())[:4])

    film, protocol = Short(frames=6), Protocol(keyframes=["first", "last"])
    with pytest.raises(UserError, match="clip ended"):
        score(film, protocol, it=KeyframedSystem(system, film, protocol, CPU, tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_no_file(clip, system, tmp_path):
    film, protocol = clip(frames=5), Protocol(keyframes=["first", "last"])

    class Stopped(KeyframedSystem):
        def paint(self, rgb):
            super().paint(rgb)
            assert list(tmp_path.rglob("estimate-*.npy"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(film, protocol, it=Stopped(system, film, protocol, CPU, tmp_path))
    assert not list(tmp_path.iterdir())
