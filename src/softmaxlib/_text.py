"""Text from outside (names, cells, paths), made safe to show."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any


def printable(text: str) -> str:
    """Return the text with control characters, lone surrogates and their like made visible.

    A class name must not drive a terminal, turn the direction of a line, or break the encoding of a page.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def is_writable(text: str) -> bool:
    """Return True if a text can be written as UTF-8; one with half of a surrogate pair can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return the first few names for a message, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def quoted(names: Sequence[str]) -> str:
    """Return the names in quotes, unprintable characters escaped, and the middle of long ones left out."""
    return listed([shortened(repr(str(name)), 200) for name in names])


def shortened(text: str, most: int) -> str:
    """Return a text with its middle left out where it is longer than `most`: the beginning and the end."""
    if len(text) <= most:
        return text
    head = 3 * most // 4
    return f"{text[:head]} ... ({len(text) - most:,} characters left out) ... {text[head - most :]}"


def written_integer(number: Any) -> str:
    """Write an integer; of a very large one only its size, which Python may refuse to write out."""
    if isinstance(number, int) and number.bit_length() > 1024:
        return f"an integer of {number.bit_length():,} bits"
    return str(number)


def spoken(name: str, noun: str = "class") -> str:
    """Return the name of a class for a sentence, with the word "class" before a number."""
    return f"{noun} {name}" if name.isdigit() else name


def brief_repr(self: Any) -> str:
    """Return the repr of a dataclass or named tuple on one line: its numbers and texts.

    Arrays, other results and fields without a value are left out.
    """
    names = getattr(self, "_fields", None) or [one.name for one in fields(self)]
    shown = {name: _brief(getattr(self, name)) for name in names if not name.startswith("_")}
    told = [f"{name}={text}" for name, text in shown.items() if text is not None]
    return f"{type(self).__name__}({', '.join([*told, '...'])})"


def _brief(value: Any) -> str | None:
    """Return a number with four digits, a short text, or a pair of these, as they are shown; else None."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool | int | str):
        return shortened(repr(value), 80)
    if isinstance(value, tuple) and len(value) == 2:
        both = [_brief(one) for one in value]
        return None if None in both else f"({both[0]}, {both[1]})"
    return None


def _shown(character: str) -> str:
    return character if character.isprintable() else "\ufffd"


def format_count(count: float) -> str:
    """Write how many there are: a whole number, or, of weights, with a decimal where there is one."""
    text = f"{count:,.1f}"
    return text.removesuffix(".0")
