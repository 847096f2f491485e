"""The origins of an evaluation: its model, files and policy, identified by their SHA-256."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from .._version import __version__
from ..errors import FileFormatError, UnsupportedTypeError
from ..policy import MultilabelPolicy, Policy


class Stream(Protocol):
    """A binary stream that can be read to its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


@dataclass(frozen=True)
class Origin:
    """One file, model or policy that an evaluation was made from.

    Attributes
    ----------
    name : str
        What it is called: the path of a file, or a name that was given.
    sha256 : str or None
        The SHA-256 of its bytes, as ``sha256sum`` prints it; None if it is only named, or behind a URL.
    size : int or None
        Its size in bytes; None where it has no hash.
    """

    name: str
    sha256: str | None = None
    size: int | None = None

    @classmethod
    def of_stream(cls, name: str, stream: Stream) -> Self:
        """Hash a stream to its end."""
        found, size = hashlib.sha256(), 0
        while part := stream.read(1 << 20):
            found.update(part)
            size += len(part)
        return cls(name, found.hexdigest(), size)

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> Self:
        """Hash a local file."""
        with open(path, "rb") as stream:
            return cls.of_stream(os.fspath(path), stream)

    @classmethod
    def of_policy(cls, policy: Policy | MultilabelPolicy) -> Self:
        """Hash the file that `Policy.save` would write."""
        return cls("a policy in memory", policy.fingerprint)

    @classmethod
    def of_model(cls, model: str | os.PathLike[str]) -> Self:
        """Hash the file of a model; a text that is not the path of a file is taken as its name."""
        if not isinstance(model, str | os.PathLike):
            raise UnsupportedTypeError(
                f"model must be a name or the path of a file, for the record, got {type(model).__name__}; "
                "pass what the model returned as logits"
            )
        if Path(model).is_file():
            return cls.of_file(model)
        if isinstance(model, str):
            return cls(model)
        raise FileFormatError(f"{model} is no file; name the file of the model, or give its name as a text")


@dataclass(frozen=True)
class Provenance:
    """The origins of an evaluation.

    Attributes
    ----------
    model : Origin or None
        The model, where it was named.
    files : tuple of Origin
        The files with the rows; none where rows were passed as arrays.
    policy : Origin or None
        The policy; None without one.
    version : str
        Of softmaxlib.
    """

    model: Origin | None = None
    files: tuple[Origin, ...] = ()
    policy: Origin | None = None
    version: str = __version__


def provenance_of(
    model: str | os.PathLike[str] | None = None,
    policy: Policy | MultilabelPolicy | None = None,
    files: Iterable[Origin] = (),
) -> Provenance:
    """Hash the model, files and policy of an evaluation."""
    return Provenance(
        None if model is None else Origin.of_model(model),
        tuple(files),
        None if policy is None else Origin.of_policy(policy),
    )
