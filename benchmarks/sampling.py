"""Time of one sampling step against transformers' processors with torch.multinomial, on the same threads.

The peers see the same float32 logits and options; each time is the least of several runs. Sampling here also
returns both log-probabilities, which the peer's time does not include.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers.generation import logits_process

import softmaxlib
from softmaxlib.sampling import sample

CASES = [
    ((64, 128256), {"temperature": 0.8, "top_k": 40, "top_p": 0.95}, 20),
    ((64, 128256), {"top_p": 0.95}, 15),
    ((64, 128256), {"temperature": 0.8}, 10),
    ((1, 128256), {"temperature": 0.8, "top_k": 40, "top_p": 0.95}, 20),
    ((1, 128256), {"top_p": 0.95}, None),
    ((1, 128256), {"temperature": 0.8}, None),
    ((64, 128256), {"temperature": 0}, None),
    ((64, 128256), {"temperature": 0.8, "min_p": 0.05}, None),
    ((256, 32000), {"temperature": 0.8, "top_k": 40, "top_p": 0.95}, None),
    ((4096, 1000), {"temperature": 0.8, "top_p": 0.95}, None),
]
WARPERS = {
    "top_k": logits_process.TopKLogitsWarper,
    "top_p": logits_process.TopPLogitsWarper,
    "min_p": logits_process.MinPLogitsWarper,
}


def theirs(logits: torch.Tensor, options: dict[str, float]) -> Callable[[], torch.Tensor]:
    if options.get("temperature") == 0:
        return lambda: logits.argmax(dim=-1)
    processors = logits_process.LogitsProcessorList()
    if "temperature" in options:
        processors.append(logits_process.TemperatureLogitsWarper(options["temperature"]))
    processors.extend(WARPERS[name](value) for name, value in options.items() if name in WARPERS)
    return lambda: torch.multinomial(torch.softmax(processors(None, logits), dim=-1), 1)


def least(function: Callable[[], object], seconds: float = 1.0) -> float:
    function()
    times, until = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    threads = len(os.sched_getaffinity(0))
    softmaxlib.show_config()
    torch.set_num_threads(threads)
    print(f"PyTorch {torch.__version__}, {threads} threads")
    print(f"{'shape':<14} {'options':<44} {'ours ms':>9} {'theirs ms':>10} {'ratio':>7} {'wanted':>7}")
    for shape, options, wanted in CASES:
        logits = (np.random.default_rng(0).standard_normal(shape) * 3).astype(np.float32)
        ours = least(lambda logits=logits, options=options: sample(logits, seed=1, position=0, **options))
        peer = least(theirs(torch.from_numpy(logits), options))
        text = " ".join(f"{name}={value}" for name, value in options.items())
        print(
            f"{shape!s:<14} {text:<44} {ours * 1e3:>9.3f} {peer * 1e3:>10.2f} {peer / ours:>6.1f}x "
            f"{f'{wanted}x' if wanted else '':>7}"
        )


if __name__ == "__main__":
    main()
