"""Logits of any classifier, and folds that do not depend on the order of the rows."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ..errors import InvalidInputError, UnsupportedTypeError
from ..policy import logits_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """Scores of a classifier for rows (n, K), which are probabilities or logits."""

    values: Floats
    are_probabilities: bool

    def logits(self, floor: float | None) -> Floats:
        """Return the logits (n, K). Probabilities are replaced by their logarithms, with at least `floor`."""
        return self.values if floor is None else logits_of(self.values, floor).astype(np.float64, copy=False)


def classifier_scores(classifier: Any, X: Any) -> Scores:
    """Return the decision function if there is one, or else the probabilities."""
    if hasattr(classifier, "decision_function"):
        scores = np.array(classifier.decision_function(X), dtype=np.float64)
        if scores.ndim == 1:  # two classes: the lead of the second
            scores = np.column_stack([np.zeros(scores.size), scores])
        return Scores(scores, False)
    if not hasattr(classifier, "predict_proba"):
        raise UnsupportedTypeError(
            f"estimator must have decision_function or predict_proba, got {type(classifier).__name__}"
        )
    return Scores(np.array(classifier.predict_proba(X), dtype=np.float64), True)


def classes_of(classifier: Any) -> npt.NDArray[Any]:
    """Return the classes of a fitted classifier."""
    if not hasattr(classifier, "classes_"):
        raise UnsupportedTypeError(
            f"estimator must be a classifier, with classes_ after fit, got {type(classifier).__name__}"
        )
    return np.asarray(classifier.classes_)


def labels_among(y: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Integers:
    """Return the place of each label among the classes, each of which must be there."""
    places = {one: place for place, one in enumerate(classes.tolist())}
    values, number = np.unique(y, return_inverse=True)
    label = np.array([places.get(one, -1) for one in values.tolist()])[number.ravel()]
    if (label < 0).any():
        row = int(np.argmin(label))
        names = ", ".join(map(repr, classes[:20].tolist())) + (", ..." if classes.size > 20 else "")
        raise InvalidInputError(
            f"y must hold classes of the fitted estimator, {names}; got {y[row:].tolist()[0]!r} in row {row}"
        )
    return label


def equal_rows(X: Any) -> Integers:
    """Return a number for each row, the same for equal rows; rows of other kinds than numbers all differ."""
    if issparse(X):
        X = X.toarray() if X.shape[0] * X.shape[1] <= 1e8 else np.arange(X.shape[0])[:, None]
    table = np.asarray(X)
    if table.dtype.kind not in "fiub" or table.ndim != 2:
        return np.arange(len(table))
    return np.unique(table, axis=0, return_inverse=True)[1].ravel()


def folds_of_rows(row: Integers, label: Integers, counts: npt.NDArray[np.bool_], folds: int) -> Integers:
    """Return the fold that leaves out each row, or -1.

    Every class is dealt out in turn, equal rows of a class into the same fold, and rows that don't count
    not at all: so a row of weight 2 means the same as the row twice, and weight 0 the same as none, which
    folds by position would break. The only row of a class is never left out: nothing would know the class.
    """
    fold = np.full(label.size, -1)
    for one in np.unique(label[counts]):
        members = np.flatnonzero((label == one) & counts)
        distinct, place = np.unique(row[members], return_inverse=True)
        if distinct.size > 1:
            order = np.random.default_rng(one).permutation(distinct.size)
            fold[members] = order[place.ravel()] % folds
    return fold
