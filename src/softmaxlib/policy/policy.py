"""Policy: a fitted calibration and decision rule, for production."""

import copy
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from .. import _json
from .._arrays import Array, FloatArray
from .._checks import (
    RandomState,
    check_labels,
    check_logits,
    check_random_state,
    check_sample_weight,
    check_share,
    classes_of_columns,
    known_logits,
    name_classes,
    warn_of_row_order,
)
from .._checks.class_labels import check_class_names, check_columns
from .._drafts import draft_of
from .._html import panel
from .._renamed import checked_keywords
from .._text import shortened
from .._underflow import underflow_is_zero
from ..activations import softmax
from ..calibration import Calibration
from ..decisions import Outcomes, Rule
from ..errors import UnsupportedTypeError
from ..metrics.predictions import Predictions
from ..metrics.shares import effective_rows, weighted_share
from .audit import Audit, audit_rows, audit_sums
from .audit_sums import WANTED, AuditSums
from .audit_tally import AuditTally
from .cross_fitting import CalibratedRows, cross_fitted
from .deciding_policy import DecidingPolicy
from .figures import Figures
from .large_fit import HeldSample, LargeRows, fit_large
from .probabilities import check_kind, probability_floor, warn_of_certainty
from .record import FitRecord
from .rows import FitRows, SplitRows, split_rows


