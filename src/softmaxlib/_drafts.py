"""A fit that fails leaves the object as it was: it works on a draft, which takes its place at the end."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def draft_of(fitted: T) -> Iterator[T]:
    """Give a shallow copy to set attributes on; the object takes them over when the block ends well.

    A reader in another thread sees all the old attributes or all the new ones.
    """
    draft = copy.copy(fitted)
    yield draft
    fitted.__dict__ = vars(draft)
