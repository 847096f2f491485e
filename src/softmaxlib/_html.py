"""A short panel of HTML for notebooks: a headline, sentences and a table; every text is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from ._text import printable


def panel(
    headline: str,
    sentences: Iterable[str] = (),
    titles: Sequence[str] = (),
    rows: Iterable[Sequence[str]] = (),
) -> str:
    """Return the HTML of a result for notebooks.

    Parameters
    ----------
    headline : str
        In bold.
    sentences : iterable of str
        Listed below it.
    titles : sequence of str
        The heads of the columns; none for no table.
    rows : iterable of sequences of str
        As many cells each; the first one names the row.
    """
    listed = "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)
    parts = [f"<p><strong>{_text(headline)}</strong></p>", f"<ul>{listed}</ul>" if listed else ""]
    if titles:
        head = "".join(f'<th scope="col">{_text(title)}</th>' for title in titles)
        body = "".join(map(_row, rows))
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return f"<div>{''.join(parts)}</div>"


def _row(cells: Sequence[str]) -> str:
    name, *others = map(_text, cells)
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'


def _text(text: str) -> str:
    return escape(printable(text))
