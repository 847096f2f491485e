"""Sampling on a GPU: the CPU's tokens, then time beside transformers' processors with torch.multinomial.

Needs a CUDA device. Every time is the median of rounds in which all contenders take turns, from the call in
Python to the tokens on the device.
"""

import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _gpu_times import on_device, poison

import softmaxlib.torch as ours
from softmaxlib.sampling import Chain

try:
    import transformers
except ImportError:
    transformers = None

STANDARD = {"temperature": 0.8, "top_k": 50, "top_p": 0.9}
CHAINS: dict[str, dict[str, Any]] = {
    "temperature, top-k, top-p": STANDARD,
    "temperature, top-p": {"temperature": 0.8, "top_p": 0.9},
    "temperature": {"temperature": 0.8},
    "greedy": {"temperature": 0},
    "min-p": {"min_p": 0.05},
    "typical": {"typical_p": 0.9, "temperature": 1.2},
    "top-n-sigma": {"top_n_sigma": 1.5},
}
TIMED = (
    ("temperature, top-k, top-p", "spread", torch.float32, 64, 128256),
    ("temperature, top-k, top-p", "flat", torch.float32, 64, 128256),
    ("temperature, top-k, top-p", "spread", torch.bfloat16, 64, 128256),
    ("temperature, top-p", "spread", torch.float32, 64, 128256),
    ("temperature, top-p", "flat", torch.float32, 64, 128256),
    ("temperature", "spread", torch.float32, 64, 128256),
    ("temperature, top-k, top-p", "spread", torch.float32, 256, 32000),
    ("temperature, top-k, top-p", "spread", torch.float32, 1, 128256),
)


def logits(rows: int, classes: int, kind: str, seed: int = 0) -> torch.Tensor:
    """Random logits: spread, nearly equal, with ties, or with most tokens removed."""
    x = torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))
    if kind == "spread":
        return 3 * x
    if kind == "ties":
        return (2 * x).round()
    if kind == "removed":
        return torch.where(x > 0.8, 3 * x, -torch.inf)
    return 0.01 * x  # "flat"


def cases() -> Iterator[tuple[str, torch.Tensor, dict[str, Any]]]:
    """Name, logits and options, the most used first."""
    for kind in ("spread", "ties", "removed", "flat"):
        yield f"{kind} (5, 128256)", logits(5, 128256, kind), STANDARD
    x = logits(9, 3000, "spread")
    yield "every other", x[:, ::2], STANDARD
    yield "transposed", logits(900, 6, "spread").T, STANDARD
    yield "off a border", torch.randn(1 + 4 * 3001)[1:].view(4, 3001), STANDARD
    own = {"temperature": np.linspace(0, 2, 9), "top_k": np.arange(1, 10), "top_p": np.linspace(0.2, 1, 9)}
    yield "a parameter a row", x, own
    yield "a seed a row", x, {**STANDARD, "seed": np.arange(9, dtype=np.uint64) + 2**63, "position": 5}
    yield "bias", x, {**STANDARD, "bias": {5: 3.0, 7: -np.inf}}
    yield "allowed", x, {**STANDARD, "allowed": x.numpy() > 0}
    yield "allowed, all of them", x, {"allowed": x.numpy() > 0}
    for name, options in CHAINS.items():
        for kind in ("spread", "ties", "removed"):
            yield f"{name}, {kind} (7, 5003)", logits(7, 5003, kind), options
        yield f"{name} (3, 128256)", logits(3, 128256, "spread"), options
    for dtype in (torch.bfloat16, torch.float16):
        yield f"{dtype} (4, 50257)", logits(4, 50257, "spread").to(dtype), STANDARD
    for classes in (2, 63, 64, 65, 1000, 4097, 32000, 151936, 1):
        yield f"(3, {classes})", logits(3, classes, "spread"), STANDARD


def check_case(which: int) -> list[str]:
    """Compare tokens and log probabilities with the CPU's."""
    name, x, options = list(cases())[which]
    options = {"seed": 20261127, "position": 3} | options
    there = on_device(x)
    poison()
    got = [part.cpu() for part in ours.sample(there, **options)]
    want = ours.sample(x, **options)
    return [
        f"{name}: {part} {here.tolist()[:4]}, expected {expected.tolist()[:4]}"
        for part, here, expected in zip(("token", "logprob", "processed_logprob"), got, want, strict=True)
        if here.shape != expected.shape or not torch.equal(here, expected)
    ]


def checks() -> dict[str, Callable[[], list[str]]]:
    """Return what is compared with the CPU."""
    found: dict[str, Callable[[], list[str]]] = {}
    for which, (name, _, _) in enumerate(cases()):
        found[f"draws, {name}"] = functools.partial(check_case, which)
    return found | {"draws, bad rows": check_bad_rows, "draws, history": check_history}


