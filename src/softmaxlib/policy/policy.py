"""Policy: what a production system keeps of all that was fitted."""

import copy
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from .. import _json
from .._all_rows import AllRows
from .._arrays import Array, FloatArray
from .._checks import (
    RandomState,
    check_labels,
    check_logits,
    check_random_state,
    check_rows,
    check_sample_weight,
    check_share,
    classes_of_columns,
    known_logits,
    name_classes,
    warn_of_probabilities,
)
from .._drafts import draft_of
from .._extras import require
from .._files import written_whole
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from ..activations import softmax
from ..calibration import Calibration
from ..decisions import Outcomes, Rule
from ..decisions.decision import label_decision
from ..errors import FileFormatError, InvalidInputError, NotFittedError
from ..metrics.predictions import Predictions
from ..metrics.shares import effective_rows, weighted_share
from .audit import Audit, audit_rows, audit_sums
from .audit_sums import WANTED, AuditSums
from .columns import check_class_names, check_columns
from .cross_fitting import CalibratedRows, cross_fitted
from .exported import policy_as_onnx
from .judging import Judgement, Wanted, judge_values
from .large_fit import HeldSample, LargeRows, fit_large
from .probabilities import check_kind, logits_of, probability_floor, warn_of_certainty
from .record import FitRecord
from .rows import FitRows, SplitRows, groups_of_rows, split_rows

if TYPE_CHECKING:
    import pyarrow

_CLASS = "Policy"


