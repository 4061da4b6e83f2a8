import http.server
import pickle
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
import torch

from flowchroma.data import ClipDataModule, FrameFolders, Shards
from flowchroma.data.clips.raw import RawClip
from flowchroma.data.clips.sampler import ClipSampler
from flowchroma.errors import UserError


@pytest.mark.parametrize("at_least", [None, (24, 32), (10, 9)])
@pytest.mark.parametrize("split", ["train", "val"])
def test_frames_are_those_of_the_folders_bit_for_bit(noisy, packed, split, at_least):
    originals, films = FrameFolders(noisy).films(split), Shards(packed).films(split)
    assert [film.name for film in films] == [film.name for film in originals]
    for original, film in zip(originals, films, strict=True):
        assert (len(film), film.size) == (len(original), original.size)
        indices = [3, 0, 6, 3]
        for one, other in zip(original.read(indices, at_least), film.read(indices, at_least), strict=True):
            assert np.array_equal(one, other)
        assert all(np.array_equal(one, other) for one, other in zip(original, film, strict=True))


def module(source, workers=0):
    return ClipDataModule(
        {"one": source}, clip_length=3, size=(24, 24), batch_size=2, num_workers=workers, val_length=4,
        reference={"far": 1.0},
    )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 2])
def test_clips_are_those_of_the_folders_bit_for_bit(noisy, packed, workers):
    ours, theirs = module(Shards(packed), workers), module(FrameFolders(noisy))
    for loader in ("train_dataloader", "val_dataloader"):
        batches = zip(getattr(ours, loader)(), getattr(theirs, loader)(), strict=True)
        for one, other in batches:
            assert one.names == other.names
            for name in ("rgb", "references", "has_flow", "starts_coloured"):
                assert torch.equal(getattr(one, name), getattr(other, name))


def test_each_clip_is_read_by_one_worker_of_one_rank(packed):
    handed = Counter()
    for rank in range(2):
        data = module(Shards(packed), workers=2)
        data.setup("fit")
        keys = ClipSampler(12, 0, True, rank, 2)
        loader = data._loader(data._train, train=True)
        fresh = type(loader)(
            loader.dataset, batch_size=2, sampler=keys, num_workers=2, collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
        )  # fmt: skip
        handed.update(name for batch in fresh for name in batch.names)
    alone = Counter(name for batch in module(Shards(packed)).train_dataloader() for name in batch.names)
    assert handed == alone
    assert sum(handed.values()) == 12


def test_a_clip_reads_its_frames_and_little_else(packed, monkeypatch):
    (film,) = [film for film in Shards(packed).films("train") if film.name == "b"]
    places = film.reader.read_table(film.shard)["b"]
    asked = []
    import fsspec

    read = fsspec.implementations.local.LocalFileSystem.cat_file

    def spy(self, path, start=None, end=None, **kwargs):
        asked.append((start, end))
        return read(self, path, start, end, **kwargs)

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "cat_file", spy)
    monkeypatch.setattr("flowchroma.data.sources.byte_ranges._GAP", 1024)
    film.read([2, 3, 4, 11])
    assert asked == [(places[2][0], sum(places[4])), (places[11][0], sum(places[11]))]


@pytest.fixture
def served(packed, serve):
    """The shards behind an object store's protocol: HTTP with ranges."""

    class Ranges(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        sent: ClassVar[Counter] = Counter()
        url = ""

        def do_GET(self):
            data = (packed / self.path.lstrip("/")).read_bytes() if (packed / self.path.lstrip("/")).exists() else None
            if data is None:
                self.send_error(404)
                return
            wanted = self.headers.get("Range")
            start, stop = 0, len(data)
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last) + 1, len(data))
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            self.wfile.write(data[start:stop])
            Ranges.sent[self.path] += stop - start

        def log_message(self, *_):
            pass

    Ranges.url = serve(Ranges)
    return Ranges


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cached", [False, True])
def test_clips_from_a_store_are_those_of_the_folders(noisy, served, tmp_path, workers, cached):
    pytest.importorskip("aiohttp")
    source = Shards(served.url, cache=tmp_path / "node" if cached else None)
    for one, other in zip(
        module(source, workers).train_dataloader(), module(FrameFolders(noisy)).train_dataloader(), strict=True
    ):
        assert torch.equal(one.rgb, other.rgb)
    if cached:
        # However many workers: each shard came once, whole.
        assert {path.name for path in (tmp_path / "node").glob("*.tar")} == {
            path.strip("/") for path in served.sent if path.endswith(".tar")
        }
        assert all(
            sent == (tmp_path / "node" / path.strip("/")).stat().st_size
            for path, sent in served.sent.items() if path.endswith(".tar")
        )  # fmt: skip


def test_a_film_that_vanishes_is_replaced_and_named(packed, noisy):
    data = module(Shards(packed))
    data.setup("fit")
    films = Shards(packed).films("train")
    gone = next(film.shard for film in films if film.name == "a")
    (packed / gone).unlink()
    clips = list(data.train_dataloader())
    assert all(isinstance(clip, RawClip) for clip in clips)
    skipped = {entry for clip in clips for entry in clip.skipped}
    assert any(entry.startswith("a: cannot read") and gone in entry for entry in skipped)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 3], lambda data: bytes(len(data))])
def test_a_damaged_shard_names_the_frame_and_itself(packed, damage):
    film = Shards(packed).films("train")[0]
    path = packed / film.shard
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"6 of {film.name} in {film.shard}"):
        film.read([6])


def test_what_is_no_shards_is_said(tmp_path, packed):
    with pytest.raises(UserError, match=r"data.root is not set: give the folder that holds shards"):
        Shards(None).films("train")
    with pytest.raises(UserError, match=rf"cannot read {tmp_path}/index.json: there is no such file"):
        Shards(tmp_path).films("train")
    with pytest.raises(UserError, match=r"none is for test"):
        Shards(packed).films("test")
    for content, message in (("{}", "is no index"), ('{"version": 99, "films": []}', "another version")):
        (packed / "index.json").write_text(content)
        with pytest.raises(UserError, match=message):
            Shards(packed).films("train")


def test_a_store_that_is_not_there_is_said_in_one_line():
    with pytest.raises(UserError, match=r"cannot read http://127.0.0.1:9/x/index.json: .*") as said:
        Shards("http://127.0.0.1:9/x").films("train")
    assert "\n" not in str(said.value)


def test_films_cross_to_workers_without_their_connection(packed):
    film = Shards(packed).films("train")[0]
    film.read([0])
    copy = pickle.loads(pickle.dumps(film))
    assert copy.reader._opened is None
    assert np.array_equal(copy.read([1])[0], film.read([1])[0])
