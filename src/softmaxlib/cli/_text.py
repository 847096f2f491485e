"""Numbers made readable."""

import sys

_BAR_WIDTH = 20


def bar(probability: float) -> str:
    """Draw a bar as long as the probability, with a character that standard output can show."""
    try:
        "█".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#" * round(_BAR_WIDTH * probability)
    return "█" * round(_BAR_WIDTH * probability)


def format_probability(probability: float) -> str:
    """Format with eight decimals, or in scientific notation if these would show a false zero."""
    return f"{probability:.2e}" if 0 < probability < 5e-9 else f"{probability:.8f}"
