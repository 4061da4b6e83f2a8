import os
import re
import signal

import pytest
from hydra import compose, initialize_config_dir

from flowchroma.app.settings import CONF
from flowchroma.errors import UserError
from flowchroma.film import open_film


def test_failures_are_one_line_and_leave_nothing(tmp_path, run, system, film_file, picture):
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
        ({"precision": "half"}, 2, "auto, float32 or bfloat16"),
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
def test_an_interrupted_film_leaves_nothing(
    tmp_path, run, system, monkeypatch, failure, code, output, film_file, picture
):
    film_file(tmp_path / "in.mp4", sound=True)
    picture(tmp_path / "ref.png")
    before = sorted(tmp_path.rglob("*"))
    match = system.matcher.match

    def fail(*given):
        if len(system.calls) > 3:
            raise failure
        return match(*given)

    monkeypatch.setattr(system.matcher, "match", fail)
    ended, out, err = run("source=in.mp4", "reference=ref.png", f"output={output}")
    assert (ended, out) == (code, "")
    assert err.splitlines()[-1].startswith("flowchroma: ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_a_film_ended_by_a_signal_leaves_nothing_and_says_so(
    tmp_path, run, system, monkeypatch, number, code, output, film_file, picture
):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    handler = signal.getsignal(number)
    signal.signal(number, signal.SIG_DFL)  # where the tests run under nohup, SIGHUP is ignored
    before = sorted(tmp_path.rglob("*"))
    match = system.matcher.match

    def end(*given):
        if len(system.calls) > 3:
            os.kill(os.getpid(), number)
        return match(*given)

    monkeypatch.setattr(system.matcher, "match", end)
    ended, out, err = run("source=in.mp4", "reference=ref.png", f"output={output}")
    assert (ended, out) == (code, "")
    assert err == f"flowchroma: ended by {number.name}, the film is not whole\n"
    assert sorted(tmp_path.rglob("*")) == before
    assert signal.getsignal(number) == signal.SIG_DFL
    signal.signal(number, handler)


def test_a_film_that_is_there_is_not_overwritten_unasked(tmp_path, run, system, film_file, picture):
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
def test_bad_frames_are_held_over_and_counted_or_stop_it(tmp_path, run, system, picture):
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


def test_where_there_is_no_terminal_lines_tell_how_far_it_is(tmp_path, run, system, monkeypatch, film_file, picture):
    monkeypatch.setattr("flowchroma.app.progress._EVERY", 0)
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    _, _, err = run("source=in.mp4", "reference=ref.png", "output=out.mp4")
    lines = [line for line in err.splitlines() if line.startswith("colouring")]
    assert len(lines) == 6
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(rf"colouring: {number} of 6 frames, [0-9.]+ a second, [0-9]+ minutes left", line)


def test_help_is_a_page_about_this_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert out.count("python -m flowchroma.colorize") >= 4
    with initialize_config_dir(CONF, version_base="1.3"):
        for option in compose("colorize"):
            assert f"{option}=" in out
    assert "powered by hydra" not in out.lower()
    assert max(map(len, out.splitlines())) <= 120


def test_the_module_runs_as_a_command(tmp_path, module):
    code, _, err = module("flowchroma.colorize")("source=nowhere (1).mp4", "output=x.mp4")
    assert code == 1
    assert err.startswith("flowchroma: no film at nowhere (1).mp4")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())
