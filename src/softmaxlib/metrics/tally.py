"""Metrics that merge: rows are tallied batch by batch, anywhere, and judged together."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import Array, IntArray, as_numpy
from .._checks import check_integer
from ..errors import FileFormatError, InvalidInputError
from ._bins import check_bins, equal_bin_index
from ._exact_sums import ExactSums
from .aurc import area_of
from .cell_quantiles import (
    LARGEST_CELL,
    CellQuantiles,
    cells_of_doubts,
    cells_of_scores,
    doubts_of_cells,
    scores_of_cells,
)
from .predictions import FIGURES, Floats, Predictions
from .risk_coverage import DoubtGroups, RiskCoverageCurve
from .tally_result import TallyResult

_LARGEST_GROUPS = 10_000
_MOST_CLASSES = 1 << 24

# What is summed, over rows: for all together (one), each bin, each class, each pair of classes, each cell.
_FIGURES, _BINS, _CLASSES, _PAIRS, _CELLS = "figures", "bins", "classes", "pairs", "cells"
_SCORES = "scores"
_WEIGHT, _CORRECT, _LOSS, _LOSS_SQUARED, _BRIER, _INFINITE = range(6)


class Tally:
    r"""Judge rows that come in batches, from many files, processes or machines, as if they came at once.

    Parameters
    ----------
    classes : int
        How many classes there are.
    n_bins : int, default 15
        Bins of the calibration error, equal in width.
    probabilities : bool, default False
        Whether `update` is given probabilities.

    Notes
    -----
    Sums are exact: each term is one float64 number, a whole multiple of :math:`2^{-1074}`, and they are added
    as whole numbers. So the result, and its JSON, are the same bits whatever the order of the rows, the size
    of the batches and the order of merging. Memory does not grow with the rows: it is that of the bins, the
    classes, the pairs of classes that occur and the cells of doubt.

    The risk-coverage curve is known at the borders of cells of doubt, where it is exact. Within a cell the
    order of right and wrong rows is not known; `TallyResult.aurc_bounds` are the areas for the best order and
    the worst, which hold the exact area between them. A quantile, too, is known as the cell that holds it,
    and `TallyResult.conformal_threshold` takes the end that keeps the promise.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> one = metrics.Tally(2).update([[2.0, 0.0], [0.0, 3.0]], [0, 1])
    >>> other = metrics.Tally(2).update([[0.0, 1.5]], [0])
    >>> result = one.merge(other).compute()
    >>> result.rows, round(result.accuracy, 4), result.confusion[0, 1]
    (3, 0.6667, 1.0)

    In a training loop, an epoch's calibration error:

    >>> tally = metrics.Tally(classes=10)
    >>> for logits, labels in batches:  # doctest: +SKIP
    ...     tally.update(logits, labels)
    >>> tally.compute().calibration_error  # doctest: +SKIP

    Over the processes of ``torch.distributed``:

    >>> states = [None] * torch.distributed.get_world_size()  # doctest: +SKIP
    >>> torch.distributed.all_gather_object(states, tally.to_dict())  # doctest: +SKIP
    >>> every = map(metrics.Tally.from_dict, states)  # doctest: +SKIP
    >>> result = functools.reduce(metrics.Tally.merge, every).compute()  # doctest: +SKIP
    """

    def __init__(self, classes: int, *, n_bins: int = 15, probabilities: bool = False) -> None:
        self.classes = check_integer(classes, "classes", lower=2, upper=_MOST_CLASSES)
        self.n_bins = check_bins(n_bins, "equal_width")
        self.probabilities = bool(probabilities)
        self.reset()

    def __repr__(self) -> str:
        return f"Tally(classes={self.classes}, n_bins={self.n_bins}, rows={self.rows:,})"

    def reset(self) -> Self:
        """Forget all rows."""
        self.rows = 0
        self._heaviest = 0.0
        self._sums = {name: ExactSums() for name in self._sizes()}
        self._groups: dict[str, Tally] = {}
        return self

    def update(
        self,
        logits: Array,
        labels: Array,
        sample_weight: Array | None = None,
        groups: Array | None = None,
    ) -> Self:
        """Add rows.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Logits, or probabilities where the tally was made for these. A batch may be without rows.
        labels : array of int, shape (rows,)
            The true class of each row.
        sample_weight : array, shape (rows,), optional
            How often each row counts.
        groups : array of str or int, shape (rows,), optional
            The group of each row, for results of each group as well.

        Returns
        -------
        Tally
            Itself.

        Raises
        ------
        InvalidInputError
            For what breaks a rule of `softmaxlib.metrics`. The tally is then as it was.
        """
        values = as_numpy(logits, "logits")
        if values.ndim == 2 and not len(values):
            return self
        seen = Predictions.check(logits, labels, sample_weight, self.probabilities, *FIGURES)
        if seen.values.shape[1] != self.classes:
            raise InvalidInputError(
                f"logits must have the {self.classes} classes of the tally, got shape {seen.values.shape}"
            )
        names = None if groups is None else _group_names(groups, seen.labels.size)
        self.add(seen)
        if names is not None:
            for name in dict.fromkeys(names.tolist()):
                self._group(name).add(seen.part(names == name))
        return self

    def _group(self, name: str) -> "Tally":
        if name not in self._groups:
            if len(self._groups) >= _LARGEST_GROUPS:
                raise InvalidInputError(
                    f"groups must be at most {_LARGEST_GROUPS:,}, got another one, {name!r}; name a column "
                    "that has fewer"
                )
            self._groups[name] = Tally(self.classes, n_bins=self.n_bins, probabilities=self.probabilities)
        return self._groups[name]

    def add(self, rows: Predictions, *, of_classes: bool = True) -> None:
        """Add checked rows with the classes of the tally, whose mean probabilities may be left out."""
        weights = rows.sample_weight
        if weights is not None and not (weights > 0).all():
            rows = rows.part(weights > 0)
            weights = rows.sample_weight
        if not rows.labels.size:
            return
        self.rows += rows.labels.size
        self._heaviest = max(self._heaviest, 1.0 if weights is None else float(weights.max()))
        most_likely, correct, confidence, doubt, loss, brier = map(rows.figure, FIGURES)
        self._add_figures(weights, correct, loss, brier)
        index = equal_bin_index(confidence, self.n_bins)
        self._add_of_keys(_BINS, index, 3 * self.n_bins, weights)
        self._sums[_BINS].add(self.n_bins + index, confidence if weights is None else confidence * weights)
        self._add_of_some(_BINS, 2 * self.n_bins + index, 3 * self.n_bins, weights, correct)
        cell = cells_of_doubts(doubt)
        self._add_of_keys(_CELLS, cell, 2 * LARGEST_CELL, weights)
        self._add_of_some(_CELLS, LARGEST_CELL + cell, 2 * LARGEST_CELL, weights, ~correct)
        self._add_of_keys(_SCORES, cells_of_scores(loss), LARGEST_CELL, weights)
        self._add_of_keys(_PAIRS, rows.labels * self.classes + most_likely, self.classes**2, weights)
        for first, some, table in rows.class_probabilities() if of_classes else ():
            if weights is not None:
                table *= weights[some]
            self._sums[_CLASSES].add_rows(table, first)

    def _add_figures(
        self, weights: Floats | None, correct: npt.NDArray[np.bool_], loss: Floats, brier: Floats
    ) -> None:
        finite = np.isfinite(loss)
        loss = loss if finite.all() else np.where(finite, loss, 0.0)
        with np.errstate(over="ignore"):
            squared = loss * loss if weights is None else loss * loss * weights
        fits = np.isfinite(squared)
        squared = squared if fits.all() else np.where(fits, squared, 0.0)
        known = (loss, brier) if weights is None else (weights * loss, weights * brier)
        counts = {_WEIGHT: np.ones_like(correct), _CORRECT: correct, _INFINITE: ~(finite & fits)}
        sums = self._sums[_FIGURES]
        for key, values in zip((_LOSS, _LOSS_SQUARED, _BRIER), (known[0], squared, known[1]), strict=True):
            sums.add_rows(values[None], key)
        for key, some in counts.items():
            if weights is None:
                sums.add_whole(key, int(np.count_nonzero(some)))
            else:
                sums.add_rows(np.where(some, weights, 0.0)[None], key)

    def _add_of_keys(self, name: str, keys: IntArray, size: int, weights: Floats | None) -> None:
        """Add the weights of the rows, or their number, to the sums of their keys."""
        if weights is None:
            self._sums[name].count(keys, size)
        else:
            self._sums[name].add(keys, weights)

    def _add_of_some(
        self, name: str, keys: IntArray, size: int, weights: Floats | None, some: npt.NDArray[np.bool_]
    ) -> None:
        """Do the same with some of the rows."""
        if some.any():
            self._add_of_keys(name, keys[some], size, None if weights is None else weights[some])

    def merge(self, other: "Tally") -> Self:
        """Add the rows that another tally has seen.

        Raises
        ------
        InvalidInputError
            For a tally of another kind.
        """
        if not isinstance(other, Tally) or other._kind() != self._kind():
            raise InvalidInputError(f"a {self!r} can be merged with its like only, got {other!r}")
        for name, sums in other._sums.items():
            self._sums[name].merge(sums)
        self.rows += other.rows
        self._heaviest = max(self._heaviest, other._heaviest)
        for name, group in other._groups.items():
            self._group(name).merge(group)
        return self

    def compute(self) -> TallyResult:
        """Judge all rows so far.

        Raises
        ------
        InvalidInputError
            Before any row with a weight above 0.
        """
        if not self.rows:
            raise InvalidInputError("a Tally has nothing to judge before its first row; call update first")
        figures = self._sums[_FIGURES]
        weight = figures.exact(_WEIGHT)
        infinite = figures.exact(_INFINITE) > 0
        loss, square = figures.exact(_LOSS) / weight, figures.exact(_LOSS_SQUARED) / weight
        total, confidence, right = self._sums[_BINS].array(3 * self.n_bins).reshape(3, self.n_bins)
        every = [self._exact_bins(place) for place in range(3)]
        gap = sum((abs(mine - hit) for _, mine, hit in zip(*every, strict=True)), start=0 * weight)
        accuracy = figures.exact(_CORRECT) / weight
        with np.errstate(invalid="ignore"):
            bin_confidence, bin_frequency = confidence / total, right / total
        groups = self._doubts()
        pairs = {
            divmod(key, self.classes): self._sums[_PAIRS].exact(key)
            for key in self._sums[_PAIRS].known_keys()
        }
        truth, predicted = ([0 * weight] * self.classes for _ in range(2))
        for (one, other), count in pairs.items():
            truth[one] += count
            predicted[other] += count
        accepted = np.cumsum(groups.weight)
        best, worst = (area_of(_ordered(groups, first)) for first in ("right", "wrong"))
        return TallyResult(
            rows=self.rows,
            weight=float(weight),
            accuracy=float(accuracy),
            log_loss=np.inf if infinite else float(loss),
            log_loss_error=np.inf if infinite else float(max(square - loss**2, 0) / self.rows) ** 0.5,
            brier_score=float(figures.exact(_BRIER) / weight),
            calibration_error=float(gap / weight),
            overconfidence=float(sum(every[1], start=0 * weight) / weight - accuracy),
            bin_weight=total,
            bin_confidence=bin_confidence,
            bin_frequency=bin_frequency,
            class_weight=np.array(truth, dtype=np.float64),
            class_predicted=np.array(predicted, dtype=np.float64),
            class_probability=np.array(
                [float(self._sums[_CLASSES].exact(k) / weight) for k in range(self.classes)]
            ),
            confusion={pair: float(count) for pair, count in pairs.items()},
            aurc=area_of(groups),
            aurc_bounds=(best, worst),
            risk_coverage=RiskCoverageCurve(
                accepted / accepted[-1], np.cumsum(groups.mistakes) / accepted, groups.doubt
            ),
            doubt=self._quantiles(_CELLS, doubts_of_cells),
            true_score=self._quantiles(_SCORES, scores_of_cells),
            heaviest=self._heaviest,
            groups={
                name: self._groups[name].compute() for name in sorted(self._groups) if self._groups[name].rows
            },
        )

    def _exact_bins(self, place: int) -> list[Any]:
        return [self._sums[_BINS].exact(place * self.n_bins + index) for index in range(self.n_bins)]

    def _doubts(self) -> DoubtGroups:
        """Return the rows of each cell of doubt, the surest first."""
        sums = self._sums[_CELLS]
        cells = [key for key in sums.known_keys() if key < LARGEST_CELL]
        weight, mistakes = sums.array(cells), sums.array([LARGEST_CELL + cell for cell in cells])
        _, last = doubts_of_cells(np.array(cells, dtype=np.int64))
        return DoubtGroups(last, weight, mistakes)

    def _quantiles(self, name: str, bounds_of: Callable[[IntArray], tuple[Floats, Floats]]) -> CellQuantiles:
        """Quantiles over the rows of each cell below `LARGEST_CELL`."""
        sums = self._sums[name]
        cells = [key for key in sums.known_keys() if key < LARGEST_CELL]
        return CellQuantiles(*bounds_of(np.array(cells, dtype=np.int64)), sums.array(cells))

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known, as values that ``json.dump`` takes; every bit is kept."""
        return {
            "class": "Tally",
            "version": 1,
            "classes": self.classes,
            "n_bins": self.n_bins,
            "probabilities": self.probabilities,
            "rows": self.rows,
            "heaviest": self._heaviest,
            "sums": {name: sums.to_dict() for name, sums in self._sums.items()},
            "groups": {name: self._groups[name].to_dict() for name in sorted(self._groups)},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make the tally that `to_dict` described; nothing in `content` is trusted.

        Raises
        ------
        FileFormatError
            For anything else.
        """
        return cls._from_dict(content, "tally")

    @classmethod
    def _from_dict(cls, content: Any, place: str) -> Self:
        fields = (
            "class",
            "version",
            "classes",
            "n_bins",
            "probabilities",
            "rows",
            "heaviest",
            "sums",
            "groups",
        )
        found = _json.check_fields(content, place, fields)
        if found["class"] != "Tally" or found["version"] != 1:
            raise FileFormatError(f"{place} must be a Tally of version 1; {_json.ADVICE}")
        made = cls(
            _json.decode_integer(found["classes"], f"{place}.classes", lower=2, upper=_MOST_CLASSES),
            n_bins=_json.decode_integer(found["n_bins"], f"{place}.n_bins", lower=1, upper=1000),
            probabilities=_json.decode_boolean(found["probabilities"], f"{place}.probabilities"),
        )
        made.rows = _json.decode_integer(found["rows"], f"{place}.rows", lower=0)
        made._heaviest = _json.decode_number(found["heaviest"], f"{place}.heaviest", lower=0)
        sums = _json.check_fields(found["sums"], f"{place}.sums", made._sums)
        made._sums = {
            name: ExactSums.from_dict(sums[name], f"{place}.sums.{name}", size)
            for name, size in made._sizes().items()
        }
        if not isinstance(found["groups"], dict) or len(found["groups"]) > _LARGEST_GROUPS:
            raise FileFormatError(f"{place}.groups must be a JSON object; {_json.ADVICE}")
        for name, group in found["groups"].items():
            made._groups[name] = cls._from_dict(group, f"{place}.groups")
            if made._groups[name]._kind() != made._kind() or made._groups[name]._groups:
                raise FileFormatError(f"{place}.groups must be tallies of the same kind; {_json.ADVICE}")
        if made.rows and not made._sums[_FIGURES].exact(_WEIGHT) > 0:
            raise FileFormatError(f"{place} has rows without a weight; {_json.ADVICE}")
        return made

    def _kind(self) -> tuple[int, int, bool]:
        return self.classes, self.n_bins, self.probabilities

    def _sizes(self) -> dict[str, int]:
        """Return the number of keys of each kind of sum."""
        return {
            _FIGURES: 6,
            _BINS: 3 * self.n_bins,
            _CLASSES: self.classes,
            _PAIRS: self.classes**2,
            _CELLS: 2 * LARGEST_CELL,
            _SCORES: LARGEST_CELL,
        }


def _group_names(groups: Array, rows: int) -> npt.NDArray[np.str_]:
    names = as_numpy(groups, "groups")
    if names.shape != (rows,):
        raise InvalidInputError(f"groups must hold one group a row, shape ({rows},), got shape {names.shape}")
    return names.astype(np.str_)


def _ordered(groups: DoubtGroups, first: str) -> DoubtGroups:
    """Split each cell into its right and its wrong rows, in either order."""
    right, wrong = groups.weight - groups.mistakes, groups.mistakes
    order = (right, wrong) if first == "right" else (wrong, right)
    weight = np.stack(order, axis=1).ravel()
    none = np.zeros_like(wrong)
    mistakes = np.stack((none, wrong) if first == "right" else (wrong, none), axis=1).ravel()
    kept = weight > 0
    return DoubtGroups(np.repeat(groups.doubt, 2)[kept], weight[kept], mistakes[kept])
