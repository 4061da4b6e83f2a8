"""Runs side by side: python -m flowchroma.compare RUN... output=DIR."""

import sys

from flowchroma.app.options import command

_OPTIONS = ("output", "metric")


def main() -> None:
    """Run the command; what is no option is a run, a sweep, a folder of them, or a pattern."""
    typed = sys.argv[1:]
    places = [word for word in typed if not word.startswith("-") and word.partition("=")[0] not in _OPTIONS]
    sys.argv[1:] = [word for word in typed if word not in places]
    command("compare", "flowchroma.app.comparing.run", ("output",), "no report was written", places)


if __name__ == "__main__":
    main()
