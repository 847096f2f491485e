"""The first place where an array breaks a rule, for error messages."""

import numpy as np
import numpy.typing as npt


def first_place(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first True, in C order."""
    return tuple(int(position) for position in np.argwhere(wrong)[0])


def written_place(place: tuple[int, ...]) -> str:
    """Return an index as a message has it: a number, or several in brackets."""
    return str(place[0] if len(place) == 1 else place)
