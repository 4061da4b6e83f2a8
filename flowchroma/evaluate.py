"""Score methods on whole clips: python -m flowchroma.evaluate method=[dis,fusion] data=SET data.root=DIR output=DIR."""

import sys

from flowchroma.app.evaluate.method_option import with_runs
from flowchroma.app.options import DATA_TEXTS, command

_TEXTS = (*DATA_TEXTS, "output", "checkpoint", "method.*.checkpoint", "predictions", "weights", "runs")


def main() -> None:
    """Run the command."""
    sys.argv[1:] = with_runs(sys.argv[1:])
    command("evaluate", "flowchroma.app.evaluate.command.run", _TEXTS, "what was scored is kept: run it again to go on")


if __name__ == "__main__":
    main()