def check_bad_rows() -> list[str]:
    """Rows that can't be drawn from give token -1 and NaN, and leave the others alone."""
    x = logits(6, 3000, "spread")
    good = ours.sample(x, seed=1, position=0, **STANDARD).token
    x[1, 7], x[2, 7], x[3] = torch.nan, torch.inf, -torch.inf
    token, logprob, _ = (part.cpu() for part in ours.sample(x.cuda(), seed=1, position=0, **STANDARD))
    bad = torch.tensor([False, True, True, True, False, False])
    right = torch.equal(token, torch.where(bad, -1, good)) and torch.equal(logprob.isnan(), bad)
    return [] if right else [f"bad rows: {token.tolist()}"]


def check_history() -> list[str]:
    """Penalties, and the processor inside generate()."""
    chain = Chain.like(
        "vllm", **STANDARD, presence_penalty=0.5, repetition_penalty=1.1, frequency_penalty=0.2
    )
    scores, ids = logits(4, 5000, "spread"), torch.randint(5000, (4, 20))
    processor = ours.DrawLogitsProcessor(chain, 3, prompt_length=12)
    here, there = processor(ids, scores), processor(ids.cuda(), scores.cuda())
    return [] if torch.equal(here, there.cpu()) else ["penalties: another token"]


def peer(x: torch.Tensor, options: dict[str, Any]) -> Callable[[], object]:
    """transformers' processors, softmax and multinomial, as its generate() calls them."""
    temperature, k, p = options["temperature"], options.get("top_k"), options.get("top_p")
    processors: list[Callable[[Any, torch.Tensor], torch.Tensor]]
    if transformers is None:
        processors = [lambda ids, s: s / temperature]
        processors += [lambda ids, s: s.masked_fill(s < s.topk(k)[0][..., -1:], -torch.inf)] if k else []
        processors += [lambda ids, s: _top_p(s, p)] if p else []
    else:
        processors = [transformers.TemperatureLogitsWarper(temperature)]
        processors += [transformers.TopKLogitsWarper(k)] if k else []
        processors += [transformers.TopPLogitsWarper(p)] if p else []
    ids = torch.zeros((len(x), 1), dtype=torch.int64, device=x.device)

    def body() -> object:
        scores = x.float()
        for processor in processors:
            scores = processor(ids, scores)
        return torch.multinomial(torch.softmax(scores, -1), 1)

    return body


def _top_p(scores: torch.Tensor, p: float) -> torch.Tensor:
    """Compute what `TopPLogitsWarper` does, where transformers is missing."""
    ordered, index = scores.sort(descending=False)
    remove = ordered.softmax(-1).cumsum(-1) <= 1 - p
    remove[..., -1:] = False
    return scores.masked_fill(remove.scatter(1, index, remove), -torch.inf)


def milliseconds(contenders: dict[str, Callable[[], object]], rounds: int = 10) -> dict[str, float]:
    """The median time of each, in turns; "host" is the time in Python of ours alone."""
    times: dict[str, list[float]] = {name: [] for name in (*contenders, "host")}
    for body in contenders.values():
        body()
    for _ in range(rounds):
        for name, body in contenders.items():
            torch.cuda.synchronize()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start = time.perf_counter()
            begin.record()
            body()
            end.record()
            if name == "ours":
                times["host"].append(1000 * (time.perf_counter() - start))
            end.synchronize()
            times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(values) for name, values in times.items()}


def on_device_alone(body: Callable[[], object]) -> float:
    """Milliseconds on the device of a call, by many calls that wait behind a long one."""
    body()
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(40_000_000)
    begin.record()
    for _ in range(20):
        body()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 20


_BY = "transformers' processors" if transformers else "the same steps in PyTorch"
HEADER = (
    f"draws in ms beside {_BY} and torch.multinomial; 'queued' is many calls without a wait\n"
    f"{'case':58}{'ours':>8}{'host':>8}{'queued':>8}{'theirs':>9}{'times':>7}{'queued':>8}"
)


def time_case(name: str, kind: str, dtype: torch.dtype, rows: int, classes: int, rounds: int) -> str:
    """Return times, and how many times faster ours is."""
    x = logits(rows, classes, kind).cuda().to(dtype)
    options = CHAINS[name]
    chain = Chain.standard(**options)
    own: Callable[[], object] = lambda: chain.sample(x, seed=5, position=1)  # noqa: E731
    theirs = peer(x, options)
    t = milliseconds({"ours": own, "theirs": theirs}, rounds)
    queued, their_queued = on_device_alone(own), on_device_alone(theirs)
    case = f"{name}, {kind} {str(dtype)[6:]} ({rows}, {classes})"
    return (
        f"{case:58}{t['ours']:8.3f}{t['host']:8.3f}{queued:8.3f}{t['theirs']:9.3f}"
        f"{t['theirs'] / t['ours']:7.1f}{their_queued / queued:8.1f}"
    )


def timings() -> dict[str, Callable[[int], str]]:
    """Return what is timed, by name: a call with a number of rounds returns a line."""
    return {f"draws {case}": functools.partial(time_case, *case) for case in TIMED}
