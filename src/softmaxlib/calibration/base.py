"""The base class of calibrations: checks, probabilities and JSON."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import _checks
from .._all_rows import AllRows
from .._checks.weights import describe_few_counted
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._graph import Tensor, check_own_export
from .._judging import Correction
from .._renamed import checked_keywords
from .._stored import Field, Integer, Stored
from .._underflow import underflow_is_zero
from .._warn import warn_user
from ..activations import softmax
from ..errors import InvalidInputError, NotFittedError
from .degenerate import Weights, bounded_weights, warn_of_degenerate_rows
from .fit_rows import FitRows, SummedRows

Array = Any

_ADVICE = "a calibration takes logits: pass their logarithms, or use a Policy with probabilities=True"
_CLASS_COUNT = Integer(lower=2)


class Calibration(Stored):
    """Base class of calibrations: maps from logits to calibrated logits, fitted on held-out rows.

    To write a calibration, derive from this class, declare its state, and define `_fit` and `_transform`.
    Define `_export` if it should be exported to ONNX. Checks, probabilities and JSON come from this class.

    Attributes
    ----------
    command_name : str
        Name on the command line. Empty if it is not offered there.
    class_count_ : int
        Number of classes of the logits in `fit`.
    """

    _kind = "calibration"
    _learns: ClassVar[bool] = True
    _learns_of_each_class: ClassVar[bool] = True

    class_count_: int

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._settings)
        return f"{type(self).__name__}({settings})"

    @property
    def chosen(self) -> "Calibration":
        """The calibration that `fit` chose, or this one if there was no choice."""
        return self

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "_transform" in vars(cls) and "correction" not in vars(cls):
            cls.correction = Calibration.correction  # the one of the base class would be wrong
        if "_fit" in vars(cls) and "_fit_rows" not in vars(cls):
            cls._fit_rows = Calibration._fit_rows  # the one of the base class learns differently

    def correction(self) -> Correction | None:
        """Return the correction for the compiled pass, or None if the pass does not support it."""
        return None

    @checked_keywords
    @underflow_is_zero
    def fit(self, logits: Array, labels: Array, sample_weight: Array | None = None) -> Self:
        """Fit on held-out rows, on which the network was not trained.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits.
        labels : array_like of int or str, shape (rows,)
            The true class of each row: its number, or its name where the columns of `logits` have names.
        sample_weight : array, shape (rows,), optional
            How often each row counts: a weight of 2 is the same as the row twice. So the scale matters to
            most calibrations, which learn less from fewer rows; not to `TemperatureScaling`.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            If a shape, label or weight is invalid, or a logit is not finite.
        UnsupportedTypeError
            If logits are not real numbers, or labels are neither class numbers, names nor booleans.

        Warns
        -----
        SoftmaxlibWarning
            If the rows are too few or unsuitable for a reliable fit: all of one class, all equal, fewer than
            the classes, or one row whose logits contradict its label far more than usual. Or if the scale of
            the weights matters, and they sum to less than a quarter of the number of rows.

        Notes
        -----
        If a fit fails, the calibration does not change.
        """
        names = _checks.classes_of_columns(logits)
        _checks.warn_of_row_order(logits, labels=labels, sample_weight=sample_weight)
        logits = _checks.check_logits(logits)
        labels = _checks.check_labels(labels, *logits.shape, class_names=names)
        weights = _checks.check_sample_weight(sample_weight, logits.shape[0])
        if weights is None:
            weights = np.ones(logits.shape[0])
        else:
            self._warn_of_few_counted(float(weights.sum()), int(np.count_nonzero(weights)))
            weights = bounded_weights(weights)
            if not weights.all():
                counts = weights > 0
                logits, labels, weights = logits[counts], labels[counts], weights[counts]
        _checks.warn_of_probabilities(logits, _ADVICE)
        if self._learns:
            warn_of_degenerate_rows(type(self).__name__, logits, labels, self._learns_of_each_class)
        return self._fit_checked(logits, labels, weights)

    @property
    def learns_by_sums(self) -> bool:
        """Tell whether the calibration can be fitted by `fit_all`, on more rows than memory holds."""
        return type(self)._fit_rows is not Calibration._fit_rows

    @underflow_is_zero
    def fit_all(self, rows: AllRows) -> Self:
        """Fit on rows in passes. The result is that of `fit`, except for the rounding of sums.

        Parameters
        ----------
        rows : AllRows
            Rows of logits.
        """
        summed = SummedRows(rows)
        self._warn_of_few_counted(summed.total_weight, summed.count)
        with draft_of(self) as draft, _checks.known_logits():
            draft._fit_rows(summed)
            draft.class_count_ = rows.classes
        return self

    def _warn_of_few_counted(self, total: float, rows: int) -> None:
        """Warn if weights with this sum count far fewer rows than there are, and their number matters."""
        if not (self._learns and self._learns_of_each_class):
            return
        message = describe_few_counted(total, rows, f"{type(self).__name__}.fit")
        if message is not None:
            warn_user(message)

    def _fit_rows(self, rows: FitRows) -> None:
        """Fit as `_fit`, for a calibration that needs only sums over the rows."""
        raise NotImplementedError

    def _fit_checked(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> Self:
        """Fit on checked rows. If this fails, the earlier fit stays."""
        with draft_of(self) as draft, _checks.known_logits():
            draft._fit(logits, labels, weights)
            draft.class_count_ = logits.shape[1]
        return self

    def transform(self, logits: Array) -> npt.NDArray[Any]:
        """Return calibrated logits.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits, with as many classes as in `fit`.

        Returns
        -------
        array, shape (rows, classes)
            Finite logits, with the array type and device of `logits` (NumPy for a table). They are float32
            for float32 and half precision, and float64 otherwise. They carry no gradient. For use in a
            network, see `softmaxlib.torch.CalibratedHead`.

        Raises
        ------
        NotFittedError
            If the calibration is not fitted.
        InvalidInputError
            If the number of classes differs, or logits are not finite.
        """
        return in_kind_of(logits, self._transformed(logits))

    def predict_proba(self, logits: Array) -> npt.NDArray[Any]:
        """Return calibrated probabilities: the softmax of `transform`.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits, with as many classes as in `fit`.

        Returns
        -------
        array, shape (rows, classes)
            Probabilities, with the array type and dtype of `transform`. Each row sums to 1.
        """
        return in_kind_of(logits, softmax(self._transformed(logits)))

    @underflow_is_zero
    def _transformed(self, logits: Array) -> npt.NDArray[Any]:
        logits = self._checked(logits)
        with _checks.known_logits():
            return self._transform(logits).astype(logits.dtype, copy=False)

    def _checked(self, logits: Array) -> npt.NDArray[Any]:
        """Check logits, which must have the fitted number of classes."""
        self._check_fitted()
        rows = _checks.check_logits(logits)
        if rows.shape[1] != self.class_count_:
            raise InvalidInputError(
                f"logits must have the {self.class_count_} classes that {type(self).__name__} was fitted on, "
                f"got {_checks.described_shape(logits, rows)}; fit again if this is another model"
            )
        _checks.warn_of_probabilities(rows, _ADVICE)
        return rows

    @classmethod
    def _fields(cls) -> dict[str, Field]:
        return {"class_count_": _CLASS_COUNT, **super()._fields()}

    def _check_fitted(self) -> None:
        if not hasattr(self, "class_count_"):
            raise NotFittedError(
                f"{type(self).__name__} must be fitted before use; call fit(logits, labels) first"
            )

    @abstractmethod
    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        """Set every attribute in `_fitted`. Weights are positive."""

    def _fit_whole(
        self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights
    ) -> "Whole":
        """Return the state of a fit on all rows, for repeated fits on parts of them."""

        def fit_part(some: npt.NDArray[np.int64]) -> Self:
            return self._fitted_part(logits[some], labels[some], weights[some])

        return Whole(fit_part, None)

    def _fitted_part(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> Self:
        """Return a copy, fitted on these rows."""
        part = copy.copy(self)
        part._fit(logits, labels, weights)
        part.class_count_ = logits.shape[1]
        return part

    @abstractmethod
    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Calibrate finite logits. The result is finite too."""

    def to_graph(self, logits: Tensor) -> Tensor:
        """Export the computation of `transform`, for `Policy.to_onnx` and `softmaxlib.torch`.

        Parameters
        ----------
        logits : Tensor
            Finite logits (rows, classes) in a graph.

        Returns
        -------
        Tensor
            Calibrated logits, with the type of `logits`.

        Raises
        ------
        NotFittedError
            If the calibration is not fitted.
        UnsupportedTypeError
            For a custom calibration without ``_export``.
        """
        self._check_fitted()
        check_own_export(self, "_transform")
        return self._export(logits).cast(logits.dtype)

    def _export(self, logits: Tensor) -> Tensor:
        """Add the steps of `_transform` to a graph. The result is float64 or has the type of `logits`."""
        raise NotImplementedError


class Whole(NamedTuple):
    """A fit on all rows and on parts of them."""

    fit_part: Callable[[npt.NDArray[np.int64]], Calibration]  # fits a calibration on these rows
    fitted: Calibration | None  # on all rows, if the parts need it
