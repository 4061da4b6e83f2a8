"""Train one stage, keep the best, score it: python -m flowchroma.run stage=fusion model=simple."""

from pathlib import Path

import hydra
from hydra.utils import instantiate
from lightning.pytorch import seed_everything
from omegaconf import DictConfig

from flowchroma.app.building import build_stage, build_trainer, refuse_misfit
from flowchroma.app.failures import explain_machine_failures, report_errors
from flowchroma.app.launching import job_of_a_sweep, refuse_unlaunchable
from flowchroma.app.options import report_bad_options
from flowchroma.app.results import fit, report, score_best, write_record
from flowchroma.app.resuming import checkpoint_to_resume
from flowchroma.app.settings import CONF
from flowchroma.training import close_loggers, log_config, save_weights
from flowchroma.weights.files import WEIGHTS


@report_bad_options
@hydra.main(version_base="1.3", config_path=CONF, config_name="config")
@report_errors
@explain_machine_failures()
def main(config: DictConfig) -> float:
    """Compose, train or go on training, keep the best by validation, and return the figure that sweeps go by."""
    refuse_misfit(config)
    with job_of_a_sweep(config):
        return run(config)


def run(config: DictConfig) -> float:
    """One run, in each of its processes: its best `optimized_metric`."""
    checkpoint = checkpoint_to_resume(config)
    run_dir, metric = Path(config.run_dir), config.optimized_metric
    seed_everything(config.seed, workers=True, verbose=False)
    stage = build_stage(config)
    data = instantiate(config.data)
    trainer = build_trainer(config, stage)
    refuse_unlaunchable(trainer)
    try:
        if trainer.is_global_zero:
            log_config(trainer.loggers, write_record(config, stage, run_dir / "config.yaml"))
        if stage.has_parameters:
            fit(trainer, stage, data, checkpoint, metric)
        scores = score_best(trainer, stage, data, metric)
    finally:
        close_loggers(trainer.loggers)
    if trainer.is_global_zero:
        save_weights(stage.network, run_dir / WEIGHTS)
        report(config, stage, scores, run_dir)
    return float(scores[metric])


if __name__ == "__main__":
    main()
