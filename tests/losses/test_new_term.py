"""A new term, as docs/losses.md adds it: no file of the project knows of it."""

import csv
import re
import sys
from pathlib import Path

import pytest

from flowchroma import run

ROOT = Path(__file__).parents[2]
TINY = [
    "stage=swintexco", "data.size=[32,32]", "data.clip_length=2", "data.batch_size=1", "data.num_workers=0",
    "data.val_clips=1", "data.val_length=2", "trainer.max_steps=1", "trainer.log_every_n_steps=1",
]  # fmt: skip
OPTIONS = ["loss=l1", "+loss/term@loss.terms.saturation=saturation", "+loss.saturation=0.1"]


@pytest.mark.parametrize("options", [OPTIONS, ["loss=saturated"]])
def test_a_term_is_added_in_yaml_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str]) -> None:
    page = (ROOT / "docs" / "losses.md").read_text()
    assert " ".join(OPTIONS[1:]) in page
    code, term, loss = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)
    (tmp_path / "conf" / "loss" / "term").mkdir(parents=True)
    (tmp_path / "saturation.py").write_text(code)
    (tmp_path / "conf" / "loss" / "term" / "saturation.yaml").write_text(term)
    (tmp_path / "conf" / "loss" / "saturated.yaml").write_text(loss)
    monkeypatch.syspath_prepend(tmp_path)
    places = [f"hydra.searchpath=[file://{tmp_path / 'conf'}]", f"hydra.run.dir={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", ["flowchroma.run", *options, *TINY, *places])
    run.main()
    monkeypatch.delitem(sys.modules, "saturation")
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["train/loss"])
    figures = {name: float(row[f"train/{name}"]) for name in ("loss", "l1", "saturation", "saturation_weighted")}
    assert figures["saturation"] > 0
    assert figures["saturation_weighted"] == pytest.approx(0.1 * figures["saturation"])
    assert figures["loss"] == pytest.approx(figures["l1"] + 0.1 * figures["saturation"])
