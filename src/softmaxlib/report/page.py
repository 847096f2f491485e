"""An evaluation as one HTML page; every text from outside is escaped by the template engine."""

from typing import TYPE_CHECKING, Any

from . import tables
from .class_calibration import REJECTED, SMALL_DIFFERENCE, SMALL_ODDS
from .glossary import terms_of
from .plates import Plate, class_plates, confidence_plates, decision_plates
from .sliders import Slider, decision_sliders
from .template import fill
from .verdict import HIDDEN_ERROR, LARGE_ERROR, SMALL_ERROR

if TYPE_CHECKING:
    from .evaluation import Evaluation

_OUT_OF_SIGHT = (-20.0, -20.0)


def render(evaluation: "Evaluation", title: str) -> str:
    """Render the page as text."""
    sliders = decision_sliders(evaluation)
    plates = decision_plates(evaluation, sliders)
    return fill(
        "evaluation.html",
        title=title,
        evaluation=evaluation,
        figures=tables.figure_rows(evaluation),
        confidence_plates=confidence_plates(evaluation),
        decision_plates=plates,
        sliders=[_shown(slider, plates) for slider in sliders],
        set_groups=tables.listed_groups(evaluation),
        groups=tables.compared_groups(evaluation),
        class_plates=class_plates(evaluation),
        classes=tables.listed_classes(evaluation),
        decided_classes=tables.decided_classes(evaluation),
        confusions=tables.confusions(evaluation),
        has_ids=any(mistake.row_id is not None for mistake in evaluation.mistakes),
        origins=tables.origins(evaluation.provenance),
        glossary=terms_of(evaluation),
        rules={
            "small": SMALL_ERROR,
            "large": LARGE_ERROR,
            "rejected": REJECTED,
            "hidden": HIDDEN_ERROR,
            "small_difference": SMALL_DIFFERENCE,
            "small_odds": SMALL_ODDS,
        },
    )


def _shown(slider: Slider, plates: list[Plate]) -> dict[str, Any]:
    """Return a slider's fields for the template, with each stop's places on the drawings: ``name:x:y``."""
    moved = [plate for plate in plates if plate.name in slider.points]
    marks = [" ".join(map(_mark, moved, [stop] * len(moved))) for stop in range(len(slider.stops))]
    return vars(slider) | {"marks": marks}


def _mark(plate: Plate, stop: int) -> str:
    x, y = plate.places[stop] or _OUT_OF_SIGHT
    return f"{plate.name}:{x:g}:{y:g}"
