import numpy as np
import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.evaluation import Entrant, Evaluation, Judges, Protocol, Store, collect
from flowchroma.models import Hold, Painter


class Counted(Painter):
    painted = 0

    def paint(self, rgb):
        Counted.painted += 1
        return super().paint(rgb)


@pytest.fixture(autouse=True)
def _count():
    Counted.painted = 0


@pytest.fixture
def evaluation(tmp_path, clip):
    def make(about=None, names=("hold",), films=("a", "b/c"), judges=None, protocol=None):
        entrants = {n: Entrant(lambda film: Counted(Hold(), 240), about or {}) for n in names}
        store = Store(tmp_path / "out", protocol or {"reference": "first"})
        clips = [clip(name, seed=i) for i, name in enumerate(films)]
        return Evaluation(clips, entrants, Protocol(), judges or Judges(), store, torch.device("cpu"))

    return make


def test_a_second_run_goes_on_where_the_first_stopped(evaluation):
    assert evaluation(films=("a",)).run(wait=True) == []
    assert Counted.painted == 5
    assert evaluation().run(wait=True) == []
    assert Counted.painted == 10, "only b/c was left"
    assert evaluation().run(wait=True) == []
    assert Counted.painted == 10
    report = collect(evaluation(), {}, [])
    assert list(report.methods["hold"].clips) == ["a", "b/c"]


def test_another_method_joins_the_same_table(evaluation):
    evaluation(names=("hold",)).run(wait=True)
    second = evaluation(names=("other",))
    second.run(wait=True)
    assert Counted.painted == 20
    report = collect(second, {}, [])
    assert list(report.methods) == ["other", "hold"]
    assert report.methods["other"].mean["psnr"] == report.methods["hold"].mean["psnr"]


def test_changed_weights_are_scored_again(evaluation):
    evaluation({"weights": "1"}).run(wait=True)
    evaluation({"weights": "2"}).run(wait=True)
    assert Counted.painted == 20


def test_a_damaged_score_is_scored_again(evaluation, tmp_path):
    evaluation().run(wait=True)
    kept = tmp_path / "out" / "scores" / "hold" / "a.json"
    kept.write_text(kept.read_text()[:-20])
    evaluation().run(wait=True)
    assert Counted.painted == 15


def test_a_folder_holds_one_protocol(evaluation):
    evaluation(protocol={"reference": "first"})
    with pytest.raises(UserError, match="reference: first, now it is 10"):
        evaluation(protocol={"reference": 10})


def test_a_clip_that_another_process_is_at_is_left_to_it(evaluation):
    ours = evaluation()
    with evaluation().store.claim("a", wait=False) as mine:
        assert mine
        ours.run(wait=False)
    assert Counted.painted == 5, "b/c alone"
    ours.run(wait=True)
    assert Counted.painted == 10


def test_the_mean_is_over_frames_then_over_clips(evaluation, clip):
    run = evaluation(films=("a", "b"))
    run.films[1]._frames = 3
    run.run(wait=True)
    scores = collect(run, {}, []).methods["hold"]
    each = [np.mean(scores.frames[name]["psnr"]) for name in ("a", "b")]
    assert scores.mean["psnr"] == pytest.approx(np.mean(each), rel=1e-12)
    assert len(scores.frames["b"]["psnr"]) == 2


def test_a_clip_that_cannot_be_read_is_told_and_the_others_scored(evaluation):
    run = evaluation(films=("good", "bad"))

    def fail():
        raise UserError("bad.mp4 is cut off: copy it again")

    run.films[1].__class__ = type("Bad", (type(run.films[1]),), {"__iter__": lambda self: fail()})
    (line,) = run.run(wait=True)
    assert "bad is not scored: bad.mp4 is cut off" in line
    report = collect(run, {}, [line])
    assert list(report.methods["hold"].clips) == ["good"]
    assert report.protocol["clips scored"] == 1
    assert line in report.protocol["problems"]


def test_fid_is_of_the_whole_set_and_never_of_a_clip(evaluation, monkeypatch):
    judges = Judges(inception=torch.nn.Identity())
    features = lambda self, frame: frame.double().mean((2, 3))  # noqa: E731
    monkeypatch.setattr(Judges, "features", features)
    run = evaluation(judges=judges)
    run.run(wait=True)
    scores = collect(run, {}, []).methods["hold"]
    assert all("fid" not in figures for figures in scores.clips.values())
    assert scores.mean["fid"] >= 0


def test_what_is_absent_is_nothing_and_has_a_reason(evaluation):
    run = evaluation(judges=Judges(absent={"fid": "no weights", "lpips_vgg": "no trunk"}))
    run.run(wait=True)
    report = collect(run, {}, [])
    assert report.methods["hold"].mean["fid"] is None
    assert report.methods["hold"].mean["lpips_vgg"] is None
    assert report.protocol["absent"] == {"fid": "no weights", "lpips_vgg": "no trunk"}


def test_stills_show_the_middle_and_the_last_frame(evaluation):
    run = evaluation()
    run.run(wait=True)
    stills = collect(run, {}, []).stills
    assert [(s.clip, s.frame) for s in stills] == [("a", 3), ("a", 5), ("b/c", 3), ("b/c", 5)]
    assert all(p.is_file() for s in stills for p in (s.truth, s.predictions["hold"], s.errors["hold"]))
