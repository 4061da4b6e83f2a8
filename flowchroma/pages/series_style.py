"""How a series is drawn: the same in every chart of a page."""

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow darkened, as white swallows it.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b5a800")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_DASHES = ("solid", "dash", "dot")


def series_style(number: int) -> dict[str, str]:
    """The colour, symbol and dash of a series, by its number from 0; 147 differ."""
    lap = number // len(_COLORS)
    return {
        "color": _COLORS[number % len(_COLORS)],
        "symbol": _SYMBOLS[(number + lap) % len(_SYMBOLS)],
        "dash": _DASHES[lap % len(_DASHES)],
    }
