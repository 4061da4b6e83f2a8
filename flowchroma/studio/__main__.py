"""Work on a film in the browser: python -m flowchroma.studio [FILM]."""

import sys

from flowchroma.app.options import command, exists

_TEXTS = ("source", "project", "host", "user", "password", "checkpoint")


def main() -> None:
    """Run the command; a film may be named without source=."""
    first = sys.argv[1:2]
    if first and not first[0].startswith("-") and ("=" not in first[0] or exists(first[0])):
        sys.argv[1] = f"source={first[0]}"
    command("studio", "flowchroma.studio.server.run", _TEXTS, "everything is kept in the project")


if __name__ == "__main__":
    main()
