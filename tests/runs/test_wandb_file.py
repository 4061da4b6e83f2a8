import time
from pathlib import Path

import pytest

from flowchroma.runs import read_run
from flowchroma.runs.wandb_file import records

BLOCK = 32768


def record(kind: int, data: bytes) -> bytes:
    return b"\0\0\0\0" + len(data).to_bytes(2, "little") + bytes([kind]) + data


def test_records_are_put_together_across_blocks_and_fillings():
    lead = b":W&B\x01\x02\x00"
    first = b"a" * (BLOCK - 7 - 7 - 5)  # leaves five bytes: too few for a header
    whole = lead + record(1, first) + b"\0" * 5
    part, rest = b"b" * (BLOCK - 7), b"c" * 10
    whole += record(2, part) + record(3, part) + record(4, rest) + record(1, b"last")
    assert list(records(whole)) == [first, part + part + rest, b"last"]
    assert list(records(whole[:-2])) == [first, part + part + rest]  # cut off
    assert list(records(b"not one")) == []


def test_curves_are_read_back_from_what_wandb_wrote_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    from flowchroma.training import Wandb

    logger = Wandb({"val/psnr": "max", "train/*": "min"}, project="p", save_dir=str(tmp_path), offline=True)
    for step in range(30):
        logger.log_metrics({"train/loss": 1.0 / (step + 1), "note": float("nan")}, step)
    logger.log_metrics({"val/psnr": 31.0}, 9)
    logger.log_metrics({"val/psnr": 30.0}, 29)
    summary = logger.experiment.summary
    assert summary["val/psnr"]["max"] == 31.0
    assert summary["train/loss"]["min"] == pytest.approx(1 / 30)
    logger.close()
    for _ in range(100):  # wandb's service writes the file's end in its own time
        run = read_run(tmp_path)
        if len(run.curves.get("val/psnr", ((), ()))[0]) == 2:
            break
        time.sleep(0.2)
    assert run.curves["train/loss"] == (list(range(30)), [pytest.approx(1 / (step + 1)) for step in range(30)])
    assert run.curves["val/psnr"][1] == [31.0, 30.0]
    assert "note" not in run.curves
