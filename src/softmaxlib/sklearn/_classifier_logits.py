"""Logits of any classifier, and folds that do not depend on the order of the rows."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ..errors import InvalidInputError, UnsupportedTypeError
from ..policy import logits_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ADVICE = "; pass a classifier whose scores have one column for each of its classes_"
# whose scores a search, a stack or another classifier around it passes on
_INNER = ("best_estimator_", "final_estimator_", "estimator_")


class Scores(NamedTuple):
    """Scores of a classifier for rows (n, K), which are probabilities or logits."""

    values: Floats
    are_probabilities: bool

    def logits(self, floor: float | None) -> Floats:
        """Return the logits (n, K). Probabilities are replaced by their logarithms, with at least `floor`."""
        return self.values if floor is None else logits_of(self.values, floor).astype(np.float64, copy=False)


def classifier_scores(classifier: Any, X: Any) -> Scores:
    """Return the decision function if there is one, or else the probabilities: one column per class."""
    has_logits = hasattr(classifier, "decision_function")
    if not has_logits and not hasattr(classifier, "predict_proba"):
        raise UnsupportedTypeError(
            f"estimator must have decision_function or predict_proba, got {type(classifier).__name__}"
        )
    method = "decision_function" if has_logits else "predict_proba"
    scores = np.array(getattr(classifier, method)(X), dtype=np.float64)
    classes = classes_of(classifier).size
    if has_logits and scores.ndim == 1 and classes == 2:  # the lead of the second
        return Scores(np.column_stack([np.zeros(scores.size), scores]), False)
    of_pairs = has_logits and classes > 2 and _scores_pairs(classifier)
    if of_pairs or scores.shape[1:] != (classes,):
        raise InvalidInputError(
            f"estimator must give one score for each of its {classes} classes, got scores of shape "
            f"{scores.shape} from {method} of {type(classifier).__name__}"
            + (', one for each pair of classes; set decision_function_shape="ovr"' if of_pairs else _ADVICE)
        )
    return Scores(scores, not has_logits)


def _scores_pairs(classifier: Any) -> bool:
    """Tell whether scores are of pairs of classes, which are as many as the classes if these are three.

    It is the last step of a pipeline that decides this, or the classifier inside another one.
    """
    if getattr(classifier, "decision_function_shape", None) == "ovo":
        return True
    inner = [getattr(classifier, name) for name in _INNER if hasattr(classifier, name)]
    inner += [step for _, step in getattr(classifier, "steps", [])[-1:]]
    return any(map(_scores_pairs, inner))


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
