"""``softmaxlib demo``: the main job on real data that ships inside scikit-learn."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ._options import LARGEST_SEED, Quiet
from ._printing import Printer

if TYPE_CHECKING:
    from ..report import Evaluation

_PIXEL_RANGE = 16.0
_PAIR = ("before", "after calibration")
_ABSTAIN_COST = 0.05  # a look by a human costs a twentieth of a wrong digit

_BY_HAND = """
The same by hand, in {folder}:
  softmaxlib fit validation.parquet --label digit --abstain-cost {abstain_cost} -o policy.json
  softmaxlib decide test.parquet --policy policy.json -o decisions.parquet
  softmaxlib evaluate test.parquet --label digit --policy policy.json --report report.html"""


def demo(
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("demo"),
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=LARGEST_SEED, help="Random seed of the split into training, validation and test."
        ),
    ] = 0,
    quiet: Quiet = False,
) -> None:
    """Go from 1,797 images of handwritten digits to calibrated decisions and a report."""
    from .. import files
    from ..calibration import TemperatureScaling
    from ..decisions import MinimumCost
    from ..files.location import Location
    from ._progress import bar, working

    Location(output, f"--output {output}").make_folder()
    with working("Training on handwritten digits", quiet):
        validation, test = _write_logits(output, seed)
    rule = MinimumCost(1 - np.eye(10), abstain_cost=_ABSTAIN_COST)
    policy = files.fit(validation, "digit", TemperatureScaling(), rule, random_state=seed)
    policy.save(output / "policy.json")
    with bar("Deciding", quiet) as progress:
        files.decide(test, policy, output / "decisions.parquet", progress=progress)
    with working("Writing the report", quiet):
        evaluation = files.evaluate(test, "digit", policy=policy, random_state=seed)
        evaluation.to_html(output / "report.html", title="Can these readings of digits be trusted?")
    printer = Printer(quiet)
    printer.table(("on the test images", *_PAIR), _summary(evaluation), numbers=_PAIR)
    written = f"\nDecisions: {output / 'decisions.parquet'}\nReport:    {output / 'report.html'}"
    by_hand = _BY_HAND.format(folder=output, abstain_cost=_ABSTAIN_COST)
    for line in (*written.split("\n"), *by_hand.split("\n")):
        printer.line(line)


def _write_logits(folder: Path, seed: int) -> tuple[Path, Path]:
    """Train on a third of the images and write the logits of the other two thirds."""
    from sklearn.datasets import load_digits

    from ..sklearn import SoftmaxClassifier

    images, digits = load_digits(return_X_y=True)
    images, digits = np.asarray(images) / _PIXEL_RANGE, np.asarray(digits)
    order = np.random.default_rng(seed).permutation(len(digits))
    training, *held_out = np.array_split(order, 3)
    classifier = SoftmaxClassifier().fit(images[training], digits[training])
    paths = folder / "validation.parquet", folder / "test.parquet"
    for path, rows in zip(paths, held_out, strict=True):
        _write_table(path, rows, classifier.decision_function(images[rows]), digits[rows])
    return paths


def _write_table(path: Path, rows: np.ndarray, logits: np.ndarray, digits: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    from .._files import written_whole

    columns = {"image": rows}
    columns |= {f"logit_{digit}": logits[:, digit] for digit in range(logits.shape[1])}
    columns["digit"] = digits
    with written_whole(path) as file:
        parquet.write_table(pa.table(columns), file)


def _summary(evaluation: "Evaluation") -> Iterator[tuple[str, str, str]]:
    before, after, decided = evaluation.before.figures, evaluation.final.figures, evaluation.decided
    assert decided is not None
    for name in ("accuracy", "log_loss", "calibration_error"):
        yield name.replace("_", " "), f"{getattr(before, name):.4f}", f"{getattr(after, name):.4f}"
    yield "sent to a human", "", f"{1 - decided.coverage:.1%}"
    yield "accuracy on the rest", "", f"{decided.accuracy:.4f}"
