"""Colour a film: python -m flowchroma.colorize source=FILM reference=IMAGE output=FILM.mp4."""

from flowchroma.app.options import command

_TEXTS = ("source", "reference", "keyframes", "plan", "shots", "output", "checkpoint")


def main() -> None:
    """Run the command."""
    command("colorize", "flowchroma.app.colouring.job.run", _TEXTS, "the film is not whole")


if __name__ == "__main__":
    main()