class Policy:
    """A calibration and a decision rule as one thing: logits in, decisions out.

    ``fit`` splits the rows it is given, so that the rule never sees the rows that the calibration was
    fitted on: a threshold or a prediction set chosen on rows that the calibration already knows promises
    more than it keeps. A rule that needs no fitting leaves all rows to the calibration.

    Parameters
    ----------
    calibration : calibration
        From :mod:`softmaxlib.calibration`, such as ``TemperatureScaling()``.
    rule : decision rule
        From :mod:`softmaxlib.decisions`, such as ``MostLikely()`` or ``MinimumCost(cost)``.

    Attributes
    ----------
    calibration, rule
        Copies of what was given, and fitted by `fit`; what was given is never changed.
    class_names_ : tuple of str
        The classes, in the order of the logits' columns.
    record_ : FitRecord
        When and on what it was fitted, and the figures there before and after calibration.

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

    def __init__(self, calibration: Calibration, rule: Rule) -> None:
        self.calibration = Calibration.copy_of(calibration, "calibration", "TemperatureScaling()")
        self.rule = Rule.copy_of(rule, "rule", "MostLikely()")

    def __repr__(self) -> str:
        return f"Policy({self.calibration}, {self.rule})"

    @checked_keywords
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
            A model's logits for rows that it was not trained on, or probabilities when `probabilities` is
            true: an array of any library, or a pandas or polars frame with a column for each class.
        labels : array (rows,)
            The true class of each row: its number, or its name.
        probabilities : bool, default False
            Whether `logits` holds probabilities, where the model gives nothing else. An exact 0 is taken as
            half the smallest positive probability seen, with a warning that says how many there are.
        class_names : sequence of str, optional
            One name per class, in the order of the columns. By default the names of a frame's columns
            (without ``logit_``), else those of text labels, sorted, else ``"0"``, ``"1"``, ...
        rule_rows : boolean array (rows,), optional
            For those who have split already: True where a row is the rule's, False where it is the
            calibration's. By default a random half, drawn with `random_state`.
        groups : array of str or int (rows,), optional
            For a rule that asks for them, ``PredictionSets(groups="rows")``: the group of each row.
        sample_weight : array (rows,), optional
            How often each row counts, in calibration, rule and record; a row of weight 0 is left out. What
            the rule promises of weighted rows, it says. `audit` then wants the weights of its rows too.
        random_state : int or numpy.random.Generator, default 0
            Seed of the split, and recorded. A generator gives the seed.

        Returns
        -------
        Policy
            Itself.

        Raises
        ------
        InvalidInputError
            For logits that are not finite, labels out of range, names that are not one a class or not those
            of a frame's columns. The policy is then as it was.
        """
        seed = check_random_state(random_state)
        with draft_of(self) as draft:
            draft._fit(logits, probabilities, labels, class_names, rule_rows, groups, sample_weight, seed)
        return self

    def fit_large(
        self, rows: LargeRows, *, class_names: Sequence[str], probability_floor: float | None, seed: int
    ) -> Self:
        """Fit on more rows than memory holds: see `softmaxlib.files.fit`.

        Parameters
        ----------
        rows : LargeRows
            As logits.
        class_names : sequence of str
            One per class.
        probability_floor : float or None
            What an exact probability of 0 was taken as; None where the rows came as logits.
        seed : int
            Of the folds that figures are measured in.
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
    def transform(self, logits: Array, *, probabilities: bool = False) -> FloatArray:
        """Return calibrated logits (rows, classes).

        Parameters
        ----------
        logits : array (rows, classes)
            A model's logits, or probabilities when `probabilities` is true.
        probabilities : bool, default False
            Whether `logits` holds probabilities: as at the fit.

        Returns
        -------
        array (rows, classes)
            Of the kind, and on the device, of `logits`; NumPy's for a frame.
        """
        return in_kind_of(logits, self._calibrated(logits, probabilities))

    def _calibrated(self, logits: Array, probabilities: bool) -> FloatArray:
        values = self._values(logits, probabilities)
        with known_logits():
            return self.calibration.transform(values)

    def _values(self, logits: Array, probabilities: bool) -> FloatArray:
        """Check logits of the policy's classes, which may be infinite or NaN."""
        self._check_fitted()
        check_kind(self._input, probabilities)
        check_columns(logits, self.class_names_, "that the policy was fitted on")
        values = self._as_logits(logits)
        if values.shape[1] != len(self.class_names_):
            raise InvalidInputError(
                f"{self._input} must have the {len(self.class_names_)} classes the policy was fitted on, "
                f"got shape {values.shape}; use the policy that was fitted for this model"
            )
        return values

    @checked_keywords
    def predict_proba(self, logits: Array, *, probabilities: bool = False) -> FloatArray:
        """Return calibrated probabilities (rows, classes): the softmax of :meth:`transform`."""
        return in_kind_of(logits, softmax(self._calibrated(logits, probabilities)))

    @checked_keywords
    def decide(
        self,
        logits: Array,
        *,
        probabilities: bool = False,
        groups: Array | None = None,
    ) -> Any:
        """Decide each row.

        Parameters
        ----------
        logits : array (rows, classes)
            A model's logits, or probabilities when `probabilities` is true: an array of any library, or a
            frame. Columns that are called after other classes than at the fit, or are in another order, are
            refused.
        probabilities : bool, default False
            Whether `logits` holds probabilities: as at the fit.
        groups : array of str or int (rows,), optional
            The group of each row, for a rule that asks for them.

        Returns
        -------
        Decision
            ``action``, ``confidence``, ``abstained``, ``labels`` (the names of the actions, None where the
            row is set aside) and, as far as the rule has them, ``expected_cost`` and ``sets``; arrays of the
            kind, and on the device, of what was given, NumPy's for a frame.
        """
        judgement = self.judge(logits, probabilities=probabilities, groups=groups)
        named = label_decision(judgement.decision, self.rule.name_actions(self.class_names_))
        return in_kind_of(logits, named)

    def decide_batches(
        self,
        record_batches: "Iterable[pyarrow.RecordBatch]",
        *,
        columns: str | Sequence[str] | None = None,
        groups: str | None = None,
    ) -> "Iterator[pyarrow.RecordBatch]":
        """Decide record batches of Arrow one by one: what Spark, Ray, Daft and DuckDB hand out.

        Parameters
        ----------
        record_batches : iterable of pyarrow.RecordBatch
            With a column for each class, called after it, in any order; or with one column of lists. A
            ``pyarrow.RecordBatchReader`` is one.
        columns : str or sequence of str, optional
            The columns that hold the logits (or probabilities, as the policy was fitted): names or patterns.
            By default ``logit_*``, or else a column of lists called ``logits``.
        groups : str, optional
            The column with the group of each row, for a rule that asks for them.

        Returns
        -------
        iterator of pyarrow.RecordBatch
            As many batches, of as many rows: ``predicted``, ``probability``, ``decision`` (null where the row
            is set aside), ``abstained``, what else the rule writes, and the columns that hold no logits.

        Raises
        ------
        InvalidInputError
            As `decide` does; rows are counted over all batches.

        Examples
        --------
        >>> import numpy as np, pyarrow as pa
        >>> from softmaxlib import Policy
        >>> from softmaxlib.calibration import Identity
        >>> from softmaxlib.decisions import MostLikely
        >>> logits, labels = np.array([[2.0, 0.5], [0.5, 2.0], [3.0, 0.5]]), [0, 1, 0]
        >>> policy = Policy(Identity(), MostLikely()).fit(logits, labels, class_names=["cat", "dog"])
        >>> batch = pa.record_batch({"logit_cat": [2.0, 0.0], "logit_dog": [0.0, 2.0], "id": [7, 8]})
        >>> decided = next(policy.decide_batches([batch]))
        >>> decided.column("decision").to_pylist(), decided.column("id").to_pylist()
        (['cat', 'dog'], [7, 8])
        """
        from .._tables.selection import Selection

        require("pyarrow", "Policy.decide_batches")
        from .decided_batches import decided_batches

        self._check_fitted()
        chosen = columns if columns is None or isinstance(columns, str) else tuple(columns)
        selection = Selection(self.input, chosen, groups=groups)
        self.rule.check_groups(groups)
        return decided_batches(self, record_batches, selection)

    @checked_keywords
    def judge(
        self,
        logits: Array,
        *,
        probabilities: bool = False,
        groups: Array | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008  (it can't be changed)
    ) -> Judgement:
        """Decide each row and give, as far as it is wanted, what the decision came from; NumPy's arrays."""
        values = self._values(logits, probabilities)
        every = np.ones(len(values), dtype=bool) if groups is not None else None
        of_rows = None if every is None else groups_of_rows(self.rule, groups, every)
        return judge_values(self.calibration, self.rule, values, of_rows, wanted)

    @checked_keywords
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
        """Test on new rows whether what held at the fit still holds.

        Parameters
        ----------
        logits : array (rows, classes)
            New rows: a model's logits, or probabilities when `probabilities` is true.
        labels : array (rows,)
            The true class of each: its number, or its name.
        probabilities : bool, default False
            Whether `logits` holds probabilities: as at the fit.
        groups : array of str or int (rows,), optional
            The group of each row, for a rule that asks for them.
        sample_weight : array (rows,), optional
            How often each row counts; for a policy that was fitted on weighted rows, weights of the same
            meaning.
        significance : float, default 0.05
            The chance of crying wolf, over all promises together (Holm's method).

        Returns
        -------
        Audit
            One :class:`PromiseCheck` a promise (calibration, log loss, share set aside, and the rule's own:
            risk, coverage, cost), and ``holds``.

        Notes
        -----
        Every test has an exact law or a simulated one, so that it holds for any number of rows, however rare
        the mistakes, and counts what chance did to the rows of the fit as well. Calibration: the change of
        accuracy minus confidence in bins of confidence, given how many rows of each bin were wrong then and
        now (Fisher's noncentral hypergeometric law). Log loss (no larger): a permutation test of the losses.
        Share set aside (no larger than at the fit): Fisher's exact test. Risk: binomial. Coverage:
        beta-binomial, the exact law of a split-conformal threshold; with groups in the one that fares worst,
        its p-value times the number of groups. Cost (no larger than expected): truths drawn from the
        probabilities, for these rows and for as many as the calibration was fitted on. What is drawn is drawn
        with a fixed seed: the same rows give the same p-values. ``benchmarks/audit_alarms.py`` measures how
        often each raises an alarm.

        A policy saved by an earlier version holds no losses: its log loss is compared by a z-test with the
        larger of the errors of the two samples apart and together.

        With weights every figure is weighted, and each test counts as many rows as there would be rows of
        equal weight that say as much: p (1 - p) / variance for a share p (Korn, Graubard), and (sum w)^2 /
        sum w^2 elsewhere (Kish). These tests are close to their level, not exact. The log loss of weighted
        rows is compared by the z-test. In the cost each row has one truth, drawn once, whatever its weight.

        Rows can be too few to tell: a cost wants 30, and the others as many as could reject a promise if all
        of them spoke against it. Such a promise is not rejected and not counted among the others, and
        ``untested`` names it.

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
        outcomes, calibrated = self._outcomes(logits, labels, probabilities, groups, sample_weight)
        predictions = Predictions.of_logits(calibrated, outcomes.labels, outcomes.sample_weight)
        return audit_rows(self.rule, self.record_, predictions, outcomes, significance)

    def audit_large(self, rows: AllRows, sample: HeldSample, *, significance: float = 0.05) -> Audit:
        """Test more rows than memory holds: see `softmaxlib.files.audit`.

        Parameters
        ----------
        rows : AllRows
            All rows, as logits.
        sample : HeldSample
            Some of them, drawn uniformly, as they were given; for promises that take rows.
        significance : float, default 0.05
            As of `audit`.
        """
        significance = check_share(significance, "significance", "0.05 is usual")
        self._check_fitted()
        edges = self.record_.reliability.edges
        sums = AuditSums.of(rows, self.calibration, self.rule, edges, self.class_names_)
        of_sample = None
        if not self.rule.promises_by_sums:
            values, labels, groups, weights = sample
            given = self.input == "probabilities"
            of_sample, _ = self._outcomes(values, labels, given, groups, weights)
        return audit_sums(self.rule, self.record_, sums, of_sample, significance)

    def _outcomes(
        self,
        logits: Array,
        labels: Array,
        probabilities: bool,
        groups: Array | None,
        sample_weight: Array | None,
    ) -> tuple[Outcomes, FloatArray]:
        """Return decided rows with what came true, and their calibrated logits."""
        judgement = self.judge(logits, probabilities=probabilities, groups=groups, wanted=WANTED)
        weights = check_sample_weight(sample_weight, len(judgement.decision.action))
        calibrated, believed, most_likely, decision = judgement
        assert calibrated is not None
        assert believed is not None
        assert most_likely is not None
        truth = check_labels(labels, *calibrated.shape, class_names=self.class_names_)
        outcomes = Outcomes(believed, decision, truth, most_likely, self.class_names_, groups, weights)
        return outcomes, calibrated

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted policy as JSON, whole or not at all."""
        text = self._as_text()
        with written_whole(path) as file:
            file.write(text.encode())

    @property
    def fingerprint(self) -> str:
        """Return what tells this policy from others: the SHA-256 of what `save` writes."""
        return hashlib.sha256(self._as_text().encode()).hexdigest()

    def _as_text(self) -> str:
        return _json.as_text(self.to_dict()) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return what `save` writes, as plain values that ``json.dump`` takes."""
        self._check_fitted()
        return {
            "class": _CLASS,
            "version": _json.VERSION,
            "class_names": list(self.class_names_),
            "probability_floor": self._floor,
            "calibration": self.calibration.to_dict(),
            "rule": self.rule.to_dict(),
            "record": self.record_.to_dict(),
        }

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        dtype: Literal["float32", "float64"] = "float32",
        groups: Literal["names", "numbers"] = "names",
    ) -> None:
        """Write the fitted policy as an ONNX model, whole or not at all, to be run without this library.

        Parameters
        ----------
        path : path
            The file to write, ``policy.onnx``.
        dtype : {"float32", "float64"}, default "float32"
            Of what the model takes: that of the network's logits.
        groups : {"names", "numbers"}, default "names"
            What the model takes for the group of a row, where the rule wants groups: its name as a text, or
            its place in the metadata's ``group_names``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ModuleNotFoundError
            Without onnx: install ``softmaxlib[onnx]``.
        UnsupportedTypeError
            For a calibration or a rule of one's own that does not define ``_export``.

        Notes
        -----
        The model takes any number of rows, none included. Its inputs:

        - ``logits`` or ``probabilities``, (rows, classes): what the policy was fitted on.
        - ``group``, (rows,): for ``PredictionSets(groups="rows")``.
        - ``uniform``, (rows,): for ``PredictionSets(randomized=True)``, a number drawn at random from
          [0, 1) for each row.

        Its outputs: ``calibrated_probabilities`` (rows, classes); ``most_likely``, the class's number;
        ``action``, ``abstained``, ``confidence`` and, as far as the rule has them, ``expected_cost`` and
        ``sets``, as in `Decision`. Its metadata: ``class_names``, ``action_names``, ``group_names`` and the
        policy's ``record`` as JSON, ``calibration`` and ``rule`` as texts.

        A model can't raise. Where `decide` would refuse a row (NaN, an infinite logit, probabilities that do
        not sum to 1), it sets the row aside: ``abstained`` is true, ``action`` and ``most_likely`` are -1,
        every number is NaN, and ``sets`` hold every class. In a row of a group that the fit did not see,
        nothing can be ruled out.

        The probabilities are those of `predict_proba` within rounding, and the decision is what the rule
        makes of them: it can differ from that of `decide` only in rows so close to the rule's boundary that
        the last digit of a probability decides. It needs opset 17, which ONNX Runtime has since 1.12.

        Examples
        --------
        >>> import onnxruntime  # doctest: +SKIP
        >>> policy.to_onnx("policy.onnx")  # doctest: +SKIP
        >>> session = onnxruntime.InferenceSession("policy.onnx")  # doctest: +SKIP
        >>> session.run(["action"], {"logits": logits})  # doctest: +SKIP
        """
        self._check_fitted()
        content = policy_as_onnx(self, dtype, groups)
        with written_whole(path) as file:
            file.write(content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a policy that :meth:`save` wrote.

        Raises
        ------
        FileFormatError
            For a missing or malformed file, another version, or anything that is no policy. Nothing in
            the file is ever run.
        """
        content = _json.read_json(path, "policy")
        try:
            return cls.from_dict(content)
        except InvalidInputError as error:
            raise FileFormatError(f"{path} is no sound policy: {error}") from None

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """Read back what `to_dict` gave; nothing in it is trusted."""
        _json.find_class(content, "policy", {_CLASS: cls})
        fields = ("class", "version", "class_names", "probability_floor", "calibration", "rule", "record")
        _json.check_fields(content, "policy", fields)
        policy = cls(Calibration.from_dict(content["calibration"]), Rule.from_dict(content["rule"]))
        policy.record_ = FitRecord.from_dict(content["record"])
        names = content["class_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise FileFormatError(f"class_names must be a list of texts; {_json.ADVICE}")
        policy.class_names_ = check_class_names(names, policy.calibration.class_count_)
        policy.rule.check_classes(len(names))
        policy._input = policy.record_.input
        policy._floor = None
        if policy._input == "probabilities":
            policy._floor = _json.decode_number(
                content["probability_floor"], "probability_floor", lower=np.nextafter(0, 1), upper=0.5
            )
        return policy

    @property
    def input(self) -> Literal["logits", "probabilities"]:
        """Return what the policy was fitted on and decides: ``"logits"`` or ``"probabilities"``."""
        self._check_fitted()
        return self._input

    @property
    def floor(self) -> float | None:
        """Return what an exact probability of 0 is taken as; None for a policy that was fitted on logits."""
        self._check_fitted()
        return self._floor

    def _check_fitted(self) -> None:
        if not hasattr(self, "record_"):
            raise NotFittedError("this Policy is not fitted; call fit(logits, labels), or Policy.load(path)")

    def _as_logits(self, given: Array) -> FloatArray:
        if self._floor is not None:
            return logits_of(given, self._floor)
        values = check_rows(given)
        warn_of_probabilities(
            values, "pass probabilities=True with them, to fit as well (command line: --probabilities)"
        )
        return values

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
