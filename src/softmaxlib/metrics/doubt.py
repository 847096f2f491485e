"""Scores of doubt: how unsure a row is, from its logits alone."""

from collections.abc import Callable

import numpy as np

from .._arrays import Array, FloatArray
from .._checks import check_choice
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..activations import logsumexp, softmax
from ..errors import InvalidInputError
from .predictions import Floats, Predictions, check_values, row_blocks

# computed without cancellation: 1 - p of a confident row keeps its digits down to 1e-300


def _rest(logits: Floats) -> Floats:
    """Return each row's probabilities, the highest one replaced by 0."""
    probabilities = softmax(logits)
    np.put_along_axis(probabilities, np.argmax(logits, axis=1)[:, None], 0.0, axis=1)
    return probabilities


def _margin(logits: Floats) -> Floats:
    rest = _rest(logits)
    return rest.sum(axis=1) + rest.max(axis=1)


def _entropy(logits: Floats) -> Floats:
    from scipy.special import entr

    rest = _rest(logits)
    doubt = rest.sum(axis=1)
    return entr(rest).sum(axis=1) - (1 - doubt) * np.log1p(-doubt)


def _energy(logits: Floats) -> Floats:
    return -logsumexp(logits, axis=1)


def _maximum_logit(logits: Floats) -> Floats:
    return -logits.max(axis=1)


_OF_LOGITS: dict[str, Callable[[Floats], Floats]] = {
    "margin": _margin,
    "entropy": _entropy,
    "energy": _energy,
    "maximum_logit": _maximum_logit,
}
SCORES = ("maximum_probability", *_OF_LOGITS)
_NEED_LOGITS = ("energy", "maximum_logit")


@checked_keywords
@underflow_is_zero
def doubt(logits: Array, /, *, score: str = "maximum_probability", probabilities: bool = False) -> FloatArray:
    r"""Compute how unsure each row is; larger is more doubt, for every score.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    score : str, default "maximum_probability"
        - "maximum_probability": :math:`1 - \max_k p_k`, in [0, 1 - 1/classes];
        - "margin": one minus the lead of the first class over the second,
          :math:`1 - (p_{(1)} - p_{(2)})`, in [0, 1];
        - "entropy": :math:`-\sum_k p_k \log p_k` in nats, in [0, log(classes)];
        - "energy": :math:`-\log \sum_k e^{z_k}`, any real number, needs logits;
        - "maximum_logit": :math:`-\max_k z_k`, any real number, needs logits.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    array, shape (rows,)
        Of the kind, dtype and device of `logits` (half precision: float32; integers and lists: float64).

    Raises
    ------
    InvalidInputError
        When the score is unknown, needs logits but gets probabilities, or an input breaks a rule of
        `softmaxlib.metrics`.

    Notes
    -----
    "energy" and "maximum_logit" depend on the offset of the logits, which softmax removes. They can be
    compared within one network only, and find inputs unlike those it was trained on.
    1 - p is computed as the sum of the other probabilities, so rows whose p rounds to 1 still differ.

    References
    ----------
    Hendrycks, Gimpel, "A baseline for detecting misclassified and out-of-distribution examples" (ICLR 2017);
    Liu et al., "Energy-based out-of-distribution detection" (NeurIPS 2020); Hendrycks et al., "Scaling
    out-of-distribution detection for real-world settings" (ICML 2022), for the maximum logit.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.doubt([[0.0, 0.0], [50.0, 0.0]])
    array([5.00000000e-01, 1.92874985e-22])
    """
    check_score(score, probabilities)
    values = check_values(logits, probabilities)
    unlabelled = Predictions(values, np.zeros(len(values), np.int64), None, probabilities)
    return in_kind_of(logits, row_doubts(unlabelled, score).astype(values.dtype))


def row_doubts(predictions: Predictions, score: str) -> Floats:
    """Return the doubt of each row, in float64."""
    if score == "maximum_probability":
        return predictions.figure("doubt")
    values = predictions.values
    result = np.empty(values.shape[0])
    for rows in row_blocks(values):
        block = values[rows].astype(np.float64)
        if predictions.are_probabilities:
            with np.errstate(divide="ignore"):
                block = np.log(block)
        result[rows] = _OF_LOGITS[score](block)
    return result


def check_score(score: str, probabilities: bool) -> None:
    """Refuse an unknown score, or one of logits where there are probabilities."""
    check_choice(score, "score", SCORES)
    if probabilities and score in _NEED_LOGITS:
        raise InvalidInputError(
            f"score {score!r} needs logits, got probabilities: their offset is lost; "
            'pass the logits or choose "maximum_probability"'
        )
