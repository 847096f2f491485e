"""ROC and precision-recall curves of two classes from rows that are counted in cells of log-odds."""

import numpy as np

from .._checks import known_logits
from ._log_odds_grid import FINE
from .predictions import Floats
from .threshold_curves import PrecisionRecallCurve, RocCurve, precision_recall_curve, roc_curve


def curves_of_cells(rows: Floats, hits: Floats) -> tuple[RocCurve, PrecisionRecallCurve] | tuple[None, None]:
    """Return the curves of the second class: each point is one of those of the rows.

    There are none if all rows are of one class.

    ``rows`` and ``hits`` (cells,) are those of `class_sums` of the second class.
    """
    if not 0 < hits.sum() < rows.sum():
        return None, None
    counts = np.concatenate([rows - hits, hits])
    some = counts > 0
    lower = np.tile((np.arange(rows.size) - FINE.lowest) / FINE.steps, 2)[some]
    logits = np.stack([np.zeros_like(lower), lower], axis=1)
    labels = np.repeat([0, 1], rows.size)[some]
    with known_logits():
        return (
            roc_curve(logits, labels, sample_weight=counts[some]),
            precision_recall_curve(logits, labels, sample_weight=counts[some]),
        )
