"""The interval of a mean cost, which leaves room for mistakes that these rows don't show."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import group_array
from ..decisions import Costs, Decision, Outcomes, Rule
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.predictions import Floats

_LEVEL = 0.95


class CostRange(NamedTuple):
    """The least and the largest cost that a row can have.

    Attributes
    ----------
    least, largest : float
        Of any action and any true class.
    """

    least: float
    largest: float


def cost_range(rule: Rule, outcomes: Outcomes, costs: Costs) -> CostRange | None:
    """Return what a row can cost, by any action and any true class; None if costs of rows are unknown."""
    if costs.of_rows is None:
        return None
    names = rule.name_actions(outcomes.class_names)
    actions = len(names)
    possible = [costs.of_rows]
    if costs.if_decided is not None:
        possible.append(np.array([costs.if_decided.abstain_cost]))

    def of_each_action(part: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
        """Return the first row, once for each action."""
        return None if part is None else np.broadcast_to(part[:1], (actions, *part.shape[1:]))

    taken = Decision(*map(of_each_action, outcomes.decision))._replace(  # type: ignore[arg-type]
        action=np.arange(actions), abstained=np.zeros(actions, np.bool_), labels=np.array(names, object)
    )
    groups = outcomes.groups
    if groups is not None:
        groups = of_each_action(group_array(groups, len(outcomes.labels)))
    for label in range(len(outcomes.class_names)):
        every = Outcomes(
            np.broadcast_to(outcomes.probabilities[:1], (actions, outcomes.probabilities.shape[1])),
            taken,
            np.full(actions, label),
            np.broadcast_to(outcomes.most_likely[:1], actions),
            outcomes.class_names,
            groups,
        )
        found = rule.mean_costs(every)
        if found is not None and found.of_rows is not None:
            possible.append(found.of_rows)
    paid = np.concatenate(possible)
    return CostRange(float(paid.min()), float(paid.max()))


def cost_interval(
    mean: Floats | float, error: Floats | float, rows: Floats | float, costs: CostRange
) -> tuple[Floats, Floats]:
    r"""Return the 95% interval of a mean cost; NaN for fewer than 30 rows.

    Half a row at either end of the range is added to the rows: costs that did not occur here may occur on
    others. The mean cost on many rows then has a Dirichlet law (the Bayesian bootstrap). The interval is that
    of the beta law, stretched over the range, with the same mean and variance. For two possible costs this
    is exactly Jeffreys' interval of a share, the law of `TunedThreshold`.

    Parameters
    ----------
    mean, error : float or array
        The mean cost of some rows, and its standard error as the rows show it.
    rows : float or array
        The effective number of rows.
    costs : CostRange
        What a row can cost.

    References
    ----------
    Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981); Brown, Cai, DasGupta, "Interval estimation
    for a binomial proportion", Statistical Science 16 (2001).
    """
    from scipy.special import betaincinv

    width = costs.largest - costs.least
    if width == 0:
        ends = np.where(np.asarray(rows) >= LEAST_ROWS, mean, np.nan)
        return ends, ends
    place, variance = (mean - costs.least) / width, rows * (error / width) ** 2
    centre = (rows * place + 0.5) / (rows + 1)
    spread = rows * (variance + (place - centre) ** 2) + (centre**2 + (1 - centre) ** 2) / 2
    total = centre * (1 - centre) * (rows + 1) * (rows + 2) / spread - 1
    tails = np.array([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    lower, upper = (
        costs.least + width * betaincinv(centre * total, (1 - centre) * total, tail) for tail in tails
    )
    enough = np.asarray(rows) >= LEAST_ROWS
    # at an end of the range, the mean itself belongs to the interval
    return np.where(enough, np.minimum(lower, mean), np.nan), np.where(
        enough, np.maximum(upper, mean), np.nan
    )
