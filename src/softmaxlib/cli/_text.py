"""Text from outside, made safe for a terminal, and numbers made readable."""

BAR_WIDTH = 20


def printable(text: str) -> str:
    """The text with control characters made visible: a class name must not drive the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def format_probability(probability: float) -> str:
    """Eight decimals, or scientific where eight decimals would show a false zero."""
    return f"{probability:.2e}" if 0 < probability < 5e-9 else f"{probability:.8f}"
