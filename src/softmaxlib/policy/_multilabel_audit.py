"""The promises of the policies of all labels, tested together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .._arrays import FloatArray
from .._checks import LabelTable
from ..metrics.holm import holm_adjusted
from .audit import Audit
from .policy import Policy
from .record import Weights


@dataclass(frozen=True)
class MultilabelAudit:
    """The outcome of :meth:`softmaxlib.MultilabelPolicy.audit`.

    Attributes
    ----------
    rows : int
        Number of new rows.
    significance : float
        Family-wise false-alarm rate, over the promises of all labels.
    audits : dict of str to Audit
        The promises of each label, on its known rows. Labels without known rows are left out.
    """

    rows: int
    significance: float
    audits: Mapping[str, Audit]

    @property
    def holds(self) -> bool:
        """True if no promise of any label is rejected."""
        return all(audit.holds for audit in self.audits.values())

    @property
    def broken(self) -> tuple[str, ...]:
        """The labels with a promise that is rejected."""
        return tuple(name for name, audit in self.audits.items() if not audit.holds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``json.dump``."""
        audits = {name: audit.to_dict() for name, audit in self.audits.items()}
        return asdict(replace(self, audits={})) | {"audits": audits, "holds": self.holds}


def audit_labels(
    policies: Mapping[str, Policy],
    values: FloatArray,
    table: LabelTable,
    weights: Weights | None,
    significance: float,
) -> MultilabelAudit:
    """Test the promises of each label on its known rows. All p-values are adjusted together."""
    audits: dict[str, Audit] = {}
    for column, (name, policy) in enumerate(policies.items()):
        known = table.known[:, column]
        of_known = None if weights is None else weights[known]
        if not (known.any() if of_known is None else of_known.any()):
            continue
        audits[name] = policy.audit(
            values[known, column],
            table.truth[known, column].astype(np.int64),
            probabilities=policy.input == "probabilities",
            sample_weight=of_known,
            # a test must be able to reject after adjustment for all tests
            significance=significance / len(policies),
        )
    checks = [check for audit in audits.values() for check in audit.checks]
    p_values = [check.p_value for check in checks if check.testable]
    rejected = iter((holm_adjusted(p_values) <= significance).tolist())
    judged = {
        name: Audit(
            audit.rows,
            significance,
            tuple(replace(check, holds=not (check.testable and next(rejected))) for check in audit.checks),
        )
        for name, audit in audits.items()
    }
    return MultilabelAudit(len(values), significance, judged)
