"""The effect of each stage of a chain on one row, as numbers and as a table."""

from dataclasses import dataclass

import numpy as np

from .._checks import check_integer, check_sequence
from ..activations import log_softmax
from ..errors import InvalidInputError
from ._call import Call, apply, run
from ._elementary import Float64Array


@dataclass(frozen=True)
class Step:
    """One line of an explanation.

    Attributes
    ----------
    stage : str
        The stage, or "logits" for the start.
    left, removed : int
        Number of tokens left, and number removed by this stage.
    mass_removed : float
        The probability, before this stage, of the tokens that it removed.
    mass_moved : float
        Half the sum of |p after - p before|: the probability that moved to other tokens.
    entropy : float
        Entropy of the distribution after the stage, in nats.
    top : tuple of (int, float)
        The most probable tokens after the stage, with their probabilities.
    """

    stage: str
    left: int
    removed: int
    mass_removed: float
    mass_moved: float
    entropy: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Explanation:
    """The steps of a chain on one row. Prints as a table."""

    steps: tuple[Step, ...]
    names: tuple[str, ...] | None = None

    def __str__(self) -> str:
        width = max(len(step.stage) for step in self.steps)
        lines = [f"{'stage':<{width}}   left  removed  mass removed  mass moved  entropy  most probable"]
        for step in self.steps:
            top = ", ".join(f"{self.name(token)}: {probability:.4f}" for token, probability in step.top)
            lines.append(
                f"{step.stage:<{width}}  {step.left:>5}  {step.removed:>7}  {step.mass_removed:>12.4f}  "
                f"{step.mass_moved:>10.4f}  {step.entropy:>7.4f}  {top}"
            )
        return "\n".join(lines)

    def name(self, token: int) -> str:
        """Return the name of a token, or its id."""
        return str(token) if self.names is None else self.names[token]


def explain(call: Call, names: list[str] | None, top: int) -> Explanation:
    """Explain the stages of a call with one row."""
    top = check_integer(top, "top", lower=0)
    texts = None if names is None else check_sequence(names, "names", "strings")
    scores = run(call, [])
    if texts is not None and len(texts) != scores.shape[-1]:
        raise InvalidInputError(f"names must hold one string a token ({scores.shape[-1]}), got {len(texts)}")
    steps = [_step("logits", scores, scores, top)]
    for stage in call.stages:
        after = apply(stage, scores, call.context)
        if not np.array_equal(after, scores):
            steps.append(_step(repr(stage), scores, after, top))
        scores = after
    return Explanation(tuple(steps), texts)


def _step(name: str, before: Float64Array, after: Float64Array, top: int) -> Step:
    earlier, later = np.exp(log_softmax(before)[0]), np.exp(log_softmax(after)[0])
    gone = np.isfinite(before[0]) & ~np.isfinite(after[0])
    some = later > 0
    best = np.argsort(-later, kind="stable")[:top]
    return Step(
        stage=name,
        left=int(np.isfinite(after).sum()),
        removed=int(gone.sum()),
        mass_removed=float(earlier[gone].sum()),
        mass_moved=float(0.5 * np.abs(later - earlier).sum()),
        entropy=float(-(later[some] * np.log(later[some])).sum()) + 0.0,
        top=tuple((int(token), float(later[token])) for token in best if later[token] > 0),
    )
