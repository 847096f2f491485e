"""Areas under the risk-coverage curve: how well a score of doubt puts the mistakes last."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from .predictions import Floats
from .risk_coverage import DoubtGroups, doubt_groups, doubted


@checked_keywords
@underflow_is_zero
def aurc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the area under the risk-coverage curve (AURC).

    Smaller is better, in [0, 1]. It judges accuracy and doubt together: the error rate among the i surest
    rows, averaged over i from 1 to all n rows.

    .. math:: \frac{1}{n} \sum_{i=1}^{n} \frac{1}{i} \sum_{j \le i} [\text{row } j \text{ is wrong}]

    with the rows in the order of their doubt.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        The name of a score of `doubt`, or your own: one number per row, larger for more doubt.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    float
        In [0, 1]. For rows of equal doubt it is the mean over all their orders, so the order of the rows
        in the input does not matter.

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The figure depends on the number of rows, so the scale of the weights matters: they count rows, and a
    warning says so where they sum to less than a quarter of the number of rows.

    Other libraries take rows of equal doubt in the order of the input. torch-uncertainty's ``AURC`` is the
    trapezoidal rule from a coverage of 1/n to 1, divided by that width. With :math:`r_1` and :math:`r_n` the
    error rates of the surest row and of all, it is :math:`(n \, \text{aurc} - (r_1 + r_n) / 2) / (n - 1)`.

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
    predictions = doubted(logits, labels, sample_weight, probabilities, class_names)
    predictions.warn_of_few_counted("aurc")
    return area_of(doubt_groups(predictions, score))


@checked_keywords
@underflow_is_zero
def excess_aurc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    """Compute `aurc` minus that of the best possible score of doubt (E-AURC).

    Smaller is better. It is 0 if every mistake is more doubtful than every correct row. Unlike `aurc`, it
    does not reward accuracy by itself.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        The name of a score of `doubt`, or your own: one number per row, larger for more doubt.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

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
    The figure depends on the number of rows, so the scale of the weights matters: they count rows, and a
    warning says so where they sum to less than a quarter of the number of rows.

    The best area is computed for the given number of rows. Geifman et al. give its limit for many rows,
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
    predictions = doubted(logits, labels, sample_weight, probabilities, class_names)
    predictions.warn_of_few_counted("excess_aurc")
    groups = doubt_groups(predictions, score)
    mistakes = groups.mistakes.sum()
    weight = np.array([groups.weight.sum() - mistakes, mistakes])
    best = DoubtGroups(np.array([0.0, 1.0]), weight, np.array([0.0, mistakes]))
    return max(area_of(groups) - area_of(best), 0.0)


@checked_keywords
@underflow_is_zero
def augrc(
    logits: Array,
    labels: Array,
    /,
    *,
    score: str | Array = "maximum_probability",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the area under the generalized risk-coverage curve (AUGRC).

    Smaller is better, in [0, 1/2]: the probability that a row is accepted and wrong, averaged over all
    coverages. Unlike `aurc`, it is not dominated by the few surest rows.

    .. math:: (1 - \text{AUROC}) \, a (1 - a) + \tfrac{1}{2} (1 - a)^2

    where a is the accuracy, and AUROC is the probability that a mistake is more doubtful than a correct row;
    equal doubts count one half.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    score : str or array of float, shape (rows,), default "maximum_probability"
        The name of a score of `doubt`, or your own: one number per row, larger for more doubt.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    float
        In [0, 1/2].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The area from a coverage of 0 to 1. torch-uncertainty's ``AUGRC`` starts at 1/n and divides by the width:
    :math:`n / (n - 1) \, (\text{augrc} - r_1 / (2 n^2))`, where :math:`r_1` is 1 if the surest row is wrong,
    else 0. It takes rows of equal doubt in the order of the input.

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
    groups = doubt_groups(doubted(logits, labels, sample_weight, probabilities, class_names), score)
    mistakes = np.cumsum(groups.mistakes)
    both_ends = mistakes + mistakes - groups.mistakes
    return float(groups.weight @ both_ends / 2 / groups.weight.sum() ** 2)


def area_of(groups: DoubtGroups) -> float:
    r"""Return the sum over rows of the running error rate. Mistakes in ties are spread evenly.

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
