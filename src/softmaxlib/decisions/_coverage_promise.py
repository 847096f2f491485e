"""Whether prediction sets hold the true class as often as promised, by the exact law."""

from collections.abc import Sequence

from .conformal_threshold import threshold_rank
from .outcomes import GroupCoverage, Promise


def coverage_promise(alpha: float, coverage: Sequence[GroupCoverage]) -> Promise:
    """Test coverage in the group that fares worst, its p-value times the number of groups (Bonferroni)."""
    tests = [_coverage_test(alpha, group) for group in coverage]
    worst, (p_value, _) = min(zip(coverage, tests, strict=True), key=lambda pair: pair[1][0])
    observed = worst.covered / worst.rows
    of_sets = f"{observed:.2%} of the sets hold the true class, and {1 - alpha:.2%} are promised"
    return Promise(
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
