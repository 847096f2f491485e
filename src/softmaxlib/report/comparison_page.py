"""A comparison of two evaluations as one HTML page."""

from itertools import islice
from typing import TYPE_CHECKING, Any

from . import tables
from .displays import CalibrationDisplay, RiskCoverageDisplay
from .glossary import terms_of_comparison
from .plates import plate
from .template import fill

if TYPE_CHECKING:
    from .comparison import Comparison

_MOST_LISTED = 30


def render(comparison: "Comparison", title: str) -> str:
    """Render the page as text."""
    first, second = comparison.first.final, comparison.second.final
    names = comparison.names[1], comparison.names[0]
    plates = [
        plate(
            "Reliability of both",
            CalibrationDisplay(second.reliability, other=first.reliability, names=names),
            "On the dashed diagonal, 80% of the rows with a confidence of 80% are right. Bars: 95% intervals "
            f"of {names[0]}.",
            height=4.2,
        ),
        plate(
            "Mistakes against share decided",
            RiskCoverageDisplay(second.risk_coverage, other=first.risk_coverage, names=names),
            "Decide only the surest rows, and fewer of the decisions are wrong. The lower curve is better at "
            "that share.",
            height=4.2,
        ),
    ]
    return fill(
        "comparison.html",
        title=title,
        comparison=comparison,
        figures=[(one, *row) for one, row in zip(comparison.figures, comparison.table(), strict=True)],
        plates=plates,
        classes=_classes(comparison),
        has_ids=any(row.row_id is not None for row in comparison.lost),
        origins=[tables.origins(one.provenance) for one in (comparison.first, comparison.second)],
        glossary=terms_of_comparison(comparison.second),
    )


def _classes(comparison: "Comparison") -> list[dict[str, Any]]:
    """List each class with both figures; if they are too many, those whose recall changed most."""
    first, second = comparison.first, comparison.second
    of_second = {
        figures.name: (figures, calibration)
        for figures, calibration in zip(second.classes, second.class_calibration, strict=True)
    }
    rows = [
        {"name": one.name, "first": (one, calibration), "second": of_second[one.name]}
        for one, calibration in zip(first.classes, first.class_calibration, strict=True)
    ]
    if len(rows) > _MOST_LISTED:
        rows.sort(key=lambda row: -abs(row["second"][0].recall - row["first"][0].recall))
    return list(islice(rows, _MOST_LISTED))
