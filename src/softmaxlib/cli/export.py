"""``softmaxlib export``: a policy as an ONNX model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InvalidInputError
from ._options import Quiet
from ._printing import Printer

_ENDING = ".onnx"


def export(
    policy: Annotated[Path, typer.Argument(help="The policy, as written by softmaxlib fit.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .onnx file to write.")],
    dtype: Annotated[
        str, typer.Option(help="Input type of the model: float32 or float64, as the network returns it.")
    ] = "float32",
    groups: Annotated[
        str | None,
        typer.Option(
            help="For prediction sets fitted with --groups: whether the model takes the names of groups or "
            "their numbers. Default: names.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a fitted policy as an ONNX model, which runs without softmaxlib.

    softmaxlib export policy.json -o policy.onnx

    The model takes logits (or probabilities, as the policy was fitted) and gives
    calibrated probabilities, the most likely class, action, abstained, confidence,
    and the expected cost and sets if the rule has them.
    """
    from .._files import check_outputs
    from ..policy import MultilabelPolicy, Policy

    if MultilabelPolicy.is_saved_in(policy):
        raise InvalidInputError(
            f"{policy} must be the policy of one class per row, and is that of a multi-label model; use it "
            "with softmaxlib decide"
        )
    fitted = Policy.load(policy)
    check_outputs({"--output": output}, {"the policy": policy})
    if output.suffix != _ENDING:
        raise InvalidInputError(f"--output must end in {_ENDING}, got {output.name}; name it policy{_ENDING}")
    choices: dict[str, Any] = {"dtype": dtype}
    if groups is not None:
        if not fitted.rule.takes_groups:
            raise InvalidInputError(
                f"--groups is for a policy that was fitted with it, and {policy} decides by {fitted.rule}; "
                "leave it out"
            )
        choices["groups"] = groups
    fitted.to_onnx(output, **choices)
    taken = f"{fitted.input} of {len(fitted.class_names_)} classes in {dtype}"
    Printer(quiet).line(f"a model that takes {taken}, written to {output}")
