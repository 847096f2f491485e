"""Whether what a policy promised still holds on new rows, by tests whose error rate is stated."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray, IntArray
from ..activations import softmax
from ..decisions.conformal_threshold import threshold_rank
from ..metrics.holm import holm_adjusted
from ._calibration_change import calibration_change
from ._cost_surplus import cost_p_value
from ._loss_change import loss_change
from ._simulation import draws_for, least_p_value
from .coverage import GroupCoverage
from .record import Figures, FitRecord, LossCounts, Reliability

_LEAST_ROWS = 30  # of a cost: fewer say little about a mean


@dataclass(frozen=True)
class PromiseCheck:
    """One promise, tested.

    Attributes
    ----------
    promise : str
        ``"calibration"``, ``"log loss"``, ``"share set aside"``, ``"risk"``, ``"coverage"`` or ``"cost"``.
    promised, observed : float
        What was promised, or seen at the fit, and what the new rows show.
    p_value : float
        Chance of a figure at least as far on the wrong side, were the promise still true.
    holds : bool
        False where the promise is rejected at the audit's significance.
    testable : bool
        False where there are so few rows that nothing they show could tell; `p_value` is then 1.
    words : str
        The finding as a sentence.
    """

    promise: str
    promised: float
    observed: float
    p_value: float
    holds: bool
    testable: bool
    words: str


@dataclass(frozen=True)
class Audit:
    """The outcome of :meth:`softmaxlib.Policy.audit`.

    Attributes
    ----------
    rows : int
        New rows looked at.
    significance : float
        The chance that a policy whose promises all hold is told otherwise.
    checks : tuple of PromiseCheck
        One a promise.
    """

    rows: int
    significance: float
    checks: tuple[PromiseCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether no promise is rejected."""
        return all(check.holds for check in self.checks)

    @property
    def untested(self) -> tuple[str, ...]:
        """The promises that so few rows can't tell anything about."""
        return tuple(check.promise for check in self.checks if not check.testable)

    def to_dict(self) -> dict[str, Any]:
        """As plain values that ``json.dump`` takes."""
        return asdict(self) | {"holds": self.holds, "untested": self.untested}


@dataclass(frozen=True)
class _Finding:
    promise: str
    promised: float
    observed: float
    p_value: float
    least_p_value: float  # of the worst that so many rows could show
    words: str


def audit_rows(
    rule: Any,
    record: FitRecord,
    logits: FloatArray,
    labels: IntArray,
    decision: Any,
    coverage: Sequence[GroupCoverage],
    significance: float,
) -> Audit:
    """Test all that the rule and the record promise on calibrated logits with labels and their decisions."""
    draws = draws_for(significance)
    findings = [
        *_drift(record, logits, labels, decision, draws),
        *_rule_promises(rule, decision, labels, coverage),
        *_cost_promise(rule, record, logits, labels, decision, draws),
    ]
    testable = [finding.least_p_value <= significance for finding in findings]
    p_values = [finding.p_value for finding, can in zip(findings, testable, strict=True) if can]
    rejected = iter((holm_adjusted(p_values) <= significance).tolist())
    checks = tuple(
        _checked(finding, can, can and next(rejected))
        for finding, can in zip(findings, testable, strict=True)
    )
    return Audit(len(labels), significance, checks)


def _checked(finding: _Finding, testable: bool, rejected: bool) -> PromiseCheck:
    return PromiseCheck(
        finding.promise,
        finding.promised,
        finding.observed,
        p_value=finding.p_value if testable else 1.0,
        holds=not rejected,
        testable=testable,
        words=finding.words if testable else f"{finding.words}; these are too few rows to tell",
    )


def _drift(
    record: FitRecord, logits: FloatArray, labels: IntArray, decision: Any, draws: int
) -> Iterator[_Finding]:
    now = Figures.of(logits, labels)
    then = record.after
    reliability = Reliability.of(logits, labels, record.reliability.edges)
    yield _Finding(
        "calibration",
        then.calibration_error,
        now.calibration_error,
        *calibration_change(record.reliability, reliability, draws),
        f"the calibration error is {now.calibration_error:.4f}, and {then.calibration_error:.4f} at the fit",
    )
    yield _Finding(
        "log loss",
        then.log_loss,
        now.log_loss,
        *loss_change(then, record.losses, now, LossCounts.of(logits, labels), draws),
        f"the log loss is {now.log_loss:.4f}, and was {then.log_loss:.4f} at the fit",
    )
    abstained = getattr(decision, "abstained", None)
    if abstained is not None and (abstained.any() or record.abstained > 0):
        share = float(abstained.mean())
        yield _Finding(
            "share set aside",
            record.abstained,
            share,
            *_share_change(record, abstained),
            f"{share:.1%} of rows are set aside, and were {record.abstained:.1%} at the fit",
        )


