"""Messages that the ranks of a group exchange before they go on.

If one rank raised an error alone, the others would wait forever in the next collective. So every rank sends
its arguments or its error. Then all ranks raise the same error, or none does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ...errors import InvalidInputError, UnsupportedTypeError
from . import _exact_sums as exact
from ._exact_sums import ExactSums
from ._fixed_point import MOST_CLASSES
from ._shards import Vocabulary

Group = dist.ProcessGroup | None
Result = TypeVar("Result")

_WEIGHTS = 6
_NUMBERS, _TEXT = 5 + _WEIGHTS, 53  # words of 8 bytes
STATUS_WORDS = _NUMBERS + _TEXT
_ERRORS: dict[int, type[Exception]] = {1: InvalidInputError, 2: UnsupportedTypeError, 3: RuntimeError}


class Claim(NamedTuple):
    """The arguments of a rank: its rows and classes, a digest of the target, its weights and the options."""

    rows: int
    first_class: int
    classes: int
    target_digest: int
    weights: tuple[int, ...]  # of classes: the largest, and the sum of all
    options: str


class Outcome(NamedTuple):
    """A rank's claim, or its error."""

    claim: Claim | None
    error: Exception | None

    def words(self) -> Tensor:
        """Return the outcome as the words of a message."""
        if self.claim is not None:
            kind, text = 0, self.claim.options
            numbers = [*self.claim[:4], *self.claim.weights]
        else:
            kind = next(kind for kind, error in _ERRORS.items() if kind == 3 or isinstance(self.error, error))
            text = str(self.error) if kind < 3 else f"{type(self.error).__name__}: {self.error}"
            numbers = [0] * (_NUMBERS - 1)
        letters = text.encode()[: 8 * _TEXT].decode(errors="ignore").encode().ljust(8 * _TEXT, b"\0")
        of_text = torch.frombuffer(bytearray(letters), dtype=torch.int64)
        return torch.cat([torch.tensor([kind, *numbers]), of_text])


def attempt(function: Callable[[], tuple[Claim, Result]]) -> tuple[Outcome, Result | None]:
    """Return the result of the function, or its error as an outcome to send to the other ranks."""
    try:
        claim, result = function()
    except Exception as error:  # the other ranks must learn of any error
        return Outcome(None, error), None
    return Outcome(claim, None), result


def check_group(group: Group, name: str) -> None:
    """Reject a group that this process does not belong to; None is the group of all processes."""
    if not dist.is_available() or not dist.is_initialized():
        raise RuntimeError(f"{name} needs torch.distributed.init_process_group() to be called first")
    if dist.get_rank(group) < 0:
        raise InvalidInputError(f"{name} must be a group that this process belongs to, got one without it")


def device_of(group: Group) -> torch.device:
    """Return the device on which the group exchanges tensors."""
    return torch.device("cuda") if "nccl" in dist.get_backend(group) else torch.device("cpu")


def gather(words: Tensor, group: Group) -> Tensor:
    """Gather the words (n,) of every rank as (ranks, n), on the same device."""
    sent = words.to(device_of(group)).contiguous()
    received = sent.new_empty((dist.get_world_size(group), sent.numel()))
    dist.all_gather(list(received), sent, group=group)
    return received.to(words.device)


def read_claims(received: Tensor, own: Outcome, what: str = "rank") -> list[Claim]:
    """Return the claims of all ranks (ranks, words); raise the first error among them, on every rank."""
    rows = received[:, :STATUS_WORDS].cpu()
    texts = [bytes(row[_NUMBERS:].numpy().tobytes()).rstrip(b"\0").decode() for row in rows]
    for rank, (row, text) in enumerate(zip(rows.tolist(), texts, strict=True)):
        if row[0]:
            raise _ERRORS[row[0]](f"{text} (on {what} {rank} of the group)") from own.error
    numbers = rows[:, 1:_NUMBERS].tolist()
    return [
        Claim(each[0], each[1], each[2], each[3], tuple(each[4:]), text)
        for each, text in zip(numbers, texts, strict=True)
    ]


