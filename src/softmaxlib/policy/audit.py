"""Tests of the promises of a policy on new rows, with a stated error rate."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from .._html import panel
from ..decisions import Outcomes, Promise, Rule
from ..metrics._laws import hypergeometric_tail
from ..metrics.holm import holm_adjusted
from ..metrics.predictions import Predictions
from ..metrics.shares import WeightedShare, effective_rows, weighted_share
from ..metrics.simulation import draws_for
from ._calibration_change import calibration_change
from ._loss_change import loss_change
from .audit_sums import AuditSums
from .figures import Figures, LossCounts, Reliability
from .record import FitRecord


@dataclass(frozen=True)
class PromiseCheck:
    """One promise, tested.

    Attributes
    ----------
    promise : str
        ``"calibration"``, ``"log loss"``, ``"share set aside"``, or a promise of the rule: ``"risk"``,
        ``"coverage"``, ``"cost"``.
    promised, observed : float
        The promised figure (or that of the fit), and the figure of the new rows.
    p_value : float
        Probability of a figure at least this bad if the promise is true.
    holds : bool
        False if the promise is rejected at the significance level of the audit.
    testable : bool
        False if there are too few rows to reject the promise. `p_value` is then 1.
    words : str
        The finding as a sentence.
    sampled_rows : int or None
        Size of the uniform sample of the test, if it needs the rows and these were too many to keep. None if
        it used all rows.
    """

    promise: str
    promised: float
    observed: float
    p_value: float
    holds: bool
    testable: bool
    words: str
    sampled_rows: int | None = None


@dataclass(frozen=True, repr=False)
class Audit:
    """The outcome of :meth:`softmaxlib.Policy.audit`.

    Attributes
    ----------
    rows : int
        Number of new rows, without those of weight 0.
    significance : float
        Family-wise false-alarm rate.
    checks : tuple of PromiseCheck
        One per promise.
    """

    rows: int
    significance: float
    checks: tuple[PromiseCheck, ...]

    def __repr__(self) -> str:
        return f"Audit({self.rows:,} rows: {self._headline()})"

    def _repr_html_(self) -> str:
        found = [
            (check.promise, "yes" if check.holds else "no", check.words, f"{check.p_value:.2g}")
            if check.testable
            else (check.promise, "can't tell", check.words, "")
            for check in self.checks
        ]
        titles = ("Promise", "Holds", "Finding", "p-value")
        return panel(f"{self.rows:,} rows: {self._headline()}", (), titles, found)

    def _headline(self) -> str:
        broken = [check.promise for check in self.checks if not check.holds]
        if broken:
            return f"no longer as promised: {', '.join(broken)}"
        untested = f"; too few rows to tell about {', '.join(self.untested)}" if self.untested else ""
        return f"no promise is broken{untested}"

    @property
    def holds(self) -> bool:
        """True if no promise is rejected."""
        return all(check.holds for check in self.checks)

    @property
    def untested(self) -> tuple[str, ...]:
        """The promises for which there are too few rows."""
        return tuple(check.promise for check in self.checks if not check.testable)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``json.dump``."""
        return asdict(self) | {"holds": self.holds, "untested": self.untested}


class Seen(NamedTuple):
    """The drift between the fit and the rows of an audit, worth `counted` rows of equal weight."""

    figures: Figures
    counted: float
    reliability: Reliability
    losses: LossCounts | None
    aside: WeightedShare


def audit_rows(
    rule: Rule,
    record: FitRecord,
    calibrated: Predictions,
    outcomes: Outcomes,
    figures: Figures,
    significance: float = 0.05,
) -> Audit:
    """Test all promises of the record and the rule on rows: calibrated logits, their figures, outcomes."""
    draws, weights = draws_for(significance), outcomes.sample_weight
    seen = Seen(
        figures,
        figures.rows if weights is None else effective_rows(weights),
        Reliability.of(calibrated, record.reliability.edges),
        LossCounts.of(calibrated) if weights is None else None,
        weighted_share(outcomes.decision.abstained, weights),
    )
    promises = rule.promises(outcomes, calibration_rows=record.count(record.calibration_rows), draws=draws)
    return audit_seen(record, seen, promises, significance)


