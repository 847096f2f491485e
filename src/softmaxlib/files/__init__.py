"""Evaluate, decide, fit and audit on rows in files, on one machine or on many.

>>> from softmaxlib import files
>>> policy = files.fit(
...     "validation/", "truth", TemperatureScaling(), MostLikely()
... )  # doctest: +SKIP
>>> files.decide("rows/", policy, "decisions/", executor=executor)  # doctest: +SKIP
"""

from .._extras import require as _require

_require("pyarrow", "softmaxlib.files")

from .audit import audit
from .csv_format import CsvFormat
from .decide import decide
from .deciding import Counts
from .evaluate import evaluate
from .fit import fit
from .renormalized import Renormalized

__all__ = ["Counts", "CsvFormat", "Renormalized", "audit", "decide", "evaluate", "fit"]
