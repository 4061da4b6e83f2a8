"""One job of a run or a sweep: what Hydra hands to its launchers.

A launcher pickles the job, and functions are pickled by their module's name: this one must not be `__main__`.
"""

from omegaconf import DictConfig

from flowchroma.app.run import run_config  # noqa: F401 (its resolvers, in a launcher's process too)
from flowchroma.app.run.failures import explain_machine_failures, report_errors
from flowchroma.app.run.schema import check_options


@report_errors
@explain_machine_failures()
def run_job(config: DictConfig) -> float:
    """Train, or go on training, and return the figure that sweeps go by."""
    check_options(config)
    from flowchroma.app.run.training import train  # takes seconds, which no wrong option has to wait for

    return train(config)
