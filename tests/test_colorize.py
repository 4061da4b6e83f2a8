import os
import re
import signal

import av
import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from flowchroma import colorize
from flowchroma.app.settings import CONF
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import Painter
from flowchroma.errors import UserError
from flowchroma.film import open_film


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


def textured(size, shift=0):
    y, x = np.mgrid[: size[0], : size[1]]
    luma = 110 + 70 * np.sin((x + shift) / 7) * np.cos(y / 9)
    return luma.astype(np.uint8)[:, :, None].repeat(3, 2)


def film_file(path, frames=6, size=(64, 96), sound=False):
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


def picture(path, value=(200, 80, 60), size=(50, 70)):
    path.parent.mkdir(exist_ok=True, parents=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), value[::-1], np.uint8))
    return path


def lab(rgb):
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)).numpy()


def test_several_references_of_several_sizes(tmp_path, run, system):
    film_file(tmp_path / "in.mp4", frames=2)
    picture(tmp_path / "red, dark.png", (200, 40, 40), (50, 70))
    picture(tmp_path / "[blue].png", (40, 40, 200), (30, 40))
    for typed, sizes in (
        ("red, dark.png", [(50, 70)]),
        ("[blue].png", [(30, 40)]),
        ("[[blue].png,[blue].png]", [(30, 40), (30, 40)]),
    ):
        system.calls.clear()
        code, _, said = run("source=in.mp4", f"reference={typed}", "output=out.mp4", "overwrite=true")
        assert code == 0, said
        assert [call for call in system.calls if call[0] == "start"] == [("start", (1, 1, 3, *size)) for size in sizes]
    code, _, said = run("source=in.mp4", "reference=[]", "output=none.mp4")
    assert code == 1
    assert "no reference: give" in said
    assert not (tmp_path / "none.mp4").exists()


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (65, 97), (33, 130)])
def test_a_film_keeps_its_light_and_takes_the_reference_s_colour(tmp_path, run, system, size):
    film_file(tmp_path / "in.mp4", size=size)
    picture(tmp_path / "ref.png")
    code, out, _ = run("source=in.mp4", "reference=ref.png", "output=out/deep/film.mp4")
    assert code == 0
    assert out.startswith("6 frames, ")
    assert out.endswith("out/deep/film.mp4\n")
    source, made = open_film("in.mp4"), open_film("out/deep/film.mp4")
    assert (made.size, len(made), made.rate) == (size, 6, 24)
    wanted = rgb_to_lab(torch.tensor([200, 80, 60], dtype=torch.uint8).view(3, 1, 1))[1:, 0, 0].numpy()
    for before, after in zip(source, made, strict=True):
        assert np.abs(lab(after)[0] - lab(before)[0]).mean() < 1.5
        middling = (lab(before)[0] > 35) & (lab(before)[0] < 65)  # where that colour lies inside the gamut
        assert np.abs(lab(after)[1:][:, middling].mean(1) - wanted).max() < 4


def test_sound_comes_along(tmp_path, run, system):
    film_file(tmp_path / "in.mp4", sound=True)
    picture(tmp_path / "ref.png")
    run("source=in.mp4", "reference=ref.png", "output=out.mp4")
    with av.open("in.mp4") as before, av.open("out.mp4") as after:
        packets = [[bytes(p) for p in film.demux(audio=0) if p.size] for film in (before, after)]
    assert packets[0] == packets[1]
    assert len(packets[0]) > 5


