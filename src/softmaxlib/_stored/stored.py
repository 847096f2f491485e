"""The base of calibrations and rules: a name in files and on the command line, JSON in and out."""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from .. import _json
from .._renamed import with_new_names
from ..errors import FileFormatError, InvalidInputError, UnsupportedTypeError
from .fields import Field, Schema, object_schema


class Stored(ABC):
    """A calibration or a decision rule: each class registers itself when it is defined.

    A class declares what is kept: `_settings`, which are the arguments of its constructor, and `_fitted`,
    which `fit` sets.

    Attributes
    ----------
    command_name : str
        What the class is called on the command line; empty for one that is not offered there.
    """

    command_name: ClassVar[str] = ""

    _kind: ClassVar[str]  # what messages call it: "rule"
    _registered: ClassVar[dict[str, type[Self]]]
    _settings: ClassVar[Mapping[str, Field]] = {}
    _fitted: ClassVar[Mapping[str, Field]] = {}
    _lacking: ClassVar[Mapping[str, Any]] = {}  # fields that earlier files lack, with their values

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "_kind" in vars(cls):  # the base of a kind, which has a registry of its own
            cls._registered = {}
        if "_kind" in vars(cls) or not hasattr(cls, "_kind"):  # and what such a base derives from
            return
        cls._registered[cls.__name__] = cls
        if "command_name" not in vars(cls):
            cls.command_name = ""  # that of the class it derives from is taken

    @classmethod
    def of_command_line(cls) -> dict[str, type[Self]]:
        """Return the classes of this kind by their names on the command line, in the order of these."""
        named = {kind.command_name: kind for kind in cls._registered.values() if kind.command_name}
        return dict(sorted(named.items()))

    @classmethod
    def of_files(cls) -> dict[str, type[Self]]:
        """Return the classes that a file can name, by their names: those of this class that can be made."""
        return {
            name: kind
            for name, kind in cls._registered.items()
            if issubclass(kind, cls) and not inspect.isabstract(kind)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by the names of the constructor's arguments, as scikit-learn asks for them.

        Parameters
        ----------
        deep : bool, default True
            For scikit-learn; it changes nothing.

        Returns
        -------
        dict
            The settings, fitted or not.
        """
        del deep
        return {name: self._kept(name) for name in self._settings}

    def set_params(self, **params: Any) -> Self:
        """Change settings, as scikit-learn's searches do; fitted attributes stay as they are.

        Parameters
        ----------
        **params
            Arguments of the constructor, by their names.

        Returns
        -------
        self

        Raises
        ------
        InvalidInputError
            For an unknown name, or what the constructor refuses; nothing is then changed.
        """
        unknown = [name for name in params if name not in self._settings]
        if unknown:
            raise InvalidInputError(
                f"{type(self).__name__} has no parameter {unknown[0]!r}; it has "
                f"{', '.join(self._settings) or 'none'}"
            )
        made = type(self)(**{**self.get_params(), **params})
        vars(self).update(vars(made))
        return self

    def __sklearn_clone__(self) -> Self:
        """Return a copy with the same settings, not fitted: what ``sklearn.base.clone`` gives."""
        made = copy.deepcopy(self)
        for name in self._fields():
            if name not in self._settings:
                vars(made).pop(name, None)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Write down everything needed to use it again, as values that ``json.dump`` takes.

        Returns
        -------
        dict
            Arrays are numbers in lists, and base64 beyond 4,096 of them: the round trip keeps every bit.

        Raises
        ------
        NotFittedError
            When it must be fitted and was not.
        """
        self._check_fitted()
        kept = {name: field.encode(self._kept(name)) for name, field in self._fields().items()}
        return {"class": type(self).__name__, "version": _json.VERSION, **kept}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Make what `to_dict` described; nothing in `state` is trusted.

        Parameters
        ----------
        state : mapping
            What `to_dict` gave, straight or through JSON.

        Returns
        -------
        Self
            Of the class that the state names; called on a subclass, only that class is accepted.

        Raises
        ------
        FileFormatError
            For an unknown class or version, a missing or unknown field, or a value that breaks its rule.
        """
        kind = _json.find_class(state, cls._kind, cls.of_files())
        name, fields = kind.__name__, kind._fields()
        required = {"class", "version", *fields} - set(kind._lacking)
        named = with_new_names(state, fields)
        content = {**kind._lacking, **_json.check_fields(named, name, required, kind._lacking)}
        classes = 0
        if "class_count_" in fields:
            classes = fields["class_count_"].decode(content["class_count_"], f"{name}.class_count_", 0)
        values = {key: field.decode(content[key], f"{name}.{key}", classes) for key, field in fields.items()}
        try:
            made = kind(**{key: values.pop(key) for key in kind._settings})
        except InvalidInputError as error:
            raise FileFormatError(
                f"{name} can't be made of what was saved: {error}; {_json.ADVICE}"
            ) from None
        vars(made).update(values)
        made._check_state()
        return made

    @classmethod
    def schema(cls) -> Schema:
        """Return the JSON Schema of the result of `to_dict`, and of files of earlier versions."""
        fields = {name: field.schema() for name, field in cls._fields().items()}
        head = {"class": {"const": cls.__name__}, "version": {"enum": list(_json.VERSIONS)}}
        return object_schema({**head, **fields}, optional=cls._lacking)

    @classmethod
    def _fields(cls) -> dict[str, Field]:
        return {**cls._settings, **cls._fitted}

    def _kept(self, name: str) -> Any:
        """The value of a field: by default the attribute of its name."""
        return getattr(self, name)

    @abstractmethod
    def _check_fitted(self) -> None:
        """Refuse to go on before `fit`."""

    def _check_state(self) -> None:  # noqa: B027  (most have nothing to compare)
        """Raise FileFormatError where loaded values contradict each other."""

    def describe(self) -> str:
        """Describe this object and its fit in one line.

        Returns
        -------
        str
            Without a full stop; by default the same as ``repr``.
        """
        return repr(self)

    @classmethod
    def copy_of(cls, given: Any, name: str, example: str) -> Self:
        """Copy a user's object of this kind, so that the original is never changed; a class is rejected."""
        if not isinstance(given, cls):
            made = "; put () behind it" if isinstance(given, type) and issubclass(given, cls) else ""
            raise UnsupportedTypeError(
                f"{name} must be a {cls.__name__}, such as {example}, got {given!r}{made}"
            )
        return copy.deepcopy(given)
