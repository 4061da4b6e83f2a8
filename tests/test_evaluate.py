import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from flowchroma import evaluate
from flowchroma.app.evaluate.method_option import with_runs
from flowchroma.evaluation import ScoreStore

QUICK = ("lpips=[]", "fid=false", "download=false")


@pytest.fixture
def films(tmp_path):
    """Two films of six frames in tmp_path/films."""
    for seed, name in enumerate(("one", "two")):
        folder = tmp_path / "films" / name
        folder.mkdir(parents=True)
        rng = np.random.default_rng(seed)
        big = Image.fromarray(rng.integers(0, 255, (10, 16, 3), dtype=np.uint8)).resize((96, 60), Image.BILINEAR)
        for n in range(6):
            big.crop((n, 0, n + 80, 60)).save(folder / f"{n:05d}.png")
    return tmp_path / "films"


@pytest.fixture
def run(command):
    return command(evaluate.main)


def report(tmp_path, output="out"):
    return json.loads((tmp_path / output / "report.json").read_text())


def test_one_command_gives_one_table_and_a_page(tmp_path, run, films):
    code, out, _ = run("method=[gray,hold,dis,oracle]", "data=folder", f"data.root={films}", "output=out", *QUICK)
    assert code == 0
    assert "dis" in out
    made = report(tmp_path)
    assert list(made["methods"]) == ["gray", "hold", "dis", "oracle"]
    psnr = {name: scores["mean"]["psnr"] for name, scores in made["methods"].items()}
    assert float(psnr["oracle"]) > psnr["dis"] > psnr["hold"] > psnr["gray"]
    assert set(made["methods"]["dis"]["clips"]) == {"one", "two"}
    assert made["methods"]["dis"]["seconds_per_frame"] > 0
    assert made["methods"]["dis"]["mean"]["fid"] is None
    assert made["protocol"]["clips"] == "2 of 2"
    assert made["protocol"]["metrics, seconds a frame"] > 0
    rows = list(csv.DictReader((tmp_path / "out" / "report.csv").open()))
    assert len(rows) == 4 * 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/jpeg;base64" in page


def test_the_shipped_system_and_its_parts_are_methods(tmp_path, run, films):
    code, *_ = run(
        "method=[propagation,matching,fusion]",
        "data=folder",
        f"data.root={films / 'one'}",
        "output=out",
        "frames=3",
        *QUICK,
    )
    assert code == 0
    made = report(tmp_path)
    parameters = {name: about["parameters"] for name, about in made["protocol"]["about"].items()}
    assert parameters["fusion"] > parameters["matching"] > parameters["propagation"]
    assert all(scores["mean"]["psnr"] > 10 for scores in made["methods"].values())


def test_keyframes_colour_systems_both_ways_and_all_else_forward(tmp_path, run, films):
    where = ("data=folder", f"data.root={films / 'one'}", *QUICK)
    methods = "method=[hold,dis,rule,oracle]"
    for directions in ("both", "forward"):
        options = ("keyframes=[first,last]", f"directions={directions}", f"output={directions}")
        assert run(methods, *options, *where)[0] == 0
    both, forward = (report(tmp_path, output) for output in ("both", "forward"))
    psnr = {name: float(scores["mean"]["psnr"]) for name, scores in both["methods"].items()}
    assert psnr["oracle"] > psnr["rule"] > psnr["hold"]
    assert psnr["rule"] != float(forward["methods"]["rule"]["mean"]["psnr"])
    assert psnr["dis"] == float(forward["methods"]["dis"]["mean"]["psnr"])
    directions = {name: about["directions"] for name, about in both["protocol"]["about"].items()}
    assert directions == {"hold": "forward", "dis": "forward", "rule": "both", "oracle": "forward"}
    assert both["protocol"]["keyframes"] == "first, last; given from the start, never scored"
    assert both["protocol"]["frames scored"] == 4
    assert "given from the start" in (tmp_path / "both" / "report.html").read_text()
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        "report.html", "report.json", "report.csv", "scores", "stills",
    }  # fmt: skip
    code, _, err = run(methods, "output=both", *where)
    assert code == 1
    assert "holds figures with reference: keyframes, now it is first" in err


def test_predictions_may_leave_out_keyframes(tmp_path, run, films):
    shutil.copytree(films, tmp_path / "theirs")
    for name in ("one", "two"):
        for number in (0, 5):
            (tmp_path / "theirs" / name / f"{number:05d}.png").unlink()
    options = ("predictions=theirs", "keyframes=[0,5]", "data=folder", f"data.root={films}", "output=out", *QUICK)
    assert run(*options)[0] == 0
    made = report(tmp_path)
    assert made["methods"]["theirs"]["mean"]["psnr"] == "inf"
    assert made["protocol"]["about"]["theirs"]["directions"] == "unknown: coloured elsewhere"


def test_a_method_without_weights_is_the_same_in_every_run(tmp_path, run, films):
    arguments = ("method=rule", "data=folder", f"data.root={films / 'one'}", "output=out", "frames=2", *QUICK)
    assert run(*arguments)[0] == 0
    (scored,) = (tmp_path / "out" / "scores" / "rule").glob("*.json")
    before = scored.stat().st_mtime_ns
    assert run(*arguments)[0] == 0
    assert scored.stat().st_mtime_ns == before


def test_several_processes_share_the_clips(tmp_path, run, films):
    first = run("method=dis", "data=folder", f"data.root={films}", "output=alone", *QUICK)
    both = run("method=dis", "data=folder", f"data.root={films}", "output=shared", "processes=2", *QUICK)
    assert first[0] == both[0] == 0
    means = [report(tmp_path, where)["methods"]["dis"]["mean"] for where in ("alone", "shared")]
    assert means[0] == means[1]