@pytest.mark.parametrize(("spec", "frame"), [("first", 0), ("2", 2)])
def test_a_reference_from_the_film_keeps_that_frame_s_colour_exactly(tmp_path, run, system, spec, frame):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for n in range(4):
        cv2.imwrite(str(tmp_path / "in" / f"s{n}.png"), rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    assert run("source=in/", f"reference={spec}", "output=out")[0] == 0
    source, made = open_film("in"), open_film("out")
    assert [f.name for f in made.files] == [f"s{n}.png" for n in range(4)]
    assert np.abs(made.read([frame])[0].astype(int) - source.read([frame])[0]).max() <= 1
    kinds = [kind for kind, _ in system.calls]
    assert kinds == ["start"] + ["step"] * frame + ["observe"] + ["step"] * (3 - frame)
    for n in set(range(4)) - {frame}:
        assert np.abs(made.read([n])[0].astype(int) - source.read([n])[0]).max() > 20  # its own colour is not used


@pytest.mark.parametrize(
    ("size", "frames", "reference"), [(32, (32, 48), (32, 45)), (240, (64, 96), (50, 70)), (50, (50, 75), (50, 70))]
)
def test_chroma_is_computed_small_but_never_larger_than_the_film(tmp_path, run, system, size, frames, reference):
    film_file(tmp_path / "in.mp4", frames=2)
    picture(tmp_path / "ref.png")
    assert run("source=in.mp4", "reference=ref.png", "output=out.mp4", f"size={size}")[0] == 0
    assert system.calls[0] == ("start", (1, 1, 3, *reference))
    assert system.calls[1] == ("step", (1, 1, *frames))


def test_frames_leave_before_the_next_ones_come(system):
    log = []

    class Endless:
        def __iter__(self):
            for n in range(20):
                log.append(("read", n))
                yield textured((20, 30), n)

    class Sink:
        def write(self, rgb):
            log.append(("written", len([1 for what, _ in log if what == "written"])))

    reference = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    colorize.colorize(Endless(), Painter(system, 20), [reference], Sink())
    assert log == [(what, n) for n in range(20) for what in ("read", "written")]


@pytest.mark.parametrize("fps", ["24000/1001", "12", "23.976"])
def test_a_folder_becomes_a_film_at_the_rate_given(tmp_path, run, system, fps):
    for n in range(5):
        picture(tmp_path / "in" / f"{n}.png")
    assert run("source=in", "reference=first", "output=out.mp4", f"fps={fps}")[0] == 0
    assert float(open_film("out.mp4").rate) == pytest.approx(12 if fps == "12" else 24000 / 1001)


def test_one_frame_is_a_film(tmp_path, run, system):
    film_file(tmp_path / "in.mp4", frames=1)
    picture(tmp_path / "ref.png")
    assert run("source=in.mp4", "reference=ref.png", "output=out.mp4")[0] == 0
    assert len(open_film("out.mp4")) == 1


NAMES = [
    "My film (1923), part 1.mp4",
    "a=b, {c}: [d] #e.mp4",
    "'tis.mp4",
    "映画 ünïcode.mp4",
    "${oc.env:HOME} $x.mp4",
    "-dash.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_work_as_typed(tmp_path, run, system, name):
    film_file(tmp_path / name, frames=2)
    picture(tmp_path / f"{name}.png")
    code, _, err = run(f"source={name}", f"reference={name}.png", f"output=out {name}")
    assert (code, err.count("flowchroma:")) == (0, 0)
    assert (tmp_path / f"out {name}").is_file()
    assert len(list(tmp_path.iterdir())) == 3


def test_failures_are_one_line_and_leave_nothing(tmp_path, run, system):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    picture(tmp_path / "gray.png", (90, 90, 90))
    picture(tmp_path / "full" / "x.png")
    (tmp_path / "text.mp4").write_text("no film" * 100)
    before = sorted(tmp_path.rglob("*"))
    given = {"source": "in.mp4", "reference": "ref.png", "output": "out.mp4"}
    cases = [
        ({"source": None}, 1, "no source"),
        ({"output": None}, 1, "no output"),
        ({"source": ""}, 1, "no source"),
        ({"source": "nowhere.mp4"}, 1, "nowhere.mp4"),
        ({"source": "text.mp4"}, 1, "text.mp4"),
        ({"reference": "nowhere.png"}, 1, "nowhere.png"),
        ({"reference": "gray.png"}, 1, "no colour"),
        ({"reference": "first"}, 1, "no colour"),
        ({"reference": "6"}, 1, "0 to 5"),
        ({"output": "in.mp4"}, 1, "source itself"),
        ({"output": "out.avi"}, 1, ".mkv"),
        ({"output": "full"}, 1, "another name"),
        ({"device": "tpu"}, 2, "tpu"),
        ({"size": "small"}, 2, "size"),
        ({"size": "0"}, 2, "size"),
        ({"size": "["}, 2, "--help"),
        ({"fps": "0"}, 2, "fps"),
        ({"quality": "99"}, 2, "quality"),
        ({"quality": "good"}, 2, "quality"),
        ({"colour": "yes"}, 2, "colour"),
    ]
    for change, expected, message in cases:
        arguments = [f"{key}={value}" for key, value in {**given, **change}.items() if value is not None]
        code, out, err = run(*arguments)
        assert (code, out) == (expected, ""), (change, err)
        assert message in err, (change, err)
        assert err.startswith("flowchroma: "), (change, err)
        assert err.count("\n") == 1, (change, err)
    for argument in ("--colour", "in.mp4", "-m", "=x"):
        code, _, err = run(argument)
        assert (code, err.count("\n")) == (2, 1)
        assert argument in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("failure", "code"), [(KeyboardInterrupt(), 130), (UserError("the networks gave up"), 1)])
@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_an_interrupted_film_leaves_nothing(tmp_path, run, system, monkeypatch, failure, code, output):
    film_file(tmp_path / "in.mp4", sound=True)
    picture(tmp_path / "ref.png")
    before = sorted(tmp_path.rglob("*"))
    step = system.step

    def fail(luma, state):
        if len(system.calls) > 3:
            raise failure
        return step(luma, state)

    monkeypatch.setattr(system, "step", fail)
    ended, out, err = run("source=in.mp4", "reference=ref.png", f"output={output}")
    assert (ended, out) == (code, "")
    assert err.splitlines()[-1].startswith("flowchroma: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_light_of_16_bits_stays_in_16(tmp_path, run, system):
    values = np.linspace(25000, 40000, 64 * 96).round().astype(np.uint16).reshape(64, 96)
    (tmp_path / "in").mkdir()
    for n in range(2):
        assert cv2.imwrite(str(tmp_path / "in" / f"{n}.png"), values)
    picture(tmp_path / "ref.png", (150, 110, 100))
    assert run("source=in", "reference=ref.png", "output=out")[0] == 0
    made = cv2.imread(str(tmp_path / "out" / "1.png"), cv2.IMREAD_UNCHANGED)
    assert made.dtype == np.uint16
    assert len(np.unique(made[:, :, 1])) > 5000
    light = lab(made[:, :, ::-1].astype(np.float32) / 65535)
    assert np.abs(light[0] - lab(np.dstack([values] * 3).astype(np.float32) / 65535)[0]).max() < 0.01
    assert np.hypot(*light[1:]).mean() > 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_a_film_ended_by_a_signal_leaves_nothing_and_says_so(tmp_path, run, system, monkeypatch, number, code, output):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    handler = signal.getsignal(number)
    signal.signal(number, signal.SIG_DFL)  # where the tests run under nohup, SIGHUP is ignored
    before = sorted(tmp_path.rglob("*"))
    step = system.step

    def end(luma, state):
        if len(system.calls) > 3:
            os.kill(os.getpid(), number)
        return step(luma, state)

    monkeypatch.setattr(system, "step", end)
    ended, out, err = run("source=in.mp4", "reference=ref.png", f"output={output}")
    assert (ended, out) == (code, "")
    assert err == f"flowchroma: ended by {number.name}, nothing was written\n"
    assert sorted(tmp_path.rglob("*")) == before
    assert signal.getsignal(number) == signal.SIG_DFL
    signal.signal(number, handler)


def test_where_there_is_no_terminal_lines_tell_how_far_it_is(tmp_path, run, system, monkeypatch):
    monkeypatch.setattr("flowchroma.app.progress._EVERY", 0)
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    _, _, err = run("source=in.mp4", "reference=ref.png", "output=out.mp4")
    lines = err.splitlines()
    assert len(lines) == 6
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf"colouring: {number} of 6 frames, [0-9.]+ a second, [0-9]+ minutes left", line)


def test_a_film_that_is_there_is_not_overwritten_unasked(tmp_path, run, system):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    (tmp_path / "out.mp4").write_bytes(b"an older film")
    picture(tmp_path / "out" / "0.png")
    picture(tmp_path / "mixed" / "0.png")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    for output in ("out.mp4", "out"):
        code, _, err = run("source=in.mp4", "reference=ref.png", f"output={output}")
        assert (code, err.count("\n")) == (1, 1)
        assert "overwrite=true" in err
        assert run("source=in.mp4", "reference=ref.png", f"output={output}", "overwrite=true")[0] == 0
        assert len(open_film(output)) == 6
    code, _, err = run("source=in.mp4", "reference=ref.png", "output=mixed", "overwrite=true")
    assert (code, "more than PNG frames" in err) == (1, True)


@pytest.mark.filterwarnings("ignore:.*held over.*", "ignore:.*as a picture.*")
def test_bad_frames_are_held_over_and_counted_or_stop_it(tmp_path, run, system):
    for n in range(6):
        picture(tmp_path / "in" / f"{n}.png", (40 * n, 40, 40))
    for n in (2, 4):
        (tmp_path / "in" / f"{n}.png").write_bytes(b"")
    code, out, err = run("source=in", "reference=first", "output=out")
    assert code == 0
    assert out.startswith("6 frames")
    assert "2 of 6 frames could not be read and were held over" in err
    assert len(open_film("out")) == 6
    code, _, err = run("source=in", "reference=first", "output=other", "strict=true")
    assert code == 1
    assert "2.png" in err
    assert not (tmp_path / "other").exists()


def test_help_is_a_page_about_this_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert out.count("python -m flowchroma.colorize") >= 4
    with initialize_config_dir(CONF, version_base="1.3"):
        for option in compose("colorize"):
            assert f"{option}=" in out
    assert "hydra" not in out.lower()
    assert max(map(len, out.splitlines())) <= 120


def test_the_module_runs_as_a_command(tmp_path, module):
    code, _, err = module("flowchroma.colorize")("source=nowhere (1).mp4", "output=x.mp4")
    assert code == 1
    assert err.startswith("flowchroma: no film at nowhere (1).mp4")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
