"""Draw the next token from the softmax: exactly, reproducibly, and with explanations.

::

    sample(logits, temperature=0.8, top_k=40, top_p=0.95, seed=1, position=0)   one call
    sample(logits, seed=numpy.random.default_rng(1))                            a new draw in each call
    Chain.like("llama.cpp").sample(logits, seed=1, position=0, history=[...])   the order of an engine
    Chain.like("vllm", top_p=0.9).explain(logits)                               what each stage removed
    verify(draft_tokens, draft_logits, target_logits, chain, 1, 0)              speculative decoding
"""

from ._keys import row_seeds
from .chain import Chain, Sample
from .explanation import Explanation, Step
from .history_stages import DontRepeatYourself, FrequencyPenalty, PresencePenalty, RepetitionPenalty
from .sample import sample
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
from .verify import Verification, verify

__all__ = [
    "Allowed",
    "Bias",
    "Chain",
    "DontRepeatYourself",
    "ExcludeTopChoices",
    "Explanation",
    "FrequencyPenalty",
    "MinP",
    "PresencePenalty",
    "RepetitionPenalty",
    "Sample",
    "Stage",
    "Step",
    "Temperature",
    "TopK",
    "TopNSigma",
    "TopP",
    "TypicalP",
    "Verification",
    "row_seeds",
    "sample",
    "verify",
]
