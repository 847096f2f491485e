"""Text from outside, made safe for a terminal."""


def printable(text: str) -> str:
    """The text with control characters made visible: a class name must not drive the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
