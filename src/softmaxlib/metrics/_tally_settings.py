"""The settings of a tally. Tallies that are merged must have the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

from .. import _json
from .._checks import check_flag, check_integer, check_real
from ..errors import FileFormatError, InvalidInputError
from ._bins import check_bins
from ._tally_grids import MOST_CLASSES as MOST_TESTED_CLASSES
from ._tally_groups import sizes_of_group_sums
from ._tally_smooth import SMOOTH_SUMS
from ._tally_stops import sizes_of_stop_sums
from ._tally_sums import OF_SMOOTH, sizes_of_sums
from ._tally_tests import sizes_of_test_sums
from .operating_points import Stops
from .tally_decisions import sizes_of_decision_sums

_MOST_CLASSES = 1 << 24
_MOST_MISTAKES = 10_000


@dataclass(frozen=True)
class TallySettings:
    """The parameters of a `Tally`, checked."""

    classes: int
    n_bins: int
    probabilities: bool
    tests: bool
    smooth: bool
    mistakes: int
    least_confidence: float | None
    threshold: float | None

    @classmethod
    def check(
        cls,
        classes: int,
        n_bins: int,
        probabilities: bool,
        tests: bool,
        smooth: bool,
        mistakes: int,
        least_confidence: float | None,
        threshold: float | None,
    ) -> Self:
        """Refuse what breaks a rule."""
        classes = check_integer(classes, "classes", lower=2, upper=_MOST_CLASSES)
        if check_flag(tests, "tests") and classes > MOST_TESTED_CLASSES:
            raise InvalidInputError(
                f"tests=True is for at most {MOST_TESTED_CLASSES:,} classes, got {classes:,}; leave it out"
            )
        if threshold is not None and classes != 2:
            raise InvalidInputError(
                f"threshold is on the second of two classes, and there are {classes}; leave it out"
            )
        return cls(
            classes,
            check_bins(n_bins, "equal_width"),
            check_flag(probabilities, "probabilities"),
            bool(tests),
            check_flag(smooth, "smooth"),
            check_integer(mistakes, "mistakes", lower=0, upper=_MOST_MISTAKES),
            _checked_stop(least_confidence, "least_confidence"),
            _checked_stop(threshold, "threshold"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], place: str) -> Self:
        """Read back what `to_dict` wrote, from among other fields; nothing in it is trusted."""
        probabilities, tests, smooth = (
            _json.decode_boolean(found[name], f"{place}.{name}")
            for name in ("probabilities", "tests", "smooth")
        )
        most = MOST_TESTED_CLASSES if tests else _MOST_CLASSES
        classes = _json.decode_integer(found["classes"], f"{place}.classes", lower=2, upper=most)
        n_bins = _json.decode_integer(found["n_bins"], f"{place}.n_bins", lower=1, upper=1000)
        mistakes = _json.decode_integer(found["mistakes"], f"{place}.mistakes", lower=0, upper=_MOST_MISTAKES)
        least_confidence, threshold = (
            None
            if found[name] is None
            else _json.decode_number(found[name], f"{place}.{name}", lower=0, upper=1)
            for name in ("least_confidence", "threshold")
        )
        if threshold is not None and classes != 2:
            raise FileFormatError(f"{place}.threshold must be null for {classes} classes; {_json.ADVICE}")
        return cls(classes, n_bins, probabilities, tests, smooth, mistakes, least_confidence, threshold)

    def differences(self, other: "TallySettings") -> list[str]:
        """Return the settings that another tally has otherwise, with both values."""
        own, others = self.to_dict(), other.to_dict()
        return [f"{name}={own[name]} and {name}={others[name]}" for name in own if own[name] != others[name]]

    @property
    def of_groups(self) -> Self:
        """The settings of the tallies of groups."""
        return replace(self, mistakes=0, least_confidence=None, threshold=None)

    @cached_property
    def stops(self) -> Stops:
        """The thresholds at which rows are counted."""
        return Stops.of(self.classes, self.least_confidence, self.threshold)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of keys of each kind of sum."""
        sizes = sizes_of_sums(self.classes, self.n_bins) | sizes_of_decision_sums(self.classes)
        sizes |= sizes_of_group_sums() | sizes_of_stop_sums(self.stops)
        if self.smooth:
            sizes[OF_SMOOTH] = SMOOTH_SUMS
        return sizes | sizes_of_test_sums(self.classes) if self.tests else sizes


def _checked_stop(value: float | None, name: str) -> float | None:
    if value is None:
        return None
    number = check_real(value, name)
    if not 0 <= number <= 1:
        raise InvalidInputError(f"{name} must be a probability, from 0 to 1, got {value}")
    return number
