from pathlib import Path

import numpy as np
import pytest

from flowchroma import prepare
from flowchroma.data import FrameFolders, Shards


@pytest.fixture
def davis(tmp_path):
    """A set in DAVIS layout: train a, b; val c."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for sequence in "abc":
        folder = tmp_path / "DAVIS/JPEGImages/480p" / sequence
        folder.mkdir(parents=True)
        for index in range(5):
            Image.fromarray(draw.integers(0, 256, (24, 32, 3), np.uint8)).save(folder / f"{index:05}.jpg")
    lists = tmp_path / "DAVIS/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    return tmp_path / "DAVIS"


@pytest.fixture
def run(command):
    return command(prepare.main)


def test_a_set_is_checked_indexed_packed_and_trained_on(run, davis, compose):
    code, out, _ = run("data=davis", "data.root=DAVIS")
    assert (code, out) == (0, "DAVIS/JPEGImages: 3 films are whole, 15 frames\n")
    code, out, _ = run("data=davis", "data.root=DAVIS")
    assert (code, out) == (0, "DAVIS/JPEGImages: 3 films are whole, 3 of them known from before, 15 frames\n")
    code, out, _ = run("data=davis", "data.root=DAVIS", "pack=my shards, [1]")
    assert (code, out) == (0, "3 films are packed, 3 of them now: data=shards data.root=my shards, [1]\n")
    code, out, _ = run("data=davis", "data.root=DAVIS", "pack=my shards, [1]")
    assert (code, out) == (0, "3 films are packed, 0 of them now: data=shards data.root=my shards, [1]\n")
    for split in ("train", "val"):
        for one, other in zip(FrameFolders(davis).films(split), Shards("my shards, [1]").films(split), strict=True):
            assert all(np.array_equal(*frames) for frames in zip(one, other, strict=True))
    assert run("data=shards", "data.root=my shards, [1]")[:2] == (0, "my shards, [1]: 3 films are whole, 15 frames\n")


def test_what_is_bad_is_named_and_the_code_says_so(run, davis):
    bad = davis / "JPEGImages/480p/b/00003.jpg"
    bad.write_bytes(b"")
    code, out, err = run("data=davis", "data.root=DAVIS")
    assert code == 1
    assert out == "DAVIS/JPEGImages: 2 films are whole, 10 frames; 1 of 3 films are bad\n"
    first, last = err.splitlines()
    assert "DAVIS/JPEGImages/480p/b/00003.jpg" in first
    assert last == "flowchroma: 1 thing is bad, see above: mend or remove it, and run this again"
    code, out, err = run("data=davis", "data.root=DAVIS", "pack=shards")
    assert code == 1
    assert out == "2 films are packed, 2 of them now: data=shards data.root=shards\n"
    assert err.startswith("flowchroma: b: ")


def test_made_films_can_be_packed(run):
    few = ["+data.sources.sample.train_films=1", "+data.sources.sample.frames=4", "data.sources.sample.val_films=1"]
    code, _, _ = run("data=sample", "data.size=[32,48]", *few, "pack=s")
    assert code == 0
    film = Shards("s").films("train")[0]
    assert film.read([3])[0].shape == (*film.size, 3)
    assert run("data=sample")[:2] == (0, "the photographs in scikit-image: 0 films are whole, 0 frames\n")


def test_without_a_network_it_fails_at_once_with_what_to_do(run, tmp_path):
    code, _, err = run("data=davis", "data.root=new", "archive.davis.url=http://127.0.0.1:9/DAVIS.zip")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "get the file by other means, put it at new/DAVIS.zip, and run this again" in err
    code, _, err = run("data=davis", "data.root=new", "download=false")
    assert (code, err) == (
        1,
        "flowchroma: new has no folder JPEGImages: data.root should be the folder that holds it\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 1, "data.root is not set"),
        (["data=davis"], 1, "data.root is not set"),
        (["data.root=nowhere"], 1, "there is nothing at nowhere"),
        (["data=davis", "data.root=DAVIS", "pack=s3://bucket/x"], 1, "give a folder here, and copy it to the store"),
        (["data=davis", "data.root=DAVIS", "pack=x", "jpeg=101"], 2, "jpeg must be a whole number from 1 to 100"),
        (["data=davis", "data.root=DAVIS", "encode=x", "gop=0"], 2, "gop must be a number of frames from 1 on"),
        (["verify"], 2, "unknown option 'verify'"),
        (["data=nothing"], 2, "no data=nothing: choose from davis,"),
    ],
)
def test_options_that_make_no_sense(run, davis, arguments, code, message):
    got, _, err = run(*arguments)
    assert got == code
    assert message in err
    assert len(err.splitlines()) == 1


def test_help_names_every_set(run):
    code, out, _ = run("--help")
    assert code == 0
    from flowchroma.app.settings import CONF

    names = {path.stem for path in Path(CONF, "data").glob("[!_]*.yaml")} - {"rollouts"}  # which is made, not fetched
    assert all(name in out for name in names)


def test_archives_are_built(compose):
    from hydra.utils import instantiate

    from flowchroma.app.settings import CONF

    for path in Path(CONF, "archive").glob("*.yaml"):
        config = compose(f"data={path.stem}", name="prepare")
        for archive in config.archive.values():
            assert instantiate(archive).url.endswith(".zip")


def test_where_there_is_no_terminal_lines_tell_how_far_it_is(run, davis, monkeypatch):
    monkeypatch.setattr("flowchroma.app.progress._EVERY", 0)
    _, _, said = run("data=davis", "data.root=DAVIS")
    assert said.splitlines() == [f"reading {name}: {n} of 3" for n, name in enumerate("abc", 1)]


def test_a_signal_leaves_no_half_of_a_film(run, tmp_path, monkeypatch):
    import os
    import signal

    from flowchroma.film import open_writer
    from flowchroma.film.outputs import VideoWriter

    (tmp_path / "films").mkdir()
    with open_writer(tmp_path / "films" / "a.mp4") as writer:
        for n in range(30):
            writer.write(np.full((48, 64, 3), 8 * n, np.uint8))
    monkeypatch.setattr(VideoWriter, "write", lambda self, rgb: os.kill(os.getpid(), signal.SIGTERM))
    code, _, said = run("data=folder", "data.root=films", "encode=out")
    assert code == 143
    assert said.splitlines()[-1].startswith("flowchroma: ended by SIGTERM, what is done is kept")
    assert list((tmp_path / "out").iterdir()) == []
