"""Text from outside (names, cells, paths), made safe to show."""


def printable(text: str) -> str:
    """Return the text with control characters, lone surrogates and their like made visible.

    A class name must not drive a terminal, turn the direction of a line, or break the encoding of a page.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def is_writable(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: one with half of a surrogate pair can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(character: str) -> str:
    return character if character.isprintable() else "\ufffd"
