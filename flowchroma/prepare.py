"""Make a set of films ready to train on: python -m flowchroma.prepare data=davis data.root=DIR [pack=SHARDS]."""

from flowchroma.app.options import DATA_TEXTS, command

_TEXTS = (*DATA_TEXTS, "archive.*.url", "pack", "encode")


def main() -> None:
    """Run the command."""
    command("prepare", "flowchroma.app.preparing.run", _TEXTS, "what is done is kept: run it again to go on")


if __name__ == "__main__":
    main()
