"""Colour a film: python -m flowchroma.colorize source=FILM reference=IMAGE output=FILM.mp4."""

import sys

from flowchroma.app.options import command

_TEXTS = ("source", "reference", "keyframes", "plan", "shots", "output", "checkpoint")


def main() -> None:
    """Run the command; with -m, in the jobs of a Hydra launcher."""
    typed = sys.argv[1:]
    if not {"-m", "--multirun"} & set(typed):
        command("colorize", "flowchroma.app.colouring.job.run", _TEXTS, "the film is not whole")
        return
    launcher = [argument for argument in typed if argument.startswith(("hydra/", "hydra."))]
    sys.argv[1:] = [argument for argument in typed if argument not in ("-m", "--multirun", *launcher)]
    command("colorize", "flowchroma.app.colouring.sharing.run", _TEXTS, "the film is not whole", launcher)


if __name__ == "__main__":
    main()
