"""Colour an unseen made film with a trained system, and show it beside the truth: python -m flowchroma.demo run=RUN."""

import sys

from flowchroma.app.options import asks_for_help, report_user_error
from flowchroma.errors import UserError

_HELP = """FlowChroma colours films that it makes, and puts them beside the truth.

  python -m flowchroma.demo run=RUN output=DIR

  run=RUN      directory of a fusion run (default: the weights that ship with FlowChroma)
  output=DIR   gets comparison.mp4, contact_sheet.png and metrics.csv (default: outputs/demo)"""


def main() -> None:
    """Take `run=` (a fusion run's directory, or nothing for the shipped weights) and `output=`."""
    if asks_for_help(sys.argv[1:]):
        print(_HELP)
        return
    with report_user_error():
        for argument in sys.argv[1:]:
            if argument.partition("=")[0] not in ("run", "output") or "=" not in argument:
                raise UserError(f"unknown option {argument}: give run= and output=, or --help", code=2)
        from flowchroma.app.demonstration import run  # takes seconds, which no wrong option has to wait for

        run(dict(argument.split("=", 1) for argument in sys.argv[1:]))


if __name__ == "__main__":
    main()
