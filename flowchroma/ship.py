"""Make a run of a whole system the one that ships with the package: python -m flowchroma.ship RUN."""

import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf

from flowchroma.app.options import asks_for_help, report_user_error
from flowchroma.app.records import read_record
from flowchroma.app.systems import SystemRecord, load_system
from flowchroma.errors import UserError
from flowchroma.weights import SHIPPED_SYSTEM
from flowchroma.weights.files import save_weights


def main() -> None:
    """Take a run's directory."""
    if asks_for_help(sys.argv[1:]):
        print(
            "FlowChroma makes a run of stage fusion, fusion_rollouts or bidirectional the system that ships with the"
            " package.\n\n"
            "  python -m flowchroma.ship RUN\n"
            "  python -m flowchroma.ship RUN FOLDER     into another folder"
        )
        return
    with report_user_error():
        if len(sys.argv) not in (2, 3):
            raise UserError("give the directory of one run of a whole system", code=2)
        target = Path(sys.argv[2], SHIPPED_SYSTEM.name) if len(sys.argv) == 3 else SHIPPED_SYSTEM
        ship(Path(sys.argv[1]), target)


def ship(run: Path, target: Path) -> None:
    """Write the run's weights in half precision, and of its config what builds the networks."""
    system = load_system(str(run))
    config = read_record(run / "config.yaml")
    networks = SystemRecord.of(config)
    added = {} if networks.bidirectional is None else {"bidirectional": networks.bidirectional}
    kept = {
        "stage": {
            "name": "fusion",
            "flow": networks.flow,
            "matcher": networks.matcher,
            **added,
            "module": networks.memory,
        },
        "model": networks.fusion,
        "record": {name: config.record[name] for name in ("loss_trunk", "torch")},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    save_weights(system, target, torch.float16)
    OmegaConf.save(OmegaConf.create(kept), target.with_name("config.yaml"))


if __name__ == "__main__":
    main()
