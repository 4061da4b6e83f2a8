import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from flowchroma.colorizers import Hold, Painter
from flowchroma.errors import UserError
from flowchroma.evaluation import EvaluatedMethod, Evaluation, PerceptualNetworks, Protocol, ScoreStore, collect
from flowchroma.film import open_film


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
    def make(about=None, names=("hold",), films=("a", "b/c"), networks=None, protocol=None):
        methods = {n: EvaluatedMethod(lambda film: Counted(Hold(), 240), about or {}) for n in names}
        store = ScoreStore(tmp_path / "out", protocol or {"reference": "first"})
        clips = [clip(name, seed=i) for i, name in enumerate(films)]
        return Evaluation(clips, methods, Protocol(), networks or PerceptualNetworks(), store, torch.device("cpu"))

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


@pytest.mark.parametrize("text", ["[1]", '{"psnr": 1}', ""])
def test_a_file_that_is_no_score_is_scored_again(evaluation, tmp_path, text):
    evaluation().run(wait=True)
    (tmp_path / "out" / "scores" / "hold" / "a.json").write_text(text)
    assert evaluation().run(wait=True) == []
    assert Counted.painted == 15


@pytest.fixture
def on_disk(tmp_path, write_clip):
    """A film in a folder of frames; another seed gives another one of the same name, length and size."""

    class Film:
        def __init__(self, folder):
            self.name, self._film = "a", open_film(folder)

        def __getattr__(self, name):
            return getattr(self._film, name)

        def __len__(self):
            return len(self._film)

        def __iter__(self):
            return iter(self._film)

    def make(seed):
        folder = tmp_path / f"film{seed}" / "a"
        return Film(folder if folder.is_dir() else write_clip(folder, seed=seed))

    return make


def test_another_film_of_the_same_name_is_scored_anew(evaluation, on_disk):
    first, second = evaluation(films=("a",)), evaluation(films=("a",))
    first.films[:], second.films[:] = [on_disk(0)], [on_disk(1)]
    first.run(wait=True)
    was = collect(first, {}, []).methods["hold"].mean["psnr"]
    second.run(wait=True)
    assert Counted.painted == 10
    assert collect(second, {}, []).methods["hold"].mean["psnr"] != was


def test_a_film_that_was_copied_elsewhere_is_the_same(evaluation, on_disk, tmp_path):
    first, second = evaluation(films=("a",)), evaluation(films=("a",))
    first.films[:] = [on_disk(0)]
    first.run(wait=True)
    shutil.copytree(tmp_path / "film0", tmp_path / "film7")
    second.films[:] = [on_disk(7)]
    second.run(wait=True)
    assert Counted.painted == 5


def test_figures_of_another_film_stand_in_no_table_of_this_one(evaluation, on_disk):
    first, second = evaluation(names=("old",), films=("a",)), evaluation(names=("new",), films=("a",))
    first.films[:], second.films[:] = [on_disk(0)], [on_disk(1)]
    first.run(wait=True)
    second.run(wait=True)
    report = collect(second, {}, [])
    assert list(report.methods) == ["new"]
    (line,) = report.protocol["problems"]
    assert line.startswith("old has scores of other films")


def test_a_row_is_of_one_version_of_a_method(evaluation):
    evaluation({"weights": "1"}).run(wait=True)
    evaluation({"weights": "2"}, films=("a",)).run(wait=True)  # and then it was interrupted
    last = evaluation(names=("other",))
    last.run(wait=True)
    report = collect(last, {}, [])
    assert len(report.methods["hold"].clips) == 1
    assert any(
        line.startswith("hold has scores of other films or by other weights") for line in report.protocol["problems"]
    )


def test_frames_that_were_replaced_are_scored_again(evaluation):
    for version in ("1", "1", "2"):
        run = evaluation()
        methods = {n: replace(method, frames=lambda film, v=version: v) for n, method in run.methods.items()}
        replace(run, methods=methods).run(wait=True)
    assert Counted.painted == 20


