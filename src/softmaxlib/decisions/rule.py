"""What every decision rule shares: checks, the decision it gives, and JSON."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import _arrays, _checks, _json
from .._arrays import Array
from .._drafts import draft_of
from .._frameworks import in_kind_of
from .._graph import Tensor, check_own_export
from ..errors import FileFormatError, InvalidInputError, NotFittedError
from .exported_decision import ExportedDecision

Floats = npt.NDArray[np.float64]

NO_ACTION = -1

_VERSION = 1
_BLOCK_ELEMENTS = 2**20


class Decision(NamedTuple):
    """What a rule decides for each row; the arrays are of the kind of what was decided, on its device.

    Attributes
    ----------
    action : ndarray of int64, shape (rows,)
        The number of the action taken: of a class, unless the rule has actions of its own; -1 where it
        abstained. As an index of names, -1 would stand for the last of them: read `labels`, which can't be
        misread, or leave the rows out that `abstained` marks.
    confidence : ndarray of float64, shape (rows,)
        The probability of the most likely class, whatever the action.
    abstained : ndarray of bool, shape (rows,)
        Whether the row was set aside for a human.
    expected_cost : ndarray of float64, shape (rows,), or None
        What the action taken (or abstaining) is expected to cost; None for a rule without costs.
    sets : ndarray of bool, shape (rows, classes), or None
        Which classes can't be ruled out; None for a rule without sets.
    labels : ndarray of object, shape (rows,), or None
        The name of the action taken, None where it abstained: the class's name, or that of the rule's own
        action. A NumPy array always. None as a whole where no names are known, as in a rule that is used
        without a `Policy`.
    """

    action: npt.NDArray[np.int64]
    confidence: Floats
    abstained: npt.NDArray[np.bool_]
    expected_cost: Floats | None = None
    sets: npt.NDArray[np.bool_] | None = None
    labels: npt.NDArray[np.object_] | None = None


class Rule(ABC):
    """From probabilities to actions.

    To write one, derive from this class, name its JSON fields in ``_fields`` and define ``_decide``,
    ``_encode`` and ``_decode``; where it learns from data, ``_fit`` too. Checks and the JSON envelope come
    from here.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _optional_fields: ClassVar[tuple[str, ...]] = ()  # which files of older versions lack
    _registered: ClassVar[dict[str, type["Rule"]]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        Rule._registered[cls.__name__] = cls

    @property
    def learns(self) -> bool:
        """Whether `fit` learns from the rows it is given; else it only checks them."""
        return type(self)._fit is not Rule._fit or type(self).fit is not Rule.fit

    @property
    def action_names(self) -> tuple[str, ...] | None:
        """What the rule calls actions of its own; None where it takes classes."""
        return None

    def name_actions(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """What each action is called: the classes' names, for a rule that takes classes.

        Parameters
        ----------
        class_names : sequence of str, shape (classes,)
            What the classes are called.

        Returns
        -------
        tuple of str
            One name an action, in the order of their numbers.
        """
        return tuple(class_names) if self.action_names is None else self.action_names

    @property
    def takes_groups(self) -> bool:
        """Whether `fit` and `decide` want the group of each row."""
        return False

    def fit(self, probabilities: Array, labels: Array) -> Self:
        """Learn from held-out rows, or, where there is nothing to learn, only check that the rule fits them.

        Parameters
        ----------
        probabilities : array, shape (rows, classes)
            Probabilities of rows that neither the network nor its calibration has seen.
        labels : array of int, shape (rows,)
            The true class of each row.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            When a probability or a label breaks its rule, or the rule is for another number of classes.
        """
        values = _checks.check_probabilities(probabilities)
        self._check_classes(values.shape[1])
        truth = _checks.check_labels(labels, *values.shape)
        with draft_of(self) as draft:
            draft._fit(values, truth)
        return self

    def decide(self, probabilities: Array) -> Decision:
        """Decide each row.

        Parameters
        ----------
        probabilities : array, shape (rows, classes)
            Calibrated probabilities: each in [0, 1], each row with sum 1.

        Returns
        -------
        Decision
            The decision for a row does not depend on the other rows.

        Raises
        ------
        NotFittedError
            When the rule must be fitted and was not.
        InvalidInputError
            When a probability breaks its rule, or the rule is for another number of classes.
        """
        self._check_fitted()
        values = _checks.check_probabilities(probabilities)
        self._check_classes(values.shape[1])
        decision = self._decide(values)
        if self.action_names is not None:
            decision = label_decision(decision, self.action_names)
        return in_kind_of(probabilities, decision)

    def to_dict(self) -> dict[str, Any]:
        """Everything needed to decide again, as values that ``json.dump`` takes.

        Returns
        -------
        dict
            Arrays are base64 with dtype and shape: the round trip keeps every bit.

        Raises
        ------
        NotFittedError
            When the rule must be fitted and was not.
        """
        self._check_fitted()
        return {"class": type(self).__name__, "version": _VERSION, **self._encode()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The rule that `to_dict` described; nothing in `state` is trusted.

        Parameters
        ----------
        state : mapping
            What `to_dict` gave, straight or through JSON.

        Returns
        -------
        Rule
            Of the class that the state names; called on a subclass, only that class is accepted.

        Raises
        ------
        FileFormatError
            For an unknown class or version, a missing or unknown field, or a value that breaks its rule.
        """
        known = {name: kind for name, kind in Rule._registered.items() if issubclass(kind, cls)}
        kind = _json.find_class(state, "rule", known, version=_VERSION)
        content = _json.check_fields(
            state, kind.__name__, {"class", "version", *kind._fields}, kind._optional_fields
        )
        try:
            return kind._decode(content)
        except FileFormatError:
            raise
        except InvalidInputError as error:
            raise FileFormatError(
                f"{kind.__name__} can't be made of what was saved: {error}; {_json.ADVICE}"
            ) from None

    def _check_classes(self, classes: int) -> None:  # noqa: B027  (some rules take any number)
        """Refuse probabilities of another number of classes."""

    def _check_fitted(self) -> None:  # noqa: B027  (some rules need no fitting)
        """Refuse to go on before `fit`."""

    def _not_fitted(self) -> NotFittedError:
        return NotFittedError(
            f"{type(self).__name__} must be fitted before use; call fit(probabilities, labels) first"
        )

    def _fit(self, probabilities: _arrays.FloatArray, labels: _arrays.IntArray) -> None:  # noqa: B027
        """Learn; checked probabilities and labels."""

    @abstractmethod
    def _decide(self, probabilities: _arrays.FloatArray) -> Decision:
        """Decide; checked probabilities."""

    def to_graph(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """Write down what `decide` computes, for `Policy.to_onnx` and `softmaxlib.torch`.

        Parameters
        ----------
        probabilities : Tensor
            Calibrated probabilities (rows, classes) in a graph.
        classes : int
            How many classes there are.

        Returns
        -------
        ExportedDecision

        Raises
        ------
        NotFittedError
            When the rule must be fitted and was not.
        UnsupportedTypeError
            For a rule of one's own without ``_export``.
        """
        self._check_fitted()
        self._check_classes(classes)
        check_own_export(self, "decide", "_decide")
        return self._export(probabilities, classes)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        """As `_decide`, in steps of a graph."""
        raise NotImplementedError

    @abstractmethod
    def _encode(self) -> dict[str, Any]:
        """The values of ``_fields`` as JSON."""

    @classmethod
    @abstractmethod
    def _decode(cls, content: Mapping[str, Any]) -> Self:
        """The rule from its fields, each decoded with every check."""


def label_decision(decision: Decision, names: Sequence[str]) -> Decision:
    """The decision with the names of its actions, None where it abstained."""
    table = np.array([*names, None], dtype=object)  # NO_ACTION, as an index, is the None at the end
    return decision._replace(labels=table[np.asarray(decision.action)])


def check_class_count(rule: Rule, expected: int, classes: int) -> None:
    """Refuse probabilities of another number of classes than the rule's."""
    if classes != expected:
        raise InvalidInputError(
            f"{type(rule).__name__} is for {expected} classes, got probabilities of {classes}; "
            "use a rule made for this model"
        )


def row_blocks(probabilities: npt.NDArray[Any], columns: int = 1) -> Iterator[slice]:
    """Slices of rows that keep temporaries of as many or of `columns` columns small."""
    size = max(1, _BLOCK_ELEMENTS // max(probabilities.shape[1], columns))
    for start in range(0, probabilities.shape[0], size):
        yield slice(start, min(start + size, probabilities.shape[0]))


def highest(probabilities: _arrays.FloatArray) -> Floats:
    """The probability of the most likely class of each row."""
    return probabilities.max(axis=1).astype(np.float64)
