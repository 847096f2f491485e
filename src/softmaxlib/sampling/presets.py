"""The order and the defaults of known engines, each read from its published source.

======================  ==========================================================================
transformers 5          src/transformers/generation/utils.py `_get_logits_processor`, configuration_utils.py
vLLM (v1)               vllm/v1/sample/sampler.py, sampling_params.py
llama.cpp               common/common.h `common_params_sampling`, common/sampling.cpp, src/llama-sampler.cpp
SGLang                  python/sglang/srt/sampling/sampling_batch_info.py, layers/sampler.py (flashinfer)
mlx-lm                  mlx_lm/sample_utils.py `make_sampler`, `make_logits_processors`
======================  ==========================================================================

The order of stages and which tokens each keeps follow the engine; its random numbers do not.
"""

from collections.abc import Callable
from typing import Any

from ..errors import InvalidInputError
from .history_stages import DontRepeatYourself, FrequencyPenalty, PresencePenalty, RepetitionPenalty
from .stages import (
    Allowed,
    Bias,
    ExcludeTopChoices,
    MinP,
    Stage,
    Temperature,
    TopK,
    TopNSigma,
    TopP,
    TypicalP,
)

Options = dict[str, Any]


def transformers(option: Options) -> list[Stage]:
    """Filters act on the distribution at the temperature; the penalty counts the prompt."""
    return [
        Bias(),
        RepetitionPenalty(option["repetition_penalty"]),
        Allowed(),
        Temperature(option["temperature"]),
        TopK(option["top_k"]),
        TopP(option["top_p"]),
        MinP(option["min_p"]),
        TypicalP(option["typical_p"]),
    ]


def vllm(option: Options) -> list[Stage]:
    """min-p before top-k and top-p; presence and frequency count the answer only."""
    return [
        Allowed(),
        Bias(),
        RepetitionPenalty(option["repetition_penalty"]),
        FrequencyPenalty(option["frequency_penalty"], include_prompt=False),
        PresencePenalty(option["presence_penalty"], include_prompt=False),
        Temperature(option["temperature"]),
        MinP(option["min_p"]),
        TopK(option["top_k"]),
        TopP(option["top_p"]),
    ]


def llama_cpp(option: Options) -> list[Stage]:
    """Filters act on the distribution at temperature 1; the temperature comes last."""
    return [
        Bias(),
        Allowed(),
        RepetitionPenalty(option["repetition_penalty"], window=64),
        FrequencyPenalty(option["frequency_penalty"], window=64),
        PresencePenalty(option["presence_penalty"], window=64),
        DontRepeatYourself(
            option["dry_multiplier"],
            option["dry_base"],
            option["dry_allowed_length"],
            None,
            option["dry_breakers"],
        ),
        TopNSigma(option["top_n_sigma"]),
        TopK(option["top_k"]),
        TypicalP(option["typical_p"]),
        TopP(option["top_p"]),
        MinP(option["min_p"]),
        ExcludeTopChoices(option["xtc_probability"], option["xtc_threshold"]),
        Temperature(option["temperature"]),
    ]


def sglang(option: Options) -> list[Stage]:
    """top-k and top-p both judge the whole distribution, unless min-p is on: then one after the other.

    A nucleus of the whole distribution cut to its k largest is the intersection of both sets.
    """
    top_k, top_p = TopK(option["top_k"]), TopP(option["top_p"])
    return [
        FrequencyPenalty(option["frequency_penalty"], include_prompt=False),
        PresencePenalty(option["presence_penalty"], include_prompt=False),
        RepetitionPenalty(option["repetition_penalty"]),
        Allowed(),
        Bias(),
        Temperature(option["temperature"]),
        *([top_p, top_k] if option["min_p"] is None else [top_k, top_p, MinP(option["min_p"])]),
    ]


def mlx(option: Options) -> list[Stage]:
    """Filters act on the distribution at temperature 1; greedy unless a temperature is given."""
    return [
        Bias(),
        RepetitionPenalty(option["repetition_penalty"], window=20),
        PresencePenalty(option["presence_penalty"], window=20),
        FrequencyPenalty(option["frequency_penalty"], window=20),
        TopP(option["top_p"]),
        MinP(option["min_p"]),
        ExcludeTopChoices(option["xtc_probability"], option["xtc_threshold"]),
        TopK(option["top_k"]),
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
            "dry_multiplier": None,
            "dry_base": 1.75,
            "dry_allowed_length": 2,
            "dry_breakers": (),
        },
    ),
    "sglang": (sglang, {**COMMON, **ADDITIVE}),
    "mlx": (mlx, {**COMMON, **ADDITIVE, **XTC, "temperature": 0.0}),
}


def preset(engine: str, options: Options) -> list[Stage]:
    """The stages of an engine with its defaults, `options` put in their place."""
    if engine not in ENGINES:
        raise InvalidInputError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    build, defaults = ENGINES[engine]
    unknown = sorted(set(options) - set(defaults))
    if unknown:
        raise InvalidInputError(
            f"{engine} has no option {unknown[0]!r}; it has {', '.join(sorted(defaults))}"
        )
    return build({**defaults, **options})
