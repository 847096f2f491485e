"""The record of a fit: time, data and figures."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, cast

import numpy as np

from .. import _json
from .._arrays import FloatArray, IntArray
from .._clock import time_now
from .._renamed import with_new_names
from .._text import printable
from .._version import __version__
from ..errors import FileFormatError
from ..metrics.predictions import Predictions
from .figures import Figures, LossCounts, Reliability, Weights

PARTS = ("calibration", "rule", "figures")


@dataclass(frozen=True)
class FitRecord:
    """The time, data and figures of the fit of a policy.

    Attributes
    ----------
    fitted_at : str
        Time of the fit, ISO 8601 in UTC.
    input : str
        ``"logits"`` or ``"probabilities"``.
    rows, calibration_rows, rule_rows : int
        Number of all rows, of those of the calibration, and of those of the rule.
    split : str
        ``"random"``, ``"given"`` by the user, or ``"none"`` if the rule needs no fitting.
    random_state : int
        Seed of the split and of the folds.
    versions : mapping
        Versions of softmaxlib, Python and NumPy.
    before, after : Figures
        Figures without and with calibration, on rows that the calibration was not fitted on: those of the
        rule, or three folds (of at most 50,000 rows in all), each judged by a calibration fitted on the other
        two.
    reliability : Reliability
        Reliability on the same rows, after calibration.
    abstained : float
        Share of the rows of the rule (of all rows if the rule needs no fitting) that were set aside.
    losses : LossCounts or None
        Losses on the rows of `after`, or None if the policy was fitted with weights or saved by an earlier
        version.
    effective_rows : float or None
        Effective number of the weighted rows, or None without weights.
    sampled_from : int or None
        Number of rows from which a uniform sample was drawn for a part of the fit, or None if all rows were
        used.
    sampled : tuple of str
        The parts that used the sample: ``"calibration"``, ``"rule"``, ``"figures"``. The others used all
        rows.
    """

    fitted_at: str
    input: Literal["logits", "probabilities"]
    rows: int
    calibration_rows: int
    rule_rows: int
    split: str
    random_state: int
    versions: Mapping[str, str]
    before: Figures
    after: Figures
    reliability: Reliability
    abstained: float
    losses: LossCounts | None = None
    effective_rows: float | None = None
    sampled_from: int | None = None
    sampled: tuple[str, ...] = ()

    @property
    def judged_rows(self) -> int:
        """The number of rows that the share `abstained` refers to."""
        return self.calibration_rows if self.split == "none" else self.rule_rows

    def count(self, rows: int) -> int:
        """Return the number of these rows that counts as evidence, which is smaller with weights."""
        return rows if self.effective_rows is None else max(1, int(rows * self.effective_rows / self.rows))

    @classmethod
    def of(
        cls,
        before: FloatArray,
        after: FloatArray,
        labels: IntArray,
        weights: Weights | None = None,
        **fit: Any,
    ) -> Self:
        """Create the record of a fit, with figures of logits (rows, classes) before and after."""
        return cls(
            fitted_at=time_now(), versions=versions(), **cls.figures_of(before, after, labels, weights), **fit
        )

    @staticmethod
    def figures_of(
        before: FloatArray, after: FloatArray, labels: IntArray, weights: Weights | None
    ) -> dict[str, Any]:
        """Return the figures of logits (rows, classes) before and after calibration."""
        calibrated = Predictions.of_logits(after, labels, weights)
        return {
            "before": Figures.of(Predictions.of_logits(before, labels, weights)),
            "after": Figures.of(calibrated),
            "reliability": Reliability.of(calibrated),
            "losses": LossCounts.of(calibrated) if weights is None else None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for ``json.dump``."""
        return {
            **vars(self),
            "versions": dict(self.versions),
            "sampled": list(self.sampled),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "reliability": self.reliability.to_dict(),
            "losses": None if self.losses is None else self.losses.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Any, place: str = "record") -> Self:
        """Create a record from the result of :meth:`to_dict`. The content is untrusted, and checked."""
        if isinstance(value, dict):
            named = with_new_names(value, [field.name for field in fields(cls)])
            absent = dict.fromkeys(("losses", "effective_rows", "sampled_from"))  # in earlier versions
            of_sample = PARTS if named.get("sampled_from") is not None else ()
            value = {**absent, "sampled": list(of_sample), **named}
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        losses, effective_rows = content["losses"], content["effective_rows"]
        counts = {
            name: _json.decode_integer(content[name], f"{place}.{name}", lower=0)
            for name in ("rows", "calibration_rows", "rule_rows", "random_state")
        }
        return cls(
            fitted_at=_text(content["fitted_at"], f"{place}.fitted_at"),
            input=cast(
                Literal["logits", "probabilities"],
                _json.decode_choice(content["input"], f"{place}.input", ("logits", "probabilities")),
            ),
            split=_json.decode_choice(content["split"], f"{place}.split", ("random", "given", "none")),
            versions=_texts(content["versions"], f"{place}.versions"),
            before=Figures.from_dict(content["before"], f"{place}.before"),
            after=Figures.from_dict(content["after"], f"{place}.after"),
            reliability=Reliability.from_dict(content["reliability"], f"{place}.reliability"),
            abstained=_json.decode_number(content["abstained"], f"{place}.abstained", lower=0, upper=1),
            losses=None if losses is None else LossCounts.from_dict(losses, f"{place}.losses"),
            effective_rows=None
            if effective_rows is None
            else _json.decode_number(
                effective_rows,
                f"{place}.effective_rows",
                lower=0,
                upper=counts["rows"] * (1 + 2.0**-30),  # as many, but for rounding
            ),
            sampled_from=None
            if content["sampled_from"] is None
            else _json.decode_integer(content["sampled_from"], f"{place}.sampled_from", lower=1),
            sampled=_parts(content["sampled"], f"{place}.sampled"),
            **counts,
        )


def versions() -> dict[str, str]:
    """Return the versions of softmaxlib, Python and NumPy."""
    return {"softmaxlib": __version__, "python": platform.python_version(), "numpy": np.__version__}


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise FileFormatError(f"{place} must be a text of at most 1000 letters; {_json.ADVICE}")
    return value


def _parts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > len(PARTS):
        raise FileFormatError(f"{place} must be a list of {', '.join(PARTS)}; {_json.ADVICE}")
    return tuple(_json.decode_choice(part, place, PARTS) for part in value)


def _texts(value: Any, place: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise FileFormatError(f"{place} must be a JSON object; {_json.ADVICE}")
    return {_text(key, place): _text(text, f"{place}.{printable(key)}") for key, text in value.items()}
