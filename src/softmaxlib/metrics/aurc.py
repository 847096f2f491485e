"""Areas under the risk-coverage curve: how well a doubt sorts the mistakes to the end."""

import numpy as np

from .._arrays import Array
from ._predictions import Floats
from .risk_coverage import DoubtGroups, doubt_groups


def aurc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    sample_weight: Array | None = None,
    from_probabilities: bool = False,
) -> float:
    r"""Area under the risk-coverage curve.

    Smaller is better, in [0, 1]. It judges accuracy and doubt together: the mean, over how many of the
    surest rows are accepted, of the error rate among them.

    .. math:: \frac{1}{n} \sum_{i=1}^{n} \frac{1}{i} \sum_{j \le i} [\text{row } j \text{ is wrong}]

    with the rows in the order of their doubt.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        A score of `doubt` by name, or any doubt of your own, larger being more doubt.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    from_probabilities : bool, default False
        Whether the first argument holds probabilities.

    Returns
    -------
    float
        In [0, 1]. Rows of equal doubt count as their mean over all orders among them: no order of the rows
        in the file changes it.

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Others sort rows of equal doubt as they come, and some integrate by the trapezoidal rule, which leaves
    out half of the first and the last point.

    References
    ----------
    Geifman, Uziel, El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers" (ICLR 2019).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits, labels = [[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]], [0, 0, 1]
    >>> round(metrics.aurc(logits, labels), 6)
    0.111111
    """
    return _area(doubt_groups(logits, labels, score, sample_weight, from_probabilities))


def excess_aurc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    sample_weight: Array | None = None,
    from_probabilities: bool = False,
) -> float:
    """`aurc` less that of the best possible doubt (E-AURC).

    Smaller is better; 0 when every mistake is more doubtful than every correct row. Unlike `aurc` it does
    not reward accuracy by itself.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        A score of `doubt` by name, or any doubt of your own, larger being more doubt.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    from_probabilities : bool, default False
        Whether the first argument holds probabilities.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The best area is that of these very rows; Geifman et al. print its limit for many rows,
    ``r + (1 - r) log(1 - r)`` for an error rate r.

    References
    ----------
    Geifman, Uziel, El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers" (ICLR 2019).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits, labels = [[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]], [0, 0, 1]
    >>> metrics.excess_aurc(logits, labels)
    0.0
    """
    groups = doubt_groups(logits, labels, score, sample_weight, from_probabilities)
    mistakes = groups.mistakes.sum()
    weight = np.array([groups.weight.sum() - mistakes, mistakes])
    best = DoubtGroups(np.array([0.0, 1.0]), weight, np.array([0.0, mistakes]))
    return max(_area(groups) - _area(best), 0.0)


def augrc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    sample_weight: Array | None = None,
    from_probabilities: bool = False,
) -> float:
    r"""Area under the generalised risk-coverage curve (AUGRC).

    Smaller is better, in [0, 1/2]: the probability that a row is accepted and wrong, averaged over all
    coverages. Unlike `aurc` it does not let the few surest rows decide.

    .. math:: (1 - \text{AUROC}) \, a (1 - a) + \tfrac{1}{2} (1 - a)^2

    with a the accuracy and AUROC how often a mistake is more doubtful than a correct row, equal doubts
    counting one half.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        A score of `doubt` by name, or any doubt of your own, larger being more doubt.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    from_probabilities : bool, default False
        Whether the first argument holds probabilities.

    Returns
    -------
    float
        In [0, 1/2].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    References
    ----------
    Traub et al., "Overcoming common flaws in the evaluation of selective classification systems" (NeurIPS
    2024).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits, labels = [[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]], [0, 0, 1]
    >>> round(metrics.augrc(logits, labels), 6)
    0.055556
    """
    groups = doubt_groups(logits, labels, score, sample_weight, from_probabilities)
    mistakes = np.cumsum(groups.mistakes)
    both_ends = mistakes + mistakes - groups.mistakes
    return float(groups.weight @ both_ends / 2 / groups.weight.sum() ** 2)


def _area(groups: DoubtGroups) -> float:
    r"""The sum over rows of the running error rate, the mistakes of a group spread evenly over its rows.

    With W rows and L mistakes before a group of w rows, of which the share m are mistakes,

    .. math:: \sum_{t=1}^{w} \frac{L + m t}{W + t} = m w + (L - m W) (\psi(W + w + 1) - \psi(W + 1))

    which holds for any weight, so that a weight of 2 is the row twice.
    """
    from scipy.special import digamma

    after = np.cumsum(groups.weight)
    before: Floats = after - groups.weight
    # a group without weight (no mistakes at all) would divide 0 by 0
    rate = groups.mistakes / np.where(groups.weight > 0, groups.weight, 1.0)
    mistakes_before = np.cumsum(groups.mistakes) - groups.mistakes
    steps = digamma(after + 1) - digamma(before + 1)
    return float((groups.mistakes + (mistakes_before - rate * before) * steps).sum() / after[-1])
