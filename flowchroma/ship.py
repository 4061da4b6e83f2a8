"""Make a run of a whole system the one that ships with the package: python -m flowchroma.ship RUN."""

import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf

from flowchroma.app.options import asks_for_help, report_user_error
from flowchroma.app.records import read_record
from flowchroma.app.systems import SystemRecord, load_system
from flowchroma.errors import UserError
from flowchroma.files.durable import write_durably
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
        run, target = Path(sys.argv[1]), Path(*sys.argv[2:]) if sys.argv[2:] else SHIPPED_SYSTEM.parent
        if not (run / "config.yaml").is_file():
            raise UserError(f"{run} is no run's directory: give one that holds config.yaml", code=2)
        ship(run, target / SHIPPED_SYSTEM.name)


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
    save_weights(system, target, torch.float16)
    write_durably(target.with_name("config.yaml"), OmegaConf.to_yaml(OmegaConf.create(kept)))
    print(f"{target.parent}: {'with' if added else 'without'} a fusion of both sides")


if __name__ == "__main__":
    main()
