import tempfile
from pathlib import Path

import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.files.spool import Spool


def test_arrays_come_back_as_they_were_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    random, spool = np.random.default_rng(0), Spool()
    arrays = [
        random.integers(0, 256, (30, 40, 3), dtype=np.uint8),
        random.random((7, 5)) > 0.5,
        random.random((4, 6, 3)).astype(np.float32)[:, ::2],
        np.zeros((0, 3), np.uint8),
    ]
    kept = [spool.keep(array) for array in arrays]
    for read, array in [*zip(kept, arrays, strict=True)][::-1] * 2:
        found = read()
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)
    kept[0]()[:] = 0  # what was read is the reader's own
    assert np.array_equal(kept[0](), arrays[0])
    assert list(tmp_path.iterdir()) == []  # nothing that a kill could leave


def test_a_full_disk_is_said_in_one_line():
    spool = Spool()
    with Path("/dev/full").open("wb") as full:
        spool._file = full
        with pytest.raises(UserError, match="make room, or name another folder by the environment variable TMPDIR"):
            spool.keep(np.zeros(100_000, np.uint8))
