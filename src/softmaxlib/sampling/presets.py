"""The order, defaults and "off" values of known engines, read from their published source.

======================  ==========================================================================
transformers 5          src/transformers/generation/utils.py `_get_logits_processor`, configuration_utils.py
vLLM (v1, 2026)         vllm/v1/sample/sampler.py, vllm/sampling_params.py
llama.cpp (2026)        common/common.h `common_params_sampling`, common/sampling.cpp, src/llama-sampler.cpp
SGLang (2026)           python/sglang/srt/sampling/sampling_params.py, sampling_batch_info.py, penaltylib/;
                        python/sglang/srt/layers/sampler.py
mlx-lm (2026)           mlx_lm/sample_utils.py `make_sampler`, `make_logits_processors`
======================  ==========================================================================

The order of stages and the tokens that each keeps follow the engine. The random numbers do not. The value
that switches an option off in the engine does so here too, and None does, unless another option is the
switch (dry_multiplier, xtc_probability). In an array the value switches the option off for its row.

Equal scores are the exception. Of the tokens whose score equals the k-th, or that of the least probable top
choice (XTC), all are kept, as in transformers and vLLM. llama.cpp, mlx-lm and SGLang keep exactly k (one top
choice), but their source does not define which: they use sorts that are not stable (``std::partial_sort``,
``argpartition``, ``torch.sort``).
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import as_numpy
from .._checks import check_choice
from ..errors import InvalidInputError
from ._generator import LARGEST_VOCABULARY
from .history_stages import DontRepeatYourself, FrequencyPenalty, PresencePenalty, RepetitionPenalty
from .stages import (
    Allowed,
    Bias,
    ExcludeTopChoices,
    MinP,
    Parameter,
    Stage,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    TypicalP,
    as_real,
)

Options = dict[str, Any]
Mask = npt.NDArray[np.bool_]

SMALLEST = float(np.nextafter(0, 1))  # a share of the mass that the first token alone exceeds

# Neutral values, for rows of an array in which an option is off.
NEUTRAL: Options = {
    "top_k": LARGEST_VOCABULARY,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "top_n_sigma": np.finfo(np.float64).max,
    "repetition_penalty": 1.0,
    "dry_multiplier": 0.0,
    "xtc_probability": 0.0,
}


def transformers(option: Options) -> list[Stage]:
    """Return the stages of transformers. Filters come after the temperature, and the penalty counts the
    prompt.

    Temperature 0, which the engine rejects, means its ``do_sample=False``: the argmax.
    """
    return [
        Bias(),
        RepetitionPenalty(option["repetition_penalty"]),
        Allowed(),
        Temperature(option["temperature"]),
        TopK(_without(option, "top_k", lambda k: k == 0)),
        TopP(_replaced(option["top_p"], lambda p: p == 0, SMALLEST)),
        MinP(option["min_p"]),
        TypicalP(option["typical_p"]),
    ]


def vllm(option: Options) -> list[Stage]:
    """Return the stages of vLLM. min-p comes before top-k and top-p.

    Presence and frequency count the answer only, and repetition also the prompt. Temperatures between 0 and
    0.01 count as 0.01.
    """
    return [
        Allowed(),
        Bias(),
        RepetitionPenalty(option["repetition_penalty"]),
        FrequencyPenalty(option["frequency_penalty"], include_prompt=False),
        PresencePenalty(option["presence_penalty"], include_prompt=False),
        Temperature(_replaced(option["temperature"], lambda t: (t > 0) & (t < 0.01), 0.01)),
        MinP(option["min_p"]),
        TopK(_without(option, "top_k", lambda k: (k == 0) | (k == -1))),
        TopP(option["top_p"]),
    ]


def llama_cpp(option: Options) -> list[Stage]:
    """Return the stages of llama.cpp. Filters come before the temperature, even if it is 0.

    Penalties and DRY count the last 64 tokens of prompt and answer; -1 counts all. The default breakers of
    the engine are texts: a line break, ``:``, ``"`` and ``*``. Pass the ids of their tokens as
    `dry_breakers`.
    """
    window = _all_where(option["penalty_last_n"], -1)
    return [
        Bias(),
        Allowed(),
        RepetitionPenalty(option["repetition_penalty"], window=window),
        FrequencyPenalty(option["frequency_penalty"], window=window),
        PresencePenalty(option["presence_penalty"], window=window),
        _off_where(
            _mask(option["dry_base"], lambda base: base < 1),
            DontRepeatYourself(
                _without(option, "dry_multiplier", lambda multiplier: multiplier == 0),
                _replaced(option["dry_base"], lambda base: base < 1, 1.0),
                option["dry_allowed_length"],
                _all_where(option["dry_penalty_last_n"], -1),
                option["dry_breakers"],
            ),
            "dry_multiplier",
        ),
        TopNSigma(_without(option, "top_n_sigma", lambda n: n <= 0)),
        TopK(_without(option, "top_k", lambda k: k <= 0)),
        TypicalP(_replaced(_without(option, "typical_p", lambda p: p >= 1), lambda p: p <= 0, SMALLEST)),
        TopP(_replaced(_without(option, "top_p", lambda p: p >= 1), lambda p: p <= 0, SMALLEST)),
        MinP(_without(option, "min_p", lambda p: p <= 0)),
        ExcludeTopChoices(_without(option, "xtc_probability", lambda p: p <= 0), option["xtc_threshold"]),
        Temperature(_replaced(option["temperature"], lambda t: t < 0, 0.0)),
    ]


def sglang(option: Options) -> list[Stage]:
    """Return the stages of SGLang.

    Penalties count the answer only. Top-k and top-p both judge the whole distribution, which gives the
    intersection of both sets. With min-p, top-k, top-p and min-p follow one another. Temperatures below 1e-6
    are 0.
    """
    top_k, top_p = TopK(_without(option, "top_k", lambda k: k == -1)), TopP(option["top_p"])
    min_p = MinP(_without(option, "min_p", lambda p: p == 0))
    one_by_one = min_p.p is not None and np.any(min_p.p > 0)
    return [
        FrequencyPenalty(option["frequency_penalty"], include_prompt=False),
        PresencePenalty(option["presence_penalty"], include_prompt=False),
        RepetitionPenalty(option["repetition_penalty"], include_prompt=False),
        Allowed(),
        Bias(),
        Temperature(_replaced(option["temperature"], lambda t: (t > 0) & (t < 1e-6), 0.0)),
        *([top_k, top_p, min_p] if one_by_one else [top_p, top_k]),
    ]


def mlx(option: Options) -> list[Stage]:
    """Return the stages of mlx-lm. Filters come before the temperature.

    At temperature 0, the default, the argmax is taken before all filters. Penalties count the last 20 tokens
    that the engine has seen; a size of 0 counts all, as there (it reads ``tokens[-0:]``). Its batch generator
    has seen the whole prompt, but its `generate_step` only the last token of the prompt: pass a history that
    begins there.
    """
    greedy = _mask(option["temperature"], lambda t: t == 0)
    repetition = _without(option, "repetition_penalty", lambda p: p == 0)
    return [
        Bias(),
        RepetitionPenalty(repetition, window=_all_where(option["repetition_context_size"], 0)),
        PresencePenalty(option["presence_penalty"], window=_all_where(option["presence_context_size"], 0)),
        FrequencyPenalty(option["frequency_penalty"], window=_all_where(option["frequency_context_size"], 0)),
        _off_where(greedy, TopP(_without(option, "top_p", lambda p: (p <= 0) | (p >= 1))), "top_p"),
        _off_where(greedy, MinP(_without(option, "min_p", lambda p: p == 0)), "min_p"),
        _off_where(
            greedy,
            ExcludeTopChoices(_without(option, "xtc_probability", lambda p: p <= 0), option["xtc_threshold"]),
            "xtc_probability",
        ),
        _off_where(greedy, TopK(_without(option, "top_k", lambda k: k <= 0)), "top_k"),
        Temperature(option["temperature"]),
    ]


COMMON: Options = {"temperature": 1.0, "top_k": None, "top_p": None, "min_p": None, "repetition_penalty": 1.0}
ADDITIVE: Options = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
XTC: Options = {"xtc_probability": None, "xtc_threshold": 0.1}
ENGINES: dict[str, tuple[Callable[[Options], list[Stage]], Options]] = {
    "transformers": (transformers, {**COMMON, "top_k": 50, "typical_p": None}),
    "vllm": (vllm, {**COMMON, **ADDITIVE}),
    "llama.cpp": (
        llama_cpp,
        {
            **COMMON,
            **ADDITIVE,
            **XTC,
            "temperature": 0.8,
            "top_k": 40,
            "top_p": 0.95,
            "min_p": 0.05,
            "typical_p": None,
            "top_n_sigma": None,
            "penalty_last_n": 64,
            "dry_multiplier": None,
            "dry_base": 1.75,
            "dry_allowed_length": 2,
            "dry_penalty_last_n": 64,
            "dry_breakers": (),
        },
    ),
    "sglang": (sglang, {**COMMON, **ADDITIVE}),
    "mlx": (
        mlx,
        {
            **COMMON,
            **ADDITIVE,
            **XTC,
            "temperature": 0.0,
            "repetition_context_size": 20,
            "presence_context_size": 20,
            "frequency_context_size": 20,
        },
    ),
}


def preset(engine: str, options: Options) -> list[Stage]:
    """Return the stages of an engine with its defaults, replaced by `options`."""
    build, defaults = ENGINES[check_choice(engine, "engine", ENGINES)]
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        raise InvalidInputError(
            f"{engine} has no option {unknown[0]!r}; it has {', '.join(sorted(defaults))}"
        )
    _check_shapes({name: as_numpy(value, name).shape for name, value in options.items()})
    return build({**defaults, **options})


def _check_shapes(shapes: dict[str, tuple[int, ...]]) -> None:
    """Reject options per row that are not of the same rows."""
    shapes = {name: shape for name, shape in shapes.items() if shape and name != "dry_breakers"}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        got = ", ".join(f"shape {shape} for {name}" for name, shape in shapes.items())
        raise InvalidInputError(
            f"options must be one number or one per row of the logits, got {got}"
        ) from None


def _mask(value: Parameter, test: Callable[[npt.NDArray[Any]], Mask]) -> Mask:
    """Return where a parameter passes a test. Nowhere if it is None or invalid: the stage checks it."""
    array = as_real(value, "option")
    return test(array) if array.dtype.kind in "iuf" else np.zeros(array.shape, dtype=np.bool_)


def _without(option: Options, name: str, is_off: Callable[[npt.NDArray[Any]], Mask]) -> Parameter:
    """Return the option, neutral where its own value switches it off."""
    return _neutral_where(_mask(option[name], is_off), option[name], name)


def _off_where(rows: Mask, stage: Stage, name: str) -> Stage:
    """Return a stage, whose parameters are checked by now, that another option switches off in some rows."""
    switch = fields(stage)[0].name
    return replace(stage, **{switch: _neutral_where(rows, getattr(stage, switch), name)})


def _neutral_where(off: Mask, value: Parameter, name: str) -> Parameter:
    """Return the value of an option. None if it is one number and off, and neutral in rows in which it is
    off."""
    if value is None or not off.any():
        return value
    neutral = np.where(off, NEUTRAL[name], as_real(value, name))
    return neutral if neutral.ndim else None


def _all_where(window: Any, value: int) -> Any:
    """Return the window. None, all tokens, if it is the value that means all in the engine."""
    everything = _mask(window, lambda count: count == value)
    return None if everything.ndim == 0 and everything else window


def _replaced(value: Parameter, where: Callable[[npt.NDArray[Any]], Mask], number: float) -> Parameter:
    """Replace the parameter in the rows that pass a test."""
    mask = _mask(value, where)
    return np.where(mask, number, as_real(value, "option"))[()] if mask.any() else value
