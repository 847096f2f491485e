"""An audit of rows that come in batches, from many files, processes or machines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import _json
from .._arrays import Array, as_numpy
from .._checks import check_batch_weight, check_share
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..decisions import Promise
from ..decisions._promise_cells import PromiseCells
from ..errors import FileFormatError, InvalidInputError, UnsupportedTypeError
from ..metrics import Tally
from ..metrics._decided_rows import DecidedRows
from ..metrics._exact_sums import ExactSums
from ..metrics.predictions import Predictions
from ..metrics.shares import ShareSums
from ..metrics.simulation import draws_for
from ..metrics.tally_result import TallyResult
from .audit import Audit, Seen, audit_seen
from .figure_sums import ReliabilitySums
from .figures import Figures, LossCounts

if TYPE_CHECKING:
    from .policy import Policy

_OF_BINS, _OF_LOSSES, _OF_ASIDE, _OF_PROMISES = "bins", "losses", "aside", "promises"
_PROMISE_SUMS = 3  # of a cell: rows, weight, square


class AuditTally:
    """Count new rows for an audit of all promises of a policy; parts are counted anywhere, and merged.

    Parameters
    ----------
    policy : Policy
        Fitted. `Policy.tally` makes such a tally.

    Notes
    -----
    Sums are exact, as those of `metrics.Tally`. So the audit, and the JSON of the tally, are the same bits
    for any order of the rows, any size of the batches and any order of merging. The audit is that of
    `Policy.audit` of all rows, with these differences:

    - The cost of `MinimumCost` is tested by the mean surplus of what was paid over what was expected, as by
      `metrics.TallyDecisions.cost_p_value`. `Policy.audit` draws the true class of each row.
    - Weights that are all 1 are no weights.

    A rule of one's own whose promises need the rows is refused: use `Policy.audit`, or
    `softmaxlib.files.audit`, which draws a sample for it.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import Policy
    >>> from softmaxlib.calibration import TemperatureScaling
    >>> from softmaxlib.decisions import SelectiveRisk
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(3, size=3000)
    >>> logits = 3 * np.eye(3)[labels] + 2 * rng.normal(size=(3000, 3))
    >>> policy = Policy(TemperatureScaling(), SelectiveRisk(0.1)).fit(logits[:2000], labels[:2000])
    >>> one = policy.tally().update(logits[2000:2400], labels[2000:2400])
    >>> other = policy.tally().update(logits[2400:], labels[2400:])
    >>> audit = one.merge(other).compute()
    >>> audit.holds, [check.promise for check in audit.checks]
    (True, ['calibration', 'log loss', 'share set aside', 'risk'])
    """

    def __init__(self, policy: "Policy") -> None:
        self._policy = policy
        self._fingerprint = policy.fingerprint
        self._edges = policy.record_.reliability.edges
        self._tally = Tally(len(policy.class_names_), mistakes=0, class_names=policy.class_names_)
        self._sums = {name: ExactSums() for name in self._sizes()}

    def __repr__(self) -> str:
        return f"AuditTally(rows={self.rows:,})"

    @property
    def rows(self) -> int:
        """Number of rows with a weight above 0."""
        return self._tally.rows

    @checked_keywords
    @underflow_is_zero
    def update(
        self,
        logits: Array,
        labels: Array,
        sample_weight: Array | None = None,
        groups: Array | None = None,
    ) -> Self:
        """Add rows: as `Policy.audit` takes them. A batch may be without rows, or without a row that counts.

        Weights are 0, or 1e-100 to 1e100.

        Raises
        ------
        InvalidInputError
            For what breaks a rule of `Policy.audit`. The tally is then as it was.
        """
        count = len(as_numpy(logits, "logits"))
        if not count:
            return self
        checked = check_batch_weight(sample_weight, count)
        counts = checked is None or bool(checked.any())
        policy = self._policy
        given = policy.input == "probabilities"
        outcomes, calibrated = policy.outcomes_of(logits, labels, given, groups, checked if counts else None)
        if not counts:
            return self
        weights, decision = outcomes.sample_weight, outcomes.decision
        rows = Predictions.of_logits(calibrated, outcomes.labels, weights)
        cells = policy.rule.promise_cells(outcomes)
        costs = policy.rule.mean_costs(outcomes)
        paid = None if costs is None else costs.of_rows
        made = DecidedRows.check(decision, paid, None, *calibrated.shape)
        aside = decision.abstained
        if weights is not None and not weights.all():
            some = weights > 0
            rows, made, cells, aside = rows.part(some), made.part(some), cells[some], aside[some]
        self._tally.add(rows, made)
        self._add(rows, cells, aside)
        return self

    def _add(self, rows: Predictions, cells: Any, aside: Any) -> None:
        """Add rows of positive weights."""
        weights, sizes = rows.sample_weight, self._sizes()
        bins, terms = ReliabilitySums.terms(rows, self._edges)
        for number, one in enumerate(terms):
            self._sums[_OF_BINS].add(number * (self._edges.size + 1) + bins, one)
        self._sums[_OF_LOSSES].add_counts(LossCounts.of(rows).dense().astype(np.int64))
        squares = None if weights is None else np.square(weights)
        every = np.ones_like(aside)
        for number, one in enumerate((weights, squares, None)):
            self._sums[_OF_ASIDE].add_some(2 * number, one, every)
            self._sums[_OF_ASIDE].add_some(2 * number + 1, one, aside)
        counts = cells >= 0
        for number, one in enumerate((None, weights, squares)):
            keys = _PROMISE_SUMS * cells + number
            self._sums[_OF_PROMISES].weigh(keys, sizes[_OF_PROMISES], one, counts)

    def merge(self, other: "AuditTally") -> Self:
        """Add the rows that another tally of the same policy has seen.

        Raises
        ------
        InvalidInputError
            For a tally of another policy. The tally is then as it was.
        UnsupportedTypeError
            For what is no tally of a policy.
        """
        if not isinstance(other, AuditTally):
            raise UnsupportedTypeError(
                f"merge takes another AuditTally, got {type(other).__name__}; read what to_dict returned "
                "with AuditTally.from_dict"
            )
        if other._fingerprint != self._fingerprint:
            raise InvalidInputError(
                "tallies that are merged must be of the same policy, got the fingerprints "
                f"{self._fingerprint} and {other._fingerprint}; audit the rows of each policy apart, or "
                "tally all with one policy"
            )
        self._tally.merge(other._tally)
        for name, sums in other._sums.items():
            self._sums[name].merge(sums)
        return self

    def figures(self) -> TallyResult:
        """Judge the calibrated rows so far, and what was decided, as `metrics.Tally` does."""
        return self._tally.compute()

    @underflow_is_zero
    def compute(self, *, significance: float = 0.05) -> Audit:
        """Test all promises on the rows so far.

        Parameters
        ----------
        significance : float, default 0.05
            As in `Policy.audit`.

        Raises
        ------
        InvalidInputError
            Before any row with a weight above 0, and for a rule whose promises need the rows.
        """
        significance = check_share(significance, "significance", "0.05 is usual")
        result, policy = self.figures(), self._policy
        is_weighted = result.heaviest != 1 or result.weight != result.rows
        bins = self._edges.size + 1
        of_bins = ReliabilitySums(self._sums[_OF_BINS].array(6 * bins).reshape(6, bins))
        total, hits, square, hit_square, rows, hit_rows = self._sums[_OF_ASIDE].array(6)
        losses = self._sums[_OF_LOSSES].array(LossCounts.CELLS)
        seen = Seen(
            Figures.of_tally(result),
            result.effective_rows,
            of_bins.reliability(self._edges, is_weighted),
            None if is_weighted else LossCounts.from_dense(losses),
            ShareSums(total, hits, square, hit_square, rows, hit_rows).share(is_weighted),
        )
        promises = self._promises(result, is_weighted, draws_for(significance))
        return audit_seen(policy.record_, seen, promises, significance)

    def _promises(self, result: TallyResult, is_weighted: bool, draws: int) -> tuple[Promise, ...]:
        policy = self._policy
        if policy.rule.promises_by_sums:
            sums = policy.rule.sums_of_cells(self._cells())
            return policy.rule.promises_of_sums(sums, is_weighted, policy.class_names_, draws)
        calibration_rows = policy.record_.count(policy.record_.calibration_rows)
        found = None
        if result.decisions is not None:
            found = policy.rule.promises_of_costs(result.decisions, calibration_rows)
        if found is None:
            raise InvalidInputError(
                f"the promises of {type(policy.rule).__name__} must be tested on the rows themselves; use "
                "Policy.audit, or softmaxlib.files.audit for files"
            )
        return found

    def _cells(self) -> PromiseCells:
        sums = self._sums[_OF_PROMISES]
        known = np.unique(np.array(sums.known_keys(), dtype=np.int64) // _PROMISE_SUMS)
        rows, weight, square = (
            sums.array((_PROMISE_SUMS * known + number).tolist()) for number in range(_PROMISE_SUMS)
        )
        return PromiseCells(known, weight, square, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all that is known, as values that ``json.dump`` takes; every bit is kept."""
        return {
            "class": "AuditTally",
            "version": 1,
            "policy": self._fingerprint,
            "tally": self._tally.to_dict(),
            "sums": {name: sums.to_dict() for name, sums in self._sums.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], policy: "Policy") -> Self:
        """Make the tally that `to_dict` described, of this policy; nothing in `content` is trusted.

        Raises
        ------
        FileFormatError
            For anything else, and for a tally of another policy.
        """
        place = "tally"
        found = _json.check_fields(content, place, ("class", "version", "policy", "tally", "sums"))
        if found["class"] != "AuditTally" or found["version"] != 1:
            raise FileFormatError(f"{place} must be an AuditTally of version 1; {_json.ADVICE}")
        made = cls(policy)
        if found["policy"] != made._fingerprint:
            raise FileFormatError(
                f"{place}.policy must be the fingerprint of the policy, {made._fingerprint}, got "
                f"{found['policy']!r}; pass the policy that the rows were tallied for"
            )
        tally = Tally.from_dict(found["tally"])
        try:
            made._tally.merge(tally)
        except InvalidInputError as error:
            raise FileFormatError(f"{place}.tally must be of the policy's classes: {error}") from None
        sums = _json.check_fields(found["sums"], f"{place}.sums", made._sums)
        made._sums = {
            name: ExactSums.from_dict(sums[name], f"{place}.sums.{name}", size)
            for name, size in made._sizes().items()
        }
        return made

    def _sizes(self) -> dict[str, int]:
        """Return the number of keys of each kind of sum."""
        return {
            _OF_BINS: 6 * (self._edges.size + 1),
            _OF_LOSSES: LossCounts.CELLS,
            _OF_ASIDE: 6,
            _OF_PROMISES: _PROMISE_SUMS * self._policy.rule.promise_cell_count,
        }
