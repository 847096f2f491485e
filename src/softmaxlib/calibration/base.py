"""The base of every calibration: checks, the way to probabilities, and JSON."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import _checks
from .._all_rows import AllRows
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._graph import Tensor, check_own_export
from .._judging import Correction
from .._stored import Field, Integer, Stored
from ..activations import softmax
from ..errors import InvalidInputError, NotFittedError
from .degenerate import Weights, bounded_weights, warn_of_degenerate_rows
from .fit_rows import FitRows, SummedRows

Array = Any

_ADVICE = "a calibration takes logits: pass their logarithms, or use a Policy with probabilities=True"
_CLASS_COUNT = Integer(lower=2)


class Calibration(Stored):
    """A map from logits to logits, fitted on held-out rows so that the probabilities can be believed.

    To write one, derive from this class, declare what is kept, and define `_fit` and `_transform`, and
    `_export` where it is to be exported; checking, probabilities, and JSON in both directions come from here.

    Attributes
    ----------
    command_name : str
        What it is called on the command line; empty for one that is not offered there.
    class_count_ : int
        Number of classes of the logits it was fitted on.
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
        """The calibration that this one chose when it was fitted; itself where there was no choice."""
        return self

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "_transform" in vars(cls) and "correction" not in vars(cls):
            cls.correction = Calibration.correction  # that of the class it derives from is another
        if "_fit" in vars(cls) and "_fit_rows" not in vars(cls):
            cls._fit_rows = Calibration._fit_rows  # that of the class it derives from learns otherwise

    def correction(self) -> Correction | None:
        """Return what the calibration is to the compiled pass; None for one that it does not know."""
        return None

    def fit(self, logits: Array, labels: Array, sample_weight: Array | None = None) -> Self:
        """Fit on held-out rows: rows that the network was not trained on.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits.
        labels : array of int, shape (rows,)
            The true class of each row, in [0, classes).
        sample_weight : array, shape (rows,), optional
            How often each row counts. A weight of 2 is the same as the row twice.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            When a shape, a label or a weight breaks its rule, or a logit is not finite.
        UnsupportedTypeError
            For logits that are not real numbers or labels that are not integers.

        Warns
        -----
        SoftmaxlibWarning
            When the rows say too little for the fit to be relied on: all of one class, all the same, fewer
            than the classes, or one whose label its logits rule out a thousand times more than usual.

        Notes
        -----
        A fit that fails leaves the calibration as it was.
        """
        names = _checks.classes_of_columns(logits)
        logits = _checks.check_logits(logits)
        labels = _checks.check_labels(labels, *logits.shape, class_names=names)
        weights = _checks.check_sample_weight(sample_weight, logits.shape[0])
        if weights is None:
            weights = np.ones(logits.shape[0])
        else:
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

    def fit_all(self, rows: AllRows) -> Self:
        """Fit on rows that are looked at in passes: as `fit` does, but for the rounding of sums.

        Parameters
        ----------
        rows : AllRows
            Of logits.
        """
        with draft_of(self) as draft, _checks.known_logits():
            draft._fit_rows(SummedRows(rows))
            draft.class_count_ = rows.classes
        return self

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
        """Calibrate logits.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits, of as many classes as in `fit`.

        Returns
        -------
        array, shape (rows, classes)
            Finite logits, of the kind and on the device of `logits` (NumPy's for a table): float32 for
            float32 and half precision, else float64. Automatic differentiation takes them for constants;
            for a network there is `softmaxlib.torch.CalibratedHead`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        InvalidInputError
            For another number of classes, or logits that are not finite.
        """
        return in_kind_of(logits, self._transformed(logits))

    def predict_proba(self, logits: Array) -> npt.NDArray[Any]:
        """Return calibrated probabilities: the softmax of `transform`.

        Parameters
        ----------
        logits : array, shape (rows, classes)
            Finite real logits, of as many classes as in `fit`.

        Returns
        -------
        array, shape (rows, classes)
            Probabilities, of the kind and dtype that `transform` has; each row sums to 1.
        """
        return in_kind_of(logits, softmax(self._transformed(logits)))

    def _transformed(self, logits: Array) -> npt.NDArray[Any]:
        logits = self._checked(logits)
        with _checks.known_logits():
            return self._transform(logits).astype(logits.dtype, copy=False)

    def _checked(self, logits: Array) -> npt.NDArray[Any]:
        """Return logits of the fitted number of classes."""
        self._check_fitted()
        logits = _checks.check_logits(logits)
        if logits.shape[1] != self.class_count_:
            raise InvalidInputError(
                f"logits must have the {self.class_count_} classes that {type(self).__name__} was fitted on, "
                f"got shape {logits.shape}; fit again on logits of this model"
            )
        _checks.warn_of_probabilities(logits, _ADVICE)
        return logits

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
        """Set every attribute named in `_fitted`; weights are positive."""

    def _fit_whole(
        self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights
    ) -> "Whole":
        """Return what is fitted on all rows, to fit on some of them again and again."""

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
        """Write down what `transform` computes, for `Policy.to_onnx` and `softmaxlib.torch`.

        Parameters
        ----------
        logits : Tensor
            Finite logits (rows, classes) in a graph.

        Returns
        -------
        Tensor
            Calibrated logits, of the type of `logits`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        UnsupportedTypeError
            For a calibration of one's own without ``_export``.
        """
        self._check_fitted()
        check_own_export(self, "_transform")
        return self._export(logits).cast(logits.dtype)

    def _export(self, logits: Tensor) -> Tensor:
        """Add the steps of `_transform` to a graph. The result is float64 or has the type of `logits`."""
        raise NotImplementedError


class Whole(NamedTuple):
    """Rows that are fitted on as a whole and in parts."""

    fit_part: Callable[[npt.NDArray[np.int64]], Calibration]  # a calibration fitted on these of the rows
    fitted: Calibration | None  # on all rows, where that was needed for the parts
