import sys
from pathlib import Path

import pytest

from flowchroma import compare


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["flowchroma.compare", *arguments])
    compare.main()


def runs(tmp_path: Path) -> Path:
    for name, psnr in (("a", 30.0), ("b c", 31.0)):
        path = tmp_path / "runs, all=1" / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(f"name: {name}\nseed: 0\noptimizer: {{lr: {psnr}}}\n")
        (path / "metrics.csv").write_text(f"step,val/psnr\n1,{psnr - 1}\n2,{psnr}\n")
        (path / "results.csv").write_text(f"val/psnr\n{psnr}\n")
    return tmp_path / "runs, all=1"


def test_runs_are_compared_whatever_their_names(monkeypatch, tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    call(monkeypatch, str(runs(tmp_path)), str(tmp_path / "nothing"), f"output={tmp_path / 'out'}")
    told = capsys.readouterr()
    assert "lr=31 leads: val/psnr 31.00 dB, 1.00 dB above lr=30" in told.out
    assert told.err.count("flowchroma:") == 1
    assert "nothing: no run" in told.err
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "nothing: no run" in page
    assert (tmp_path / "out" / "comparison.csv").read_text().startswith("run,name,state")


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ([], "no runs", 2),
        (["nowhere"], "there is nothing of that name", 1),
        (["RUNS", "metric=val/nope"], "choose from val/psnr", 2),
        (["RUNS", "--nope"], "unknown option", 2),
        (["RUNS", "output=FILE/below"], "cannot write to", 1),
    ],
)
def test_bad_input_is_one_line(monkeypatch, tmp_path, capsys, arguments, said, code):
    (tmp_path / "file").write_text("")
    where = {"RUNS": str(runs(tmp_path)), "output=FILE/below": f"output={tmp_path / 'file' / 'below'}"}
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, *(where.get(argument, argument) for argument in arguments))
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert (len(told), stop.value.code) == (1, code)
    assert said in told[0]


def test_help_says_how(monkeypatch, capsys):
    call(monkeypatch, "--help")
    assert "python -m flowchroma.compare RUN" in capsys.readouterr().out
