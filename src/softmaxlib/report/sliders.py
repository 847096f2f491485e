"""Sliders of the report: a threshold at its stops, with the figures there and the points of the curves.

All figures are computed here, exactly; the page's script only shows the table row of the chosen stop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._text import spoken
from ..decisions.words import percent
from ..metrics.operating_points import AtConfidence, AtThreshold, Shares
from ..metrics.predictions import Floats
from .at_cost import AtCost, Means
from .decided import Decided, cost_places
from .formats import number, share, share_interval

if TYPE_CHECKING:
    from .evaluation import Evaluation

_CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
_PROBABILITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99)
_LISTED_COSTS = 10

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Stop:
    """One stop of a slider: the threshold in words, and a row of figures.

    Attributes
    ----------
    words : str
        The threshold.
    figures : tuple of str
        One per column.
    is_listed : bool
        Whether the row stands in the table that is read without the slider.
    """

    words: str
    figures: tuple[str, ...]
    is_listed: bool


@dataclass(frozen=True)
class Slider:
    """A slider, and where its stops lie on the curves that it moves a point on.

    Attributes
    ----------
    name : str
        Its identifier on the page.
    title, label, note : str
        The heading, what the slider sets, and how to read it.
    columns : tuple of str
        What the threshold and the figures are called.
    stops : tuple of Stop
        In rising order of the threshold.
    start : int
        The initial stop: the policy's own if there is one.
    has_own : bool
        Whether that is the policy's own.
    points : dict of str to list
        For each plate, by its name, the point of each stop in the coordinates of its curve.
    """

    name: str
    title: str
    label: str
    note: str
    columns: tuple[str, ...]
    stops: tuple[Stop, ...]
    start: int
    has_own: bool
    points: dict[str, Points]


def decision_sliders(evaluation: "Evaluation") -> list[Slider]:
    """Return the sliders of an evaluation: for handing rows over, and for the threshold of two classes."""
    decided, final = evaluation.decided, evaluation.final
    sliders = []
    if decided is not None and decided.at_cost is not None:
        sliders.append(_of_cost(decided.at_cost))
    else:
        sliders.append(_of_confidence(final.at_confidence, decided, evaluation.decides_otherwise))
    if final.at_threshold is not None:
        sliders.append(_of_probability(final.at_threshold, decided, *evaluation.class_names))
    return sliders


def _of_confidence(at: AtConfidence, decided: Decided | None, decides_otherwise: bool) -> Slider:
    """Return the slider for handing over; it says whose decisions it counts."""
    own = None if decided is None else decided.least_confidence
    if own:
        policy = f" The policy hands over below {percent(own)}."
    elif decides_otherwise:
        policy = " The policy decides otherwise: its own decisions are counted in Key figures."
    else:
        policy = ""
    return Slider(
        name="by-confidence",
        title="What if fewer rows were decided, each by its most likely class?",
        label="Hand rows over below this confidence",
        note="A decided row gets its most likely class. Each figure is counted on these rows; the ranges are "
        f"95% intervals.{policy}",
        columns=(
            "Hand over below",
            "Rows decided",
            "Most likely class right, of the decided",
            "Most likely class wrong, of all rows",
        ),
        stops=_stops(
            at.threshold,
            lambda value: percent(value) if value else "decide every row",
            _listed(at.threshold, (*_CONFIDENCES, own or 0.0)),
            _texts(at.coverage),
            _intervals(at.accuracy),
            _texts(at.coverage * (1 - at.accuracy.value)),
        ),
        start=_nearest(at.threshold, own or 0.0),
        has_own=own is not None,
        points={"risk": _points(100 * at.coverage, 100 * (1 - at.accuracy.value))},
    )


def _of_cost(at: AtCost) -> Slider:
    listed = np.linspace(0, len(at.threshold) - 1, _LISTED_COSTS).round().astype(int)
    right = [] if at.accuracy is None else [_intervals(at.accuracy)]
    points = {"cost": _points(100 * at.coverage, at.cost.value)}
    if at.accuracy is not None:
        points["risk"] = _points(100 * at.coverage, 100 * (1 - at.accuracy.value))
    return Slider(
        name="by-cost",
        title="What if fewer or more rows were handed over?",
        label="Hand over rows that are expected to cost more than",
        note=f"Each figure is counted on these rows, a row handed over at {number(at.abstain_cost)} as the "
        "policy says; the ranges are 95% intervals. The policy hands over what is expected to cost more.",
        columns=(
            "Hand over above an expected cost of",
            "Rows decided",
            *(() if at.accuracy is None else ("Of these right",)),
            "Cost of a row",
        ),
        stops=_stops(
            at.threshold,
            number,
            np.isin(np.arange(len(at.threshold)), listed) | (at.threshold == at.abstain_cost),
            _texts(at.coverage),
            *right,
            _intervals(at.cost),
        ),
        start=_nearest(at.threshold, at.abstain_cost),
        has_own=True,
        points=points,
    )


def _of_probability(at: AtThreshold, decided: Decided | None, other: str, name: str) -> Slider:
    false_alarms = at.false_positive_rate.value
    own = None if decided is None else decided.threshold
    shown = 0.5 if own is None else own
    points = {
        "roc": _points(100 * false_alarms, 100 * at.recall.value),
        "precision-recall": _points(100 * at.recall.value, 100 * at.precision.value),
    }
    costs: dict[str, list[str]] = {}
    if decided is not None and decided.cost_threshold_curve is not None:
        curve = decided.cost_threshold_curve
        cost = curve.cost[cost_places(curve, at.threshold)]
        points["cost-threshold"] = _points(100 * at.threshold, cost)
        costs["Cost of a row"] = [number(value) for value in cost.tolist()]
    return Slider(
        name="by-probability",
        title=f"What if {spoken(name)} were predicted from another probability?",
        label=f"Least probability at which {spoken(name)} is predicted",
        note=f"A row of less probability is called {other}. Each figure is counted on these rows; the ranges "
        "are 95% intervals.",
        columns=(
            "Least probability",
            f"Rows called {name}",
            f"{_heading(name)} found (recall)",
            f"Right when called {name} (precision)",
            f"{_heading(other)} wrongly called {name}",
            *costs,
        ),
        stops=_stops(
            at.threshold,
            percent,
            _listed(at.threshold, (*_PROBABILITIES, shown)),
            _texts(at.taken),
            _intervals(at.recall),
            _intervals(at.precision),
            _intervals(at.false_positive_rate),
            *costs.values(),
        ),
        start=_nearest(at.threshold, shown),
        has_own=own is not None,
        points=points,
    )


def _heading(class_name: str) -> str:
    """Return the name of a class at the beginning of a heading; a name that is a word stays as it is."""
    words = spoken(class_name)
    return words if words == class_name else words.capitalize()


def _stops(
    thresholds: Floats, words: Callable[[float], str], listed: Sequence[bool], *columns: list[str]
) -> tuple[Stop, ...]:
    rows = zip(*columns, strict=True)
    return tuple(
        Stop(words(threshold), figures, bool(is_listed))
        for threshold, is_listed, figures in zip(thresholds.tolist(), listed, rows, strict=True)
    )


def _texts(values: Floats) -> list[str]:
    return [share(value) for value in values.tolist()]


def _intervals(values: Shares | Means) -> list[str]:
    form = share_interval if isinstance(values, Shares) else _number_interval
    return [form(*parts) for parts in zip(*(part.tolist() for part in values), strict=True)]


def _number_interval(value: float, lower: float, upper: float) -> str:
    return number(value) if lower != lower else f"{number(value)} ({number(lower)} to {number(upper)})"


def _points(x: Floats, y: Floats) -> Points:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _listed(thresholds: Floats, wanted: Sequence[float]) -> list[bool]:
    return [threshold in wanted for threshold in thresholds.tolist()]


def _nearest(thresholds: Floats, wanted: float) -> int:
    return int(np.abs(thresholds - wanted).argmin())
