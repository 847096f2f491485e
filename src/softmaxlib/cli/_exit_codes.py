"""The exit codes of ``softmaxlib``; README and ``--help`` say the same."""

DONE = 0
BROKEN_PROMISE = 1
NOT_DONE = 2
UNEXPECTED = 3
POOR_VERDICT = 4

MEANINGS = {
    "0": "done; of audit: no promise is broken",
    "1": "a promise of the policy is broken (audit, evaluate --fail-on promise)",
    "2": "not done: an option, a file or its content is not right, or the system refused",
    "3": "an unexpected failure, a fault of softmaxlib (SOFTMAXLIB_TRACEBACK=1 shows where)",
    "4": "evaluate --fail-on caution or bad: the verdict is that, or worse",
    "128 + n": "ended by signal n: 130 is Ctrl-C, 143 is SIGTERM",
}