def test_features_do_not_outlive_their_score(evaluation, monkeypatch):
    monkeypatch.setattr(PerceptualNetworks, "features", lambda self, frame: frame.double().mean((2, 3)))
    evaluation({"weights": "1"}, networks=PerceptualNetworks(inception=torch.nn.Identity())).run(wait=True)
    monkeypatch.undo()
    without = evaluation({"weights": "2"})
    without.run(wait=True)
    assert collect(without, {}, []).methods["hold"].mean.get("fid") is None


def test_a_clip_smaller_than_the_window_is_told(evaluation):
    run = evaluation(films=("small", "good"))
    run.films[0].size = (10, 40)
    (line,) = run.run(wait=True)
    assert line.startswith("small is not scored: small has frames of 40 x 10")
    assert list(collect(run, {}, [line]).methods["hold"].clips) == ["good"]


def test_a_folder_holds_one_protocol(evaluation):
    evaluation(protocol={"reference": "first"})
    with pytest.raises(UserError, match="reference: first, now it is 10"):
        evaluation(protocol={"reference": 10})


@pytest.mark.parametrize(
    ("there", "now"),
    [
        (Protocol(), Protocol(keyframes="first")),
        (Protocol(keyframes="first"), Protocol(keyframes=["first", "last"])),
        (Protocol(keyframes="middle"), Protocol(keyframes="middle", directions="forward")),
    ],
)
def test_figures_of_other_keyframes_are_not_taken(evaluation, there, now):
    evaluation(protocol=there.identity())
    evaluation(protocol=there.identity())
    with pytest.raises(UserError, match="give another output="):
        evaluation(protocol=now.identity())


def test_a_folder_of_a_reference_is_gone_on_with():
    assert Protocol(reference="first").identity() == Protocol().identity()
    assert Protocol(resize=(20, 30), frames=4).identity() == {
        "reference": "first", "resize": [20, 30], "frames": 4, "size": 240,
    }  # fmt: skip


def test_another_plan_is_scored_again(evaluation):
    def planned(stills, name="hold"):
        protocol = Protocol(keyframes="plan:2", choose=lambda film, count: stills)
        run = replace(evaluation(names=(name,), films=("a",)), protocol=protocol)
        assert run.run(wait=True) == []
        return run

    planned([0, 5])
    planned([0, 5])
    assert Counted.painted == 4
    planned([0, 3])
    assert Counted.painted == 8
    report = collect(planned([0, 4], "other"), {}, [])
    assert list(report.methods) == ["other"], "the other row would be of other frames"


def test_a_keyframe_that_a_clip_has_not_is_told(evaluation, clip):
    run = replace(evaluation(films=("short", "good")), protocol=Protocol(keyframes=[0, 5]))
    run.films[0]._frames = 5
    (line,) = run.run(wait=True)
    assert line == "short is not scored: short has no frame 5: its frames are 0 to 4"
    assert list(collect(run, {}, [line]).methods["hold"].clips) == ["good"]


def test_a_damaged_protocol_is_told(evaluation, tmp_path):
    evaluation()
    (tmp_path / "out" / "scores" / "protocol.json").write_text("[1")
    with pytest.raises(UserError, match=r"protocol\.json is damaged"):
        evaluation()


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
    networks = PerceptualNetworks(inception=torch.nn.Identity())
    features = lambda self, frame: frame.double().mean((2, 3))  # noqa: E731
    monkeypatch.setattr(PerceptualNetworks, "features", features)
    run = evaluation(networks=networks)
    run.run(wait=True)
    scores = collect(run, {}, []).methods["hold"]
    assert all("fid" not in figures for figures in scores.clips.values())
    assert scores.mean["fid"] >= 0


def test_what_is_absent_is_nothing_and_has_a_reason(evaluation):
    run = evaluation(networks=PerceptualNetworks(absent={"fid": "no weights", "lpips_vgg": "no trunk"}))
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
