"""Formulas in LaTeX as MathML, which browsers draw themselves."""

import re

from latex2mathml.converter import convert

CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
BLOCK = re.compile(r"^( *)\$\$(.+?)\$\$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<![\w$])\$([^$\n]+?)\$(?!\w)")


def to_mathml(formula: str, *, display: bool) -> str:
    """Convert one formula."""
    formula = re.sub(r"\\arg(?![a-z])", r"\\operatorname{arg}", formula.strip())
    formula = formula.replace(r"\tfrac", r"\frac")
    return convert(formula, display="block" if display else "inline")


def with_formulas(markdown: str) -> str:
    """Convert what stands between dollar signs, outside of code."""
    parts = CODE.split(markdown)
    parts[::2] = [_convert(part) for part in parts[::2]]
    return "".join(parts)


def _convert(text: str) -> str:
    text = BLOCK.sub(lambda found: f"{found[1]}<div>{to_mathml(found[2], display=True)}</div>", text)
    return INLINE.sub(lambda found: f"<span>{to_mathml(found[1], display=False)}</span>", text)
