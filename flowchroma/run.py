"""Train one stage, keep the best, score it: python -m flowchroma.run stage=fusion model=simple."""

import hydra

from flowchroma.app.run.job import run_job
from flowchroma.app.run.run_options import report_bad_options
from flowchroma.app.settings import CONF

main = report_bad_options(hydra.main(version_base="1.3", config_path=CONF, config_name="config")(run_job))

if __name__ == "__main__":
    main()
