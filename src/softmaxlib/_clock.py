"""The time that records and reports state."""

import datetime
import os

from .errors import InvalidInputError

_VARIABLE = "SOURCE_DATE_EPOCH"
_LAST_SECOND = 253_402_300_799  # of the year 9999


def check_time() -> None:
    """Refuse a wrong ``SOURCE_DATE_EPOCH`` at the start of a program, and remove an empty one.

    NumPy and matplotlib read it too when parts of them are imported, and fail without its name.
    """
    time_now()
    if not os.environ.get(_VARIABLE, "unset"):
        del os.environ[_VARIABLE]


def time_now() -> str:
    """Return the time as ISO 8601 in UTC, to the second.

    Where ``SOURCE_DATE_EPOCH`` is set, it is that many seconds after 1970: the same input then gives the same
    bytes (https://reproducible-builds.org/specs/source-date-epoch).
    """
    given = os.environ.get(_VARIABLE)
    if not given:
        moment = datetime.datetime.now(datetime.UTC)
    elif given.isascii() and given.isdigit() and int(given[:20]) <= _LAST_SECOND and len(given) <= 20:
        moment = datetime.datetime.fromtimestamp(int(given), datetime.UTC)
    else:
        raise InvalidInputError(
            f"{_VARIABLE} must be a whole number of seconds after 1970, got {given[:40]!r}; correct it, "
            "or unset it"
        )
    return moment.isoformat(timespec="seconds")
