"""Whether what a policy promised still holds on new rows, by tests whose error rate is stated."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..decisions import Outcomes, Promise, Rule
from ..metrics.holm import holm_adjusted
from ..metrics.predictions import Predictions
from ..metrics.shares import WeightedShare, weighted_share
from ..metrics.simulation import draws_for
from ._calibration_change import calibration_change
from ._loss_change import loss_change
from .figures import Figures, LossCounts, Reliability
from .record import FitRecord


@dataclass(frozen=True)
class PromiseCheck:
    """One promise, tested.

    Attributes
    ----------
    promise : str
        ``"calibration"``, ``"log loss"``, ``"share set aside"``, or one of the rule's own: ``"risk"``,
        ``"coverage"``, ``"cost"``.
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
        """Tell whether no promise is rejected."""
        return all(check.holds for check in self.checks)

    @property
    def untested(self) -> tuple[str, ...]:
        """The promises that so few rows can't tell anything about."""
        return tuple(check.promise for check in self.checks if not check.testable)

    def to_dict(self) -> dict[str, Any]:
        """As plain values that ``json.dump`` takes."""
        return asdict(self) | {"holds": self.holds, "untested": self.untested}


def audit_rows(
    rule: Rule,
    record: FitRecord,
    calibrated: Predictions,
    outcomes: Outcomes,
    significance: float = 0.05,
) -> Audit:
    """Test all that the record and the rule promise on rows: their calibrated logits, and their outcomes."""
    draws = draws_for(significance)
    calibration_rows = record.count(record.calibration_rows)
    findings = [
        *_drift(record, calibrated, outcomes, draws),
        *rule.promises(outcomes, calibration_rows=calibration_rows, draws=draws),
    ]
    testable = [finding.least_p_value <= significance for finding in findings]
    p_values = [finding.p_value for finding, can in zip(findings, testable, strict=True) if can]
    rejected = iter((holm_adjusted(p_values) <= significance).tolist())
    checks = tuple(
        _checked(finding, can, can and next(rejected))
        for finding, can in zip(findings, testable, strict=True)
    )
    return Audit(len(outcomes.labels), significance, checks)


def _checked(finding: Promise, testable: bool, rejected: bool) -> PromiseCheck:
    return PromiseCheck(
        finding.name,
        finding.promised,
        finding.observed,
        p_value=finding.p_value if testable else 1.0,
        holds=not rejected,
        testable=testable,
        words=finding.words if testable else f"{finding.words}; these are too few rows to tell",
    )


def _drift(record: FitRecord, calibrated: Predictions, outcomes: Outcomes, draws: int) -> Iterator[Promise]:
    abstained, weights = outcomes.decision.abstained, outcomes.sample_weight
    now = Figures.of(calibrated)
    then = record.after
    reliability = Reliability.of(calibrated, record.reliability.edges)
    losses = LossCounts.of(calibrated) if weights is None else None
    yield Promise(
        "calibration",
        then.calibration_error,
        now.calibration_error,
        *calibration_change(record.reliability, reliability, draws),
        f"the calibration error is {now.calibration_error:.4f}, and {then.calibration_error:.4f} at the fit",
    )
    yield Promise(
        "log loss",
        then.log_loss,
        now.log_loss,
        *loss_change(then, record.losses, now, losses, draws),
        f"the log loss is {now.log_loss:.4f}, and was {then.log_loss:.4f} at the fit",
    )
    if abstained.any() or record.abstained > 0:
        share = weighted_share(abstained, weights)
        yield Promise(
            "share set aside",
            record.abstained,
            float(share.value),
            *_share_change(record, share),
            f"{share.value:.1%} of rows are set aside, and were {record.abstained:.1%} at the fit",
        )


def _share_change(record: FitRecord, share: WeightedShare) -> tuple[float, float]:
    """Fisher's exact test: given how many are set aside then and now, those of now are hypergeometric."""
    from scipy.stats import hypergeom

    rows, then = int(share.rows), record.count(record.judged_rows)
    aside, now = round(record.abstained * then), round(float(share.value * rows))
    p_value = hypergeom.sf(now - 1, rows + then, aside + now, rows)
    return float(p_value), float(hypergeom.sf(rows - 1, rows + then, aside + rows, rows))