def test_predictions_stand_alone_and_hostile_ones_are_named(tmp_path, run, films):
    for name in ("one", "two"):
        folder = tmp_path / "theirs" / name
        folder.mkdir(parents=True)
        for file in (films / name).iterdir():
            if (name, file.stem) != ("two", "00003"):
                Image.fromarray(np.asarray(Image.open(file)) // 2).save(folder / file.name)
    code, _, err = run("predictions=theirs", "data=folder", f"data.root={films}", "output=out", *QUICK)
    assert code == 1
    assert "two by theirs is not scored" in err
    assert "lacks the frame 00003" in err
    made = report(tmp_path)
    assert list(made["methods"]) == ["theirs"]
    assert list(made["methods"]["theirs"]["clips"]) == ["one"]
    assert made["methods"]["theirs"]["seconds_per_frame"] is None
    assert any("00003" in line for line in made["protocol"]["problems"])


def test_a_run_directory_is_a_method(tmp_path, run, films, build):
    from omegaconf import OmegaConf

    from flowchroma.training import save_weights
    from flowchroma.weights import SHIPPED_SYSTEM

    shipped = OmegaConf.load(SHIPPED_SYSTEM.with_name("config.yaml"))
    folder = tmp_path / "outputs" / "my flow, 2"
    folder.mkdir(parents=True)
    OmegaConf.save(
        OmegaConf.create({"stage": {"name": "memflow"}, "model": shipped.stage.flow}), folder / "config.yaml"
    )
    save_weights(build("memflow_small"), folder / "weights.safetensors")
    where = ("data=folder", f"data.root={films / 'one'}", "output=out", "frames=3", *QUICK)
    assert run("method=[hold,outputs/my flow]", *where)[0] == 2  # no such name, and no such directory
    folder.rename(tmp_path / "outputs" / "my flow")
    assert run("method=[hold,outputs/my flow]", *where)[0] == 0
    assert list(report(tmp_path)["methods"]) == ["hold", "my_flow"]
    code, _, err = run("method=matching", "checkpoint=outputs/my flow", *where)
    assert code == 1
    assert "stage memflow" in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("method=dis",), 1, "no output"),
        (("method=nope", "output=o"), 2, "nope"),
        (("metod=dis",), 2, "unknown option"),
        (("method=dis", "data=folder", "output=o"), 1, "data.root is not set"),
        (("method=dis", "data=folder", "data.root=nowhere", "output=o"), 1, "nothing at nowhere"),
        (("method=dis", "output=o", "reference=last"), 2, "reference must be"),
        (("method=dis", "output=o", "processes=0"), 2, "processes must be"),
        (("method=dis", "output=o", "reference=first", "keyframes=[first,last]"), 2, "two protocols: give one"),
        (("method=dis", "output=o", "reference=10", "keyframes=middle"), 2, "two protocols: give one"),
        (("method=dis", "output=o", "keyframes=[0,end]"), 2, "keyframes must be first, middle, last"),
        (("method=dis", "output=o", "keyframes=every:0"), 2, "keyframes must be first, middle, last"),
        (("method=dis", "output=o", "keyframes=first", "directions=backward"), 2, "directions must be both or"),
        (("method=dis", "output=o", "directions=forward"), 2, "give keyframes= too"),
        (("method=[]", "data=sample", "output=o"), 1, "nothing to score"),
        (("method=dis", "output=o", "resize=224"), 2, "resize must be [height,width]"),
        (("method=dis", "data=sample", "output=o", "fid=maybe"), 2, "fid must be true or false"),
        (("method=dis", "data=sample", "output=o", "predictions=x/oracle"), 1, "a name that is taken"),
        (("method=hold", "data=sample", "output=o", "predictions=dis"), 1, "a name that is taken"),
        (("predictions=truth", "data=sample", "output=o"), 1, "a name that is taken"),
    ],
)
def test_a_wrong_option_is_one_line(run, arguments, code, told):
    got, _, err = run(*QUICK, *arguments)
    assert (got, err.count("flowchroma:")) == (code, 1)
    assert told in err


def test_a_run_has_no_name_of_a_method(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "dis").mkdir(parents=True)
    assert with_runs(["method=[dis,mine/dis]"]) == ["method=[dis]", "+runs.mine_dis=mine/dis"]


def test_predictions_that_were_made_again_are_scored_again(tmp_path, run, films):
    shutil.copytree(films, tmp_path / "theirs")
    where = ("predictions=theirs", "data=folder", f"data.root={films}", "output=out", *QUICK)
    assert run(*where)[0] == 0
    for file in (tmp_path / "theirs").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file)) // 2).save(file)
    assert run(*where)[0] == 0
    assert report(tmp_path)["methods"]["theirs"]["mean"]["psnr"] < 20


def test_a_full_disk_is_one_line(tmp_path, run, films, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ScoreStore, "put", full)
    code, _, err = run("method=gray", "data=folder", f"data.root={films}", "output=out", *QUICK)
    assert code == 1
    assert "cannot write to out: No space left on device" in err


def test_help_says_every_option(run):
    _, out, _ = run("--help")
    for option in ("method", "data.root", "output", "checkpoint", "predictions", "processes"):
        assert f"{option}=" in out
    for option in ("reference", "keyframes", "directions", "resize", "frames"):
        assert f"{option}=" in out
    assert max(map(len, out.splitlines())) <= 120


def test_the_module_runs_as_a_command(tmp_path, module):
    code, _, err = module("flowchroma.evaluate")("method=dis", "output=")
    assert code == 1
    assert err.startswith("flowchroma: no output")
    assert not list(tmp_path.iterdir())
