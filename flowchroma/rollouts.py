"""Keep what is found for the frames of films, to train on: python -m flowchroma.rollouts source=FILMS output=DIR."""

from flowchroma.app.options import command

_TEXTS = ("source", "output", "checkpoint")


def main() -> None:
    """Run the command."""
    command("rollouts", "flowchroma.app.rollouts.run", _TEXTS, "run it again to go on")


if __name__ == "__main__":
    main()
