"""Passes over all rows that a sample was drawn from, and audits by them."""

from concurrent.futures import Executor
from dataclasses import replace

from ..policy import Audit, Policy
from ..policy.audit_sums import AuditSums
from ..policy.large_fit import HeldSample
from .logit_table import Reading
from .passes import BLOCKS_OF_SUMS, Passes
from .reading import Progress
from .sample import Rows
from .views import Logits


def passes_over(
    sample: Rows, reading: Reading, view: Logits, executor: Executor | None, progress: Progress | None
) -> Passes:
    """Return passes over all rows that a sample was drawn from."""
    return Passes(
        sample.parts,
        sample.counts,
        reading,
        sample.values.dtype,
        view,
        classes=sample.values.shape[1],
        is_weighted=sample.weights is not None,
        executor=executor,
        progress=progress,
    )


def audit_by_passes(
    policy: Policy,
    sample: Rows,
    reading: Reading,
    significance: float,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Audit all rows that a sample was drawn from; the sample, if a promise needs the rows themselves."""
    passes = passes_over(sample, reading, Logits(policy.floor), executor, progress)
    passes = replace(passes, blocks_at_once=BLOCKS_OF_SUMS)
    edges = policy.record_.reliability.edges
    sums = AuditSums.of(passes, policy.calibration, policy.rule, edges, policy.class_names_)
    return audit_of_sums(policy, sums, sample, significance)


def audit_of_sums(policy: Policy, sums: AuditSums, sample: Rows, significance: float) -> Audit:
    """Audit by sums over all rows that a sample was drawn from."""
    groups = sample.groups if policy.rule.takes_groups else None
    held = HeldSample(sample.values, sample.labels, groups, sample.weights)
    return policy.audit_large(sums, held, significance=significance)
