"""Colour an unseen made film with a trained system, and show it beside the truth: python -m flowchroma.demo run=RUN."""

from flowchroma.app.options import command


def main() -> None:
    """Run the command."""
    command("demo", "flowchroma.app.demonstration.run", ("run", "output"), "the demonstration is not whole")


if __name__ == "__main__":
    main()
