"""Two discrete laws without `scipy.stats`, whose import takes as long as the evaluation of a million rows."""

import numpy as np

from .predictions import Floats

_DEVIATIONS = 40  # beyond so many, no probability is left


def binomial_quantile(level: float, rows: Floats, chance: Floats) -> Floats:
    """Return the least number of hits that is not exceeded with probability `level`; `rows` are whole."""
    from scipy.special import bdtrik

    def up_to(hits: Floats) -> Floats:
        return _binomial_up_to(hits, rows, chance)

    with np.errstate(all="ignore"):
        near = np.ceil(bdtrik(level, rows, chance))
    hits = np.clip(np.where(np.isfinite(near), near, np.floor(rows * chance)), 0, rows)
    while (high := (hits > 0) & (up_to(hits - 1) >= level)).any():
        hits = hits - high
    while (low := up_to(hits) < level).any():
        hits = hits + low
    return hits


def _binomial_up_to(hits: Floats, rows: Floats, chance: Floats) -> Floats:
    from scipy.special import betaincc

    known = (hits >= 0) & (hits < rows)
    inner = np.where(known, hits, 0.0)
    within = betaincc(inner + 1, np.maximum(rows - inner, 1), chance)
    return np.where(hits < 0, 0.0, np.where(known, within, 1.0))


def hypergeometric_tail(least: int, rows: int, marked: int, drawn: int) -> float:
    """Return the probability of `least` marked ones or more among those drawn without replacement."""
    if least * rows > marked * drawn:
        return _rare_tail(least, rows, marked, drawn)
    # no more than least - 1 of them: at least so many of the others
    return 1 - _rare_tail(drawn - least + 1, rows, rows - marked, drawn)


def _rare_tail(least: int, rows: int, marked: int, drawn: int) -> float:
    """Return the same for a number that is above the expected one."""
    from scipy.special import betaln

    most = min(marked, drawn)
    if least > most:
        return 0.0
    if least <= max(0, marked + drawn - rows):
        return 1.0
    deviation = np.sqrt(marked / rows * (1 - marked / rows) * drawn)
    k = np.arange(least, min(most, least + int(_DEVIATIONS * (1 + deviation))), dtype=np.float64)
    ratios = (marked - k) / (k + 1) * ((drawn - k) / (rows - marked - drawn + k + 1))

    def chosen(some: int, of: int) -> float:
        return -float(betaln(of - some + 1, some + 1)) - np.log(of + 1)

    first = chosen(least, marked) + chosen(drawn - least, rows - marked) - chosen(drawn, rows)
    return min(1.0, float(np.exp(first) * (1 + np.cumprod(ratios).sum())))
