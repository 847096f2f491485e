"""The part of a policy that works once it is fitted: rows in, decisions out."""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._arrays import Array, FloatArray
from .._checks import check_rows, known_logits, warn_of_probabilities, warn_of_row_order
from .._checks.class_labels import check_columns
from .._extras import require
from .._files import written_whole
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..activations import softmax
from ..calibration import Calibration
from ..decisions import Rule
from ..decisions.decision import label_decision
from ..errors import NotFittedError
from .exported import policy_as_onnx
from .judging import Judgement, Wanted, judge_values
from .probabilities import check_kind, logits_of
from .record import FitRecord
from .rows import groups_of_rows
from .saved_policy import SavedPolicy

if TYPE_CHECKING:
    import pyarrow

_DECISION = Wanted()


class DecidingPolicy(SavedPolicy):
    """A policy that calibrates and decides rows, exports itself, and does not change.

    Attributes
    ----------
    calibration, rule
        The fitted calibration and decision rule.
    record_ : FitRecord
        Time and data of the fit, and the figures before and after calibration.
    """

    calibration: Calibration
    rule: Rule
    record_: FitRecord
    _input: Literal["logits", "probabilities"]
    _floor: float | None

    @checked_keywords
    @underflow_is_zero
    def transform(self, logits: Array, *, probabilities: bool = False) -> FloatArray:
        """Return calibrated logits (rows, classes).

        Parameters
        ----------
        logits : array (rows, classes)
            A model's logits, or probabilities if `probabilities` is true.
        probabilities : bool, default False
            Whether `logits` holds probabilities, as in the fit.

        Returns
        -------
        array (rows, classes)
            Calibrated logits, with the array type and device of `logits` (NumPy for a frame).
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
        self._check_width(logits, values, f"{self._input} must have the {len(self.class_names_)} classes")
        return values

    @checked_keywords
    @underflow_is_zero
    def predict_proba(self, logits: Array, *, probabilities: bool = False) -> FloatArray:
        """Return calibrated probabilities (rows, classes): the softmax of :meth:`transform`."""
        return in_kind_of(logits, softmax(self._calibrated(logits, probabilities)))

    @checked_keywords
    @underflow_is_zero
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
            A model's logits, or probabilities if `probabilities` is true. An array of any library, or a
            frame. Columns with other class names or in another order than in `fit` are rejected.
        probabilities : bool, default False
            Whether `logits` holds probabilities, as in the fit.
        groups : array of str or int (rows,), optional
            The group of each row, for a rule that needs it.

        Returns
        -------
        Decision
            ``action``, ``confidence``, ``abstained``, ``labels`` (the names of the actions, or None for rows
            set aside) and, if the rule has them, ``expected_cost`` and ``sets``. Arrays have the type and
            device of the input (NumPy for a frame).
        """
        judgement = self._judge(logits, probabilities, groups, _DECISION)
        named = label_decision(judgement.decision, self.rule.name_actions(self.class_names_))
        return in_kind_of(logits, named)

    def decide_batches(
        self,
        record_batches: "Iterable[pyarrow.RecordBatch]",
        *,
        columns: str | Sequence[str] | None = None,
        score: str | None = None,
        positive: str | None = None,
        groups: str | None = None,
    ) -> "Iterator[pyarrow.RecordBatch]":
        """Decide Arrow record batches one by one, as from Spark, Ray, Daft and DuckDB.

        Parameters
        ----------
        record_batches : iterable of pyarrow.RecordBatch
            Batches with one column per class, named after it, in any order, or with one column of lists. A
            ``pyarrow.RecordBatchReader`` works too.
        columns : str or sequence of str, optional
            Names or patterns of the columns with logits (or probabilities, as in the fit). By default
            ``logit_*``, or a column of lists called ``logits``.
        score, positive : str, optional
            Of a binary model: the column with the logit (or probability) of the positive class, in place of
            `columns`, and the class that it is. By default the second class of the policy.
        groups : str, optional
            The column with the group of each row, for a rule that needs it.

        Returns
        -------
        iterator of pyarrow.RecordBatch
            One batch per input batch, with the same rows: ``predicted``, ``probability``, ``decision`` (null
            for rows set aside), ``abstained``, further columns of the rule, and the input columns without
            logits.

        Raises
        ------
        InvalidInputError
            As for `decide`. Rows are counted over all batches.

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
        from .._tables.selection import Selection, chosen_columns

        require("pyarrow", "Policy.decide_batches")
        from .decided_batches import decided_batches

        self._check_fitted()
        selection = Selection(self.input, chosen_columns(columns), score, positive, groups=groups)
        self.rule.check_groups(groups)
        return decided_batches(self, record_batches, selection)

    @checked_keywords
    @underflow_is_zero
    def judge(
        self,
        logits: Array,
        *,
        probabilities: bool = False,
        groups: Array | None = None,
        wanted: Wanted = Wanted(),  # noqa: B008  (it can't be changed)
    ) -> Judgement:
        """Decide each row, and return the wanted intermediate results as NumPy arrays."""
        return self._judge(logits, probabilities, groups, wanted)

    def _judge(self, logits: Array, probabilities: bool, groups: Array | None, wanted: Wanted) -> Judgement:
        values = self._values(logits, probabilities)
        warn_of_row_order(logits, groups=groups)
        every = np.ones(len(values), dtype=bool) if groups is not None else None
        of_rows = None if every is None else groups_of_rows(self.rule, groups, every)
        return judge_values(self.calibration, self.rule, values, of_rows, wanted)

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        dtype: Literal["float32", "float64"] = "float32",
        groups: Literal["names", "numbers"] = "names",
    ) -> None:
        """Write the fitted policy as an ONNX model, which runs without this library.

        Parameters
        ----------
        path : path
            The file to write, ``policy.onnx``.
        dtype : {"float32", "float64"}, default "float32"
            Dtype of the model's input: that of the network's logits.
        groups : {"names", "numbers"}, default "names"
            Input for the group of a row, if the rule needs groups: the name as a string, or the position in
            ``group_names`` of the metadata.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ModuleNotFoundError
            If onnx is not installed: install ``softmaxlib[onnx]``.
        UnsupportedTypeError
            For a custom calibration or rule without ``_export``.

        Notes
        -----
        The model accepts any number of rows, including 0. Its inputs are:

        - ``logits`` or ``probabilities``, (rows, classes): the same kind as in `fit`.
        - ``group``, (rows,): for ``PredictionSets(groups="rows")``.
        - ``uniform``, (rows,): for ``PredictionSets(randomized=True)``, a random number in [0, 1) per row.

        Its outputs are ``calibrated_probabilities`` (rows, classes), ``most_likely`` (the index of the
        class), ``action``, ``abstained``, ``confidence`` and, if the rule has them, ``expected_cost`` and
        ``sets``, as in `Decision`. Its metadata are ``class_names``, ``action_names``, ``group_names`` and
        the policy's ``record`` as JSON, and ``calibration`` and ``rule`` as text.

        A model can't raise an error. If `decide` would reject a row (NaN, an infinite logit, probabilities
        that do not sum to 1), the model sets it aside: ``abstained`` is true, ``action`` and ``most_likely``
        are -1, every number is NaN, and ``sets`` contain every class. For a row of an unknown group, ``sets``
        also contain every class.

        The probabilities are those of `predict_proba` up to rounding, and the rule is then applied exactly.
        The decision can differ from that of `decide` only if a row is so close to the boundary of the rule
        that the last digit of a probability matters. The model needs opset 17, which ONNX Runtime supports
        since 1.12.

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

    @property
    def input(self) -> Literal["logits", "probabilities"]:
        """The numbers that the policy was fitted on and decides: ``"logits"`` or ``"probabilities"``."""
        self._check_fitted()
        return self._input

    @property
    def floor(self) -> float | None:
        """The value that replaces an exact probability of 0; None for a policy fitted on logits."""
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
