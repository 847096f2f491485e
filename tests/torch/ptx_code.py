"""Reads the text of a kernel in PTX."""

import re
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction: ``guard`` is the register that says which threads take it, or None."""

    guard: str | None
    negated: bool
    name: str
    operands: list[str]
    text: str


class Code:
    """The instructions of a kernel, its parameters, and where its labels are."""

    def __init__(self, text):
        text = re.sub(r"//[^\n]*|^\s*\.(loc|file|section)\b[^\n]*$", "", text, flags=re.MULTILINE)
        entry = re.search(r"\.entry\s+\w+\s*\(", text)
        head, body = text[entry.end() :].split("{", 1)
        self.parameters = re.findall(r"\w+_param_\d+", head)
        self.instructions, self.labels = [], {}
        for statement in re.sub(r"(\$\w+):(?!:)", r"\1:;", _without_scopes(body)).split(";"):
            statement = " ".join(statement.split())
            if statement.endswith(":"):
                self.labels[statement[:-1]] = len(self.instructions)
            elif statement and not statement.startswith("."):
                self.instructions.append(_instruction(statement))


def _without_scopes(body):
    """Return the text up to the end of the kernel, without braces that hold statements."""
    out, depth = [], 0
    for piece in re.split(r"(\{[^{};]*\}|[{}])", body):
        if piece == "{":
            depth += 1
        elif piece == "}":
            depth -= 1
            if depth < 0:
                break
        else:
            out.append(piece)
    return "".join(out)


def _instruction(statement):
    negated, guard, name, rest = re.match(r"(?:@(!?)(%\w+) )?([\w.:]+)\s*(.*)$", statement).groups()
    operands = [one.strip() for one in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s|]+", rest)]
    return Instruction(guard, negated == "!", name, operands, statement)


def pieces_of(operand):
    """Return the registers of a vector, or the one that it is."""
    return [one.strip() for one in operand.strip("{}").split(",")]