class Policy(DecidingPolicy):
    """A calibration and a decision rule in one object: logits in, decisions out.

    ``fit`` splits its rows, so that the rule never sees the rows of the calibration. A threshold or a
    prediction set that is chosen on rows of the calibration would not keep its promise. If the rule needs no
    fitting, the calibration uses all rows.

    Parameters
    ----------
    calibration : calibration
        From :mod:`softmaxlib.calibration`, such as ``TemperatureScaling()``.
    rule : decision rule
        From :mod:`softmaxlib.decisions`, such as ``MostLikely()`` or ``MinimumCost(cost)``.

    Attributes
    ----------
    calibration, rule
        Copies of the given objects, which `fit` fits. The given objects never change.
    class_names_ : tuple of str
        The classes, in the order of the columns of the logits.
    record_ : FitRecord
        Time and data of the fit, and the figures before and after calibration.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import Policy
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> from softmaxlib.decisions import MostLikely
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=600)
    >>> logits = 4 * np.eye(3)[labels] + 3 * rng.normal(size=(600, 3))
    >>> policy = Policy(TemperatureScaling(), MostLikely())
    >>> decision = policy.fit(logits, labels, class_names=["cat", "dog", "bird"]).decide(logits[:2])
    >>> decision.action.tolist() == logits[:2].argmax(axis=1).tolist()
    True
    >>> decision.labels[0] == ("cat", "dog", "bird")[decision.action[0]]
    True
    """

    name_in_files = "Policy"
    _purpose = "one class per row"
    _part_names = ("probability_floor", "calibration", "rule", "record")

    def __init__(self, calibration: Calibration, rule: Rule) -> None:
        self.calibration = Calibration.copy_of(calibration, "calibration", "TemperatureScaling()")
        self.rule = Rule.copy_of(rule, "rule", "MostLikely()")

    def __repr__(self) -> str:
        return f"Policy({self.calibration}, {self.rule})"

    def _repr_html_(self) -> str:
        """Return a panel for notebooks: the fit, or before `fit` its settings."""
        fitted = getattr(self, "record_", None)
        if fitted is None:
            return panel(f"{self!r}, not fitted")
        said = [self.rule.explain(self.class_names_), self.calibration.describe(), self.rule.describe()]
        said.append(f"Fitted at {fitted.fitted_at} on {fitted.rows:,} rows of {fitted.input}.")
        return panel(f"Policy for {len(self.class_names_)} classes", [words for words in said if words])

    @checked_keywords
    @underflow_is_zero
    def fit(
        self,
        logits: Array,
        labels: Array,
        *,
        probabilities: bool = False,
        class_names: Sequence[str] | None = None,
        rule_rows: Array | None = None,
        groups: Array | None = None,
        sample_weight: Array | None = None,
        random_state: RandomState = 0,
    ) -> Self:
        """Fit the calibration on some rows and the rule on the others.

        Parameters
        ----------
        logits : array (rows, classes)
            A model's logits for rows that it was not trained on, or probabilities if `probabilities` is true.
            An array of any library, or a pandas or polars frame with one column per class.
        labels : array (rows,)
            The true class of each row, as index or name.
        probabilities : bool, default False
            Whether `logits` holds probabilities, for a model that gives nothing else. An exact 0 is replaced
            by half the smallest positive probability, with a warning that counts them.
        class_names : sequence of str, optional
            One name per class, in the order of the columns. By default the column names of a frame (without
            ``logit_``), or the sorted text labels, or ``"0"``, ``"1"``, ...
        rule_rows : boolean array (rows,), optional
            Your own split: True for rows of the rule, False for rows of the calibration. By default a random
            half, drawn with `random_state`. A rule that learns nothing from rows leaves all of them to the
            calibration.
        groups : array of str or int (rows,), optional
            The group of each row, for a rule that needs it: ``PredictionSets(groups="rows")``.
        sample_weight : array (rows,), optional
            Weight of each row, in calibration, rule and record. Rows of weight 0 are ignored. The
            documentation of the rule states what it promises with weights. `audit` then needs the weights of
            its rows too.
        random_state : int or numpy.random.Generator, default 0
            Seed of the split. It is recorded. A generator supplies the seed.

        Returns
        -------
        Policy
            This object.

        Raises
        ------
        InvalidInputError
            If logits are not finite, labels are out of range, or names are not one per class or differ from
            the columns of a frame. The policy then does not change.
        """
        seed = check_random_state(random_state)
        with draft_of(self) as draft:
            draft._fit(logits, probabilities, labels, class_names, rule_rows, groups, sample_weight, seed)
        return self

    @underflow_is_zero
    def fit_large(
        self, rows: LargeRows, *, class_names: Sequence[str], probability_floor: float | None, seed: int
    ) -> Self:
        """Fit on more rows than memory holds: see `softmaxlib.files.fit`.

        Parameters
        ----------
        rows : LargeRows
            Rows of logits.
        class_names : sequence of str
            One per class.
        probability_floor : float or None
            Replacement of an exact probability of 0, or None if the rows are logits.
        seed : int
            Seed of the folds in which figures are measured.
        """
        with draft_of(self) as draft:
            draft._floor = probability_floor
            draft._input = "logits" if probability_floor is None else "probabilities"
            draft.class_names_ = check_class_names(class_names, rows.judged.classes)
            fitted = fit_large(self.calibration, self.rule, rows, draft._input, seed)
            draft.calibration, draft.rule, draft.record_ = fitted.calibration, fitted.rule, fitted.record
        return self

    def _fit(
        self,
        logits: Array,
        probabilities: bool,
        labels: Array,
        class_names: Sequence[str] | None,
        rule_rows: Array | None,
        groups: Array | None,
        sample_weight: Array | None,
        seed: int,
    ) -> None:
        self.calibration, self.rule = copy.deepcopy((self.calibration, self.rule))
        self._floor = probability_floor(logits) if probabilities else None
        self._input: Literal["logits", "probabilities"] = "probabilities" if probabilities else "logits"
        values = check_logits(self._as_logits(logits))
        warn_of_row_order(logits, labels=labels, groups=groups, sample_weight=sample_weight)
        if probabilities:
            warn_of_certainty(logits)
        classes = values.shape[1]
        if class_names is None:
            class_names = classes_of_columns(logits) or name_classes(labels, classes)
        names = check_class_names(class_names, classes)
        check_columns(logits, names, "of class_names")
        truth = check_labels(labels, len(values), classes, class_names=names)
        weights = check_sample_weight(sample_weight, len(values))
        rows = split_rows(self.rule, FitRows(values, truth, weights), rule_rows, groups, seed)
        with known_logits():
            fitting, judged = rows.for_calibration, rows.judged
            self.calibration.fit(fitting.values, fitting.labels, fitting.weights)
            calibrated = softmax(self.calibration.transform(judged.values))
            self.rule.fit(
                calibrated, judged.labels, rows.groups, sample_weight=judged.weights, probabilities=True
            )
            decision = self.rule.decide(calibrated, rows.groups, probabilities=True)
            aside = weighted_share(decision.abstained, judged.weights)
            self.class_names_ = names
            self.record_ = self._record(rows, seed, float(aside.value))

    @checked_keywords
    @underflow_is_zero
    def audit(
        self,
        logits: Array,
        labels: Array,
        *,
        probabilities: bool = False,
        groups: Array | None = None,
        sample_weight: Array | None = None,
        significance: float = 0.05,
    ) -> Audit:
        """Test on new rows whether the promises of the fit still hold.

        Parameters
        ----------
        logits : array (rows, classes)
            Logits of new rows, or probabilities if `probabilities` is true.
        labels : array (rows,)
            The true class of each row, as index or name.
        probabilities : bool, default False
            Whether `logits` holds probabilities, as in the fit.
        groups : array of str or int (rows,), optional
            The group of each row, for a rule that needs it.
        sample_weight : array (rows,), optional
            Weight of each row. If the policy was fitted with weights, use weights of the same meaning.
        significance : float, default 0.05
            Family-wise false-alarm rate, over all promises together (Holm's method).

        Returns
        -------
        Audit
            One :class:`PromiseCheck` per promise (calibration, log loss, share set aside, and those of the
            rule: risk, coverage, cost), and ``holds``.

        Notes
        -----
        Every test uses an exact or a simulated law. So it holds for any number of rows and for rare mistakes,
        and accounts for chance in the rows of the fit too. Calibration: the change of accuracy minus
        confidence in bins of confidence, given how many rows of each bin were wrong then and now (Fisher's
        noncentral hypergeometric law). Log loss (no larger): a permutation test of the losses. Share set
        aside (no larger than at the fit): Fisher's exact test. Risk: binomial. Coverage: beta-binomial, the
        exact law of a split-conformal threshold; with groups, the worst group is tested, and its p-value is
        multiplied by the number of groups. Cost (no larger than expected): true classes are drawn from the
        probabilities, for these rows and for as many as in the fit of the calibration. Draws use a fixed
        seed, so the same rows give the same p-values. ``benchmarks/audit_alarms.py`` measures the false-alarm
        rate of each test.

        A policy saved by an earlier version has no losses. Its log loss is compared by a z-test, with the
        larger of the separate and the pooled standard error.

        With weights every figure is weighted, and each test uses the effective number of rows: (sum w)^2 /
        sum w^2 (Kish), or p (1 - p) / variance for a share p where that is less (Korn, Graubard). These tests
        are not exact, but reject a little less often than their level. The log loss of weighted rows is
        compared by the z-test. For the cost, the true class of each row is drawn once, for any weight.

        There can be too few rows for a test. A cost needs 30 rows, and another promise as many as could
        reject it if all of them contradicted it. Such a promise is neither rejected nor counted, and is
        listed in ``untested``.

        References
        ----------
        Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98 (1935);
        Fog, "Calculation methods for Wallenius' and Fisher's noncentral hypergeometric distributions",
        Communications in Statistics 37 (2008); Besag, Clifford, "Sequential Monte Carlo p-values",
        Biometrika 78 (1991); Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
        Journal of Statistics 6 (1979); Korn, Graubard, "Confidence intervals for proportions with small
        expected number of positive counts estimated from survey data", Survey Methodology 24 (1998); Kish,
        "Survey sampling" (Wiley 1965).
        """
        significance = check_share(significance, "significance", "0.05 is usual")
        outcomes, calibrated = self.outcomes_of(logits, labels, probabilities, groups, sample_weight)
        predictions = Predictions.of_logits(calibrated, outcomes.labels, outcomes.sample_weight)
        figures = Figures.of(predictions)
        return audit_rows(self.rule, self.record_, predictions, outcomes, figures, significance)

    @underflow_is_zero
    def audit_large(self, sums: AuditSums, sample: HeldSample, *, significance: float = 0.05) -> Audit:
        """Test more rows than memory holds: see `softmaxlib.files.audit`.

        Parameters
        ----------
        sums : AuditSums
            Over all rows.
        sample : HeldSample
            A uniform sample of them, as given, for promises that need the rows.
        significance : float, default 0.05
            As in `audit`.
        """
        significance = check_share(significance, "significance", "0.05 is usual")
        self._check_fitted()
        of_sample = None
        if not self.rule.promises_by_sums:
            values, labels, groups, weights = sample
            given = self.input == "probabilities"
            of_sample, _ = self.outcomes_of(values, labels, given, groups, weights)
        return audit_sums(self.rule, self.record_, sums, of_sample, significance)

    def tally(self) -> AuditTally:
        """Return an empty tally of new rows, for an audit of rows that come in batches: see `AuditTally`."""
        self._check_fitted()
        return AuditTally(self)

    @checked_keywords
    def outcomes_of(
        self,
        logits: Array,
        labels: Array,
        probabilities: bool,
        groups: Array | None,
        sample_weight: Array | None,
    ) -> tuple[Outcomes, FloatArray]:
        """Return decided rows with their true classes, and their calibrated logits."""
        judgement = self.judge(logits, probabilities=probabilities, groups=groups, wanted=WANTED)
        warn_of_row_order(logits, labels=labels, sample_weight=sample_weight)
        weights = check_sample_weight(sample_weight, len(judgement.decision.action))
        calibrated, believed, most_likely, decision, _ = judgement
        assert calibrated is not None
        assert believed is not None
        assert most_likely is not None
        truth = check_labels(labels, *calibrated.shape, class_names=self.class_names_)
        outcomes = Outcomes(believed, decision, truth, most_likely, self.class_names_, groups, weights)
        return outcomes, calibrated

    def _parts(self) -> dict[str, Any]:
        return {
            "probability_floor": self._floor,
            "calibration": self.calibration.to_dict(),
            "rule": self.rule.to_dict(),
            "record": self.record_.to_dict(),
        }

    @classmethod
    def _of_parts(cls, names: list[str], content: dict[str, Any]) -> Self:
        policy = cls(Calibration.from_dict(content["calibration"]), Rule.from_dict(content["rule"]))
        policy.record_ = FitRecord.from_dict(content["record"])
        policy.class_names_ = check_class_names(names, policy.calibration.class_count_)
        policy.rule.check_classes(len(names))
        policy._input = policy.record_.input
        policy._floor = None
        if policy._input == "probabilities":
            policy._floor = _json.decode_number(
                content["probability_floor"], "probability_floor", lower=np.nextafter(0, 1), upper=0.5
            )
        return policy

    def _record(self, rows: SplitRows, seed: int, abstained: float) -> FitRecord:
        weights = rows.every.weights
        if rows.split == "none":
            judged = cross_fitted(self.calibration, rows.every, seed)
        else:
            after = self.calibration.transform(rows.judged.values)
            judged = CalibratedRows(rows.judged, after)
        return FitRecord.of(
            judged.rows.values,
            judged.after,
            judged.rows.labels,
            judged.rows.weights,
            input=self._input,
            rows=len(rows.every.labels),
            calibration_rows=len(rows.for_calibration.labels),
            rule_rows=len(rows.judged.labels) if rows.split != "none" else 0,
            split=rows.split,
            random_state=seed,
            abstained=abstained,
            effective_rows=None if weights is None else effective_rows(weights),
        )


def check_policy(policy: Policy, probabilities: bool) -> None:
    """Refuse what is no `Policy`, and one of the other kind of number than is given."""
    if not isinstance(policy, Policy):
        got = shortened(repr(policy), 200)
        raise UnsupportedTypeError(
            f"policy must be a fitted Policy, got {got}; load one with Policy.load(path)"
        )
    check_kind(policy.input, probabilities)
