import numpy as np
import pytest

from softmaxlib._checks import check_integer, check_share
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError


def test_whole_numbers() -> None:
    assert check_integer(np.int32(5), "k", lower=1) == 5
    assert type(check_integer(np.int32(5), "k", lower=1)) is int
    with pytest.raises(InvalidInputError, match="k must be a whole number, at least 1; got 0"):
        check_integer(0, "k", lower=1)
    with pytest.raises(InvalidInputError, match="k must be a whole number, 1 to 3; got 4"):
        check_integer(4, "k", lower=1, upper=3)


@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"k must be a whole number, got .*; write 5, not 5.0"):
        check_integer(value, "k", lower=1)


@pytest.mark.parametrize("value", [0, 1, -0.1, float("nan"), 95])
def test_shares_lie_between_0_and_1(value: float) -> None:
    assert check_share(0.5, "level", "0.95 is usual") == 0.5
    with pytest.raises(InvalidInputError, match=r"level must lie between 0 and 1, got .*; 0.95 is usual"):
        check_share(value, "level", "0.95 is usual")
