from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from flowchroma.errors import UserError
from flowchroma.files.tensors import write_tensors


def test_what_is_written_is_read_by_whom_new_files_are(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}
    path = tmp_path / "deep" / "a.safetensors"
    write_tensors(path, tensors, {"film": "x"})
    found = load_file(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert [*path.parent.iterdir()] == [path]


def test_what_cannot_be_written_is_one_line_and_the_old_file_stays(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.zeros(2)})
    before = path.read_bytes()

    def full(path: Path, flags: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flowchroma.files.durable._sync", full)
    with pytest.raises(UserError, match=r"a\.safetensors cannot be written .*No space left") as refusal:
        write_tensors(path, {"a": torch.ones(2)})
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_tensors(tmp_path / "file" / "a.safetensors", {"a": torch.ones(2)})