def check_claims(claims: list[Claim]) -> Vocabulary:
    """Check that the arguments of all ranks match, and return what they say of all classes."""
    first = claims[0]
    for rank, claim in enumerate(claims):
        if claim.rows != first.rows:
            raise InvalidInputError(
                f"every rank must pass the same rows, got {first.rows} rows on rank 0 and {claim.rows} on "
                f"rank {rank}; where ranks hold different rows, gather them over `group` first"
            )
        if claim.options != first.options:
            raise InvalidInputError(
                f"every rank must pass the same options, got ({first.options}) on rank 0 and "
                f"({claim.options}) on rank {rank}"
            )
        if claim.target_digest != first.target_digest:
            raise InvalidInputError(
                f"every rank must pass the same target, got another on rank {rank} than on rank 0; class "
                "indices count over all shards, and every rank needs those of all rows"
            )
    parts = [unpack_weights(claim.weights) for claim in claims]
    total, exponent = exact.value_of(exact.merge([sums for _, sums in parts]))
    return Vocabulary(_check_cover(claims), max(largest for largest, _ in parts), total.scaled(exponent))


def pack_weights(weight: Tensor | None) -> tuple[int, ...]:
    """Return the exponent of the largest class weight and the sum of all, as words; None stands for ones."""
    if weight is None:
        weight = torch.ones(1, dtype=torch.float64)
    row = weight.cpu().unsqueeze(0)
    sums = exact.sum_exactly((row,), None, exact.WIDE)
    exponent = int(torch.frexp(row.max()).exponent) if row.numel() else -1100
    return (exponent, *pack(sums)[:, 0].tolist())


def unpack_weights(words: tuple[int, ...]) -> tuple[int, ExactSums]:
    """Return what `pack_weights` took."""
    like = exact.sum_exactly((torch.zeros(1, 1, dtype=torch.float64),), None, exact.WIDE)
    return words[0], unpack(like, torch.tensor(words[1:]).unsqueeze(1))


def _check_cover(claims: list[Claim]) -> int:
    covered = 0
    shards = [(claim.first_class, claim.classes, rank) for rank, claim in enumerate(claims) if claim.classes]
    for first_class, classes, rank in sorted(shards):
        if first_class != covered:
            raise InvalidInputError(
                f"the shards must hold every class once, got classes {first_class} to "
                f"{first_class + classes - 1} on rank {rank} where class {covered} is next; first_class is "
                "the number of classes on the shards before"
            )
        covered += classes
    if not covered:
        raise InvalidInputError("the shards must hold at least one class, got none on any rank")
    if covered > MOST_CLASSES:
        raise InvalidInputError(
            f"the shards must hold at most {MOST_CLASSES} classes, got {covered}; sums of more don't fit"
        )
    return covered


def flatten(value: Any) -> list[Tensor]:
    """Return the tensors of nested tuples, in order; None is left out."""
    if isinstance(value, Tensor):
        return [value]
    return [] if value is None else [tensor for part in value for tensor in flatten(part)]


def pack(value: Any) -> Tensor:
    """Return nested tuples of tensors (..., rows) of 8-byte numbers as words (words, rows)."""
    return torch.cat(
        [part.view(torch.int64).reshape(part.shape[:-1].numel(), part.shape[-1]) for part in flatten(value)]
    )


def unpack(like: Any, words: Tensor) -> Any:
    """Return nested tuples with the structure of ``like`` from words; the number of rows may differ."""
    place = 0

    def rebuild(part: Any) -> Any:
        nonlocal place
        if part is None:
            return None
        if isinstance(part, Tensor):
            size = part.shape[:-1].numel()
            taken = words[place : place + size].reshape(*part.shape[:-1], words.shape[1])
            place += size
            return taken.view(part.dtype)
        return type(part)(*(rebuild(each) for each in part))

    return rebuild(like)
