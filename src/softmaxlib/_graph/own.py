"""A check that a subclass does not inherit the export of a class it changes."""

from typing import Any

from ..errors import UnsupportedTypeError

METHOD = "_export"


def check_own_export(part: Any, *computing: str) -> None:
    """Refuse a calibration or rule whose class computes something else than it, or a base of it, exports.

    Parameters
    ----------
    part
        Of a class that defines ``_export``, or that should.
    computing
        The methods that ``_export`` writes down.
    """
    order = type(part).__mro__
    place = {
        name: next(place for place, kind in enumerate(order) if name in vars(kind))
        for name in (METHOD, *computing)
    }
    name = min(computing, key=place.__getitem__)
    if place[name] < place[METHOD]:
        kind = order[place[name]].__name__
        raise UnsupportedTypeError(
            f"{kind} can't be exported: it defines {name} and no {METHOD}, which writes down the same in "
            f"steps of a graph; define {METHOD} beside it, as the classes of softmaxlib do"
        )