def audit_sums(
    rule: Rule, record: FitRecord, sums: AuditSums, of_sample: Outcomes | None, significance: float
) -> Audit:
    """Test the same by sums over all rows. Promises that need the rows use a sample.

    Parameters
    ----------
    rule, record
        Of the policy.
    sums : AuditSums
        Over all rows.
    of_sample : Outcomes or None
        Of the sample, for a rule whose promises take rows.
    significance : float
        See `audit_rows`.
    """
    draws, known = draws_for(significance), sums.record
    losses = None if sums.is_weighted else LossCounts.from_dense(known.losses)
    reliability = known.reliability.reliability(record.reliability.edges, sums.is_weighted)
    aside = known.aside.share(sums.is_weighted)
    counted = float(known.aside.total**2 / known.aside.squares)
    seen = Seen(known.figures.figures_of_rows(), counted, reliability, losses, aside)
    if of_sample is None:
        promises = rule.promises_of_sums(sums.promises, sums.is_weighted, sums.class_names, draws)
        return audit_seen(record, seen, promises, significance)
    drift = tuple(_drift(record, seen, draws))
    calibration_rows = record.count(record.calibration_rows)
    promises = rule.promises(of_sample, calibration_rows=calibration_rows, draws=draws)
    audit = audit_of((*drift, *promises), sums.rows, significance)
    rows = len(of_sample.labels)
    told = f"; tested on {rows:,} rows drawn at random"
    sampled = tuple(
        replace(check, sampled_rows=rows, words=check.words + told) for check in audit.checks[len(drift) :]
    )
    return replace(audit, checks=(*audit.checks[: len(drift)], *sampled))


def audit_seen(record: FitRecord, seen: Seen, promises: Sequence[Promise], significance: float) -> Audit:
    """Test the drift since the fit with the promises of the rule, which are tested already."""
    drift = _drift(record, seen, draws_for(significance))
    return audit_of((*drift, *promises), seen.figures.rows, significance)


def audit_of(findings: Sequence[Promise], rows: int, significance: float) -> Audit:
    """Judge the findings together, with adjusted p-values."""
    testable = [finding.least_p_value <= significance for finding in findings]
    p_values = [finding.p_value for finding, can in zip(findings, testable, strict=True) if can]
    rejected = iter((holm_adjusted(p_values) <= significance).tolist())
    checks = tuple(
        _checked(finding, can, can and next(rejected))
        for finding, can in zip(findings, testable, strict=True)
    )
    return Audit(rows, significance, checks)


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


def _drift(record: FitRecord, seen: Seen, draws: int) -> Iterator[Promise]:
    now, then = seen.figures, record.after
    yield Promise(
        "calibration",
        then.calibration_error,
        now.calibration_error,
        *calibration_change(record.reliability, seen.reliability, draws),
        f"the calibration error is {now.calibration_error:.4f}, and {then.calibration_error:.4f} at the fit",
    )
    yield Promise(
        "log loss",
        then.log_loss,
        now.log_loss,
        *loss_change(then, record.losses, now, seen.losses, draws, (record.count(then.rows), seen.counted)),
        f"the log loss is {now.log_loss:.4f}, and was {then.log_loss:.4f} at the fit",
    )
    share = seen.aside
    if share.value > 0 or record.abstained > 0:
        yield Promise(
            "share set aside",
            record.abstained,
            float(share.value),
            *_share_change(record, share),
            f"{share.value:.1%} of rows are set aside, and were {record.abstained:.1%} at the fit",
        )


def _share_change(record: FitRecord, share: WeightedShare) -> tuple[float, float]:
    """Test a change of the share set aside by Fisher's exact test."""
    rows, then = int(share.rows), record.count(record.judged_rows)
    aside, now = round(record.abstained * then), round(float(share.value * rows))
    return (
        hypergeometric_tail(now, rows + then, aside + now, rows),
        hypergeometric_tail(rows, rows + then, aside + rows, rows),
    )
