"""Write trained networks for other programs, as ONNX: python -m flowchroma.export checkpoint=RUN output=DIR."""

from flowchroma.app.options import command


def main() -> None:
    """Run the command."""
    command("export", "flowchroma.app.exporting.run", ("checkpoint", "output"), "run it again to write all networks")


if __name__ == "__main__":
    main()