def _share_change(record: FitRecord, abstained: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fisher's exact test: given how many are set aside then and now, those of now are hypergeometric."""
    from scipy.stats import hypergeom

    rows, then, now = abstained.size, record.judged_rows, int(abstained.sum())
    aside = round(record.abstained * then)
    p_value = hypergeom.sf(now - 1, rows + then, aside + now, rows)
    return float(p_value), float(hypergeom.sf(rows - 1, rows + then, aside + rows, rows))


def _rule_promises(
    rule: Any, decision: Any, labels: IntArray, coverage: Sequence[GroupCoverage]
) -> Iterator[_Finding]:
    from scipy import stats

    if hasattr(rule, "risk"):
        decided = ~decision.abstained
        errors = int((decision.action != labels)[decided].sum())
        count = int(decided.sum())
        observed = errors / count if count else 0.0
        yield _Finding(
            "risk",
            float(rule.risk),
            observed,
            float(stats.binom.sf(errors - 1, count, rule.risk)),
            float(rule.risk) ** count,
            f"{errors} of the {count} decided rows are wrong ({observed:.2%}), and at most {rule.risk:.2%} "
            "are promised",
        )
    if coverage:
        yield _coverage_promise(rule.alpha, coverage)


def _cost_promise(
    rule: Any, record: FitRecord, logits: FloatArray, labels: IntArray, decision: Any, draws: int
) -> Iterator[_Finding]:
    if getattr(decision, "expected_cost", None) is None or not hasattr(rule, "cost"):
        return
    paid = realized_cost(rule, decision, labels)
    decided = ~decision.abstained
    p_value = cost_p_value(
        np.asarray(rule.cost, dtype=np.float64),
        softmax(logits[decided]),
        decision.action[decided],
        labels[decided],
        float((paid - decision.expected_cost).mean()),
        len(labels),
        record.calibration_rows,
        draws,
    )
    yield _Finding(
        "cost",
        float(decision.expected_cost.mean()),
        float(paid.mean()),
        p_value,
        least_p_value(draws) if len(labels) >= _LEAST_ROWS else 1.0,
        f"a row costs {paid.mean():.4g} on average, and {decision.expected_cost.mean():.4g} was expected",
    )


def _coverage_promise(alpha: float, coverage: Sequence[GroupCoverage]) -> _Finding:
    """Coverage in the group that fares worst, its p-value times the number of groups (Bonferroni)."""
    tests = [_coverage_test(alpha, group) for group in coverage]
    worst, (p_value, _) = min(zip(coverage, tests, strict=True), key=lambda pair: pair[1][0])
    observed = worst.covered / worst.rows
    of_sets = f"{observed:.2%} of the sets hold the true class, and {1 - alpha:.2%} are promised"
    return _Finding(
        "coverage",
        1 - alpha,
        observed,
        min(1.0, len(tests) * p_value),
        min(1.0, len(tests) * min(least for _, least in tests)),
        of_sets if not worst.name else f"in the group that fares worst ({worst.name}), {of_sets}",
    )


def _coverage_test(alpha: float, group: GroupCoverage) -> tuple[float, float]:
    """The p-value of so many covered rows, and the least that so many rows can reach."""
    from scipy import stats

    rank = threshold_rank(group.fitted_rows, alpha)
    if rank > group.fitted_rows:  # its sets hold every class
        return 1.0, 1.0
    # the coverage of a fitted threshold is itself random: Beta, so that the count is beta-binomial
    law = stats.betabinom(group.rows, rank, group.fitted_rows + 1 - rank)
    return float(law.cdf(group.covered)), float(law.cdf(0))


def realized_cost(rule: Any, decision: Any, labels: IntArray) -> FloatArray:
    """What each row's action cost, its true class known; an abstention costs ``abstain_cost``."""
    cost = np.asarray(rule.cost, dtype=np.float64)
    paid = cost[labels, np.where(decision.abstained, 0, decision.action)]
    return np.where(decision.abstained, rule.abstain_cost or 0.0, paid)
