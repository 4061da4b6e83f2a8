import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from flowchroma.film.segments import SegmentStore
from flowchroma.models.state import ReferenceMemory


@pytest.fixture
def system(system, monkeypatch):
    """The stand-in, which tells pictures apart, and is the less sure the brighter a frame's left half is."""
    match, encode = system.matcher.match, system.matcher.encode_references

    def told_apart(references):
        patches = functional.unfold(references[:, 0, :1], 8, stride=8).transpose(1, 2)
        keys = functional.normalize(patches - patches.mean(dim=2, keepdim=True), dim=2)
        lab = encode(references).lab.mean(dim=1, keepdim=True).expand(-1, keys.shape[1], -1)
        return ReferenceMemory(keys, lab, torch.zeros(keys.shape[1], dtype=torch.int64))

    def unsure(luma, memories, last=None):
        found = match(luma, memories, last)
        similarity = torch.ones_like(luma)
        half = luma.shape[-1] // 2
        similarity[..., :half] = 1 - luma[..., :half].mean() / 110
        return [replace(each, similarity=similarity) for each in found]

    monkeypatch.setattr(system.matcher, "match", unsure)
    monkeypatch.setattr(system.matcher, "encode_references", told_apart)
    return system


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The folder in which the store's files are found again once the film is joined."""
    join = SegmentStore.join
    folder = tmp_path / "kept"

    def joined(store, *given, **named):
        shutil.copytree(store.folder, folder, dirs_exist_ok=True)
        return join(store, *given, **named)

    monkeypatch.setattr(SegmentStore, "join", joined)
    return folder


@pytest.fixture
def shots():
    """Make a folder of gray frames: shots of other pictures, the light of each of which rises and falls."""

    def made(folder, lengths=(20, 16)):
        folder.mkdir(exist_ok=True)
        number = 0
        for seed, length in enumerate(lengths):
            noise = np.random.default_rng(seed).random((6, 14), dtype=np.float32)
            wide = cv2.resize(noise, (160, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1)
            for t in range(length):
                light = 60 + 120 * np.sin(np.pi * (t + 0.5) / length)
                cv2.imwrite(str(folder / f"{number:04}.png"), (20 + light * wide[:, t : t + 96]).astype(np.uint8))
                number += 1
        return folder

    return made


@pytest.fixture
def means(kept):
    """Make a function that gives the mean expected error of each frame, in order, as the store kept it."""

    def read():
        files = sorted(kept.glob("errors-*.json"), key=lambda path: int(path.stem.split("-")[1]))
        return [error for file in files for error in json.loads(file.read_text())]

    return read
