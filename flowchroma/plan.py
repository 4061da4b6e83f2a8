"""Plan the colouring of a film: python -m flowchroma.plan source=FILM output=PLAN."""

from flowchroma.app.options import command

_TEXTS = ("source", "output", "checkpoint")


def main() -> None:
    """Run the command."""
    command("plan", "flowchroma.app.planning.run", _TEXTS, "run it again to make the plan")


if __name__ == "__main__":
    main()
