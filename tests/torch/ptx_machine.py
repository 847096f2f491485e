"""Runs kernels in PTX without a GPU: a reading of what Triton compiles that knows nothing of Triton.

All threads of a program go together, one instruction after the other, as NumPy arrays with one number a
thread. Where they part, those at the earliest instruction go first. What a GPU leaves undefined is a fault:
an address in no tensor or off its border, shared memory that warps touch without a barrier between them, a
barrier that not all threads reach, an exchange between the threads of a warp that some of them reach
elsewhere or never.
"""

import numpy as np
from ptx_arithmetic import FLOATS, UNSIGNED
from ptx_code import Code
from ptx_instructions import EXCHANGES, WARP, Instructions, register_type
from ptx_memory import Fault, Shared, Tensors


class Registers(dict):
    """Numbers by name, one a thread. Those that nothing has written are any."""

    def __init__(self, threads, program):
        super().__init__()
        for axis, k in zip("xyz", program, strict=True):
            self[f"%ctaid.{axis}"] = np.full(threads, k, np.uint32)
        self._threads, self._chance = threads, np.random.default_rng(0)

    def __missing__(self, name):
        kind = register_type(name)
        bits = self._chance.integers(0, 2**63, self._threads)
        self[name] = bits % 2 == 0 if kind == np.bool_ else bits.astype(kind)
        return self[name]


class Machine:
    """A kernel, its arguments and the memory that it may touch."""

    def __init__(self, code, threads, shared, arguments, tensors):
        self._threads, self._shared, self._labels = threads, shared, code.labels
        self._instructions = Instructions(threads, arguments, tensors)
        self._steps = [self._step(one) for one in code.instructions]

    def _step(self, instruction):
        base = instruction.name.split(".")[0]
        guard = instruction.guard, instruction.negated, instruction.text
        if base == "bra":
            return ("branch", self._labels[instruction.operands[0]], *guard)
        if base in ("ret", "exit"):
            return ("end", None, *guard)
        if base in ("bar", "barrier"):
            return ("exchange" if "warp" in instruction.name else "barrier", None, *guard)
        kind = "exchange" if base in EXCHANGES else "plain"
        return (kind, self._instructions.function(instruction), *guard)

    def run(self, program):
        """Run the program of these numbers."""
        regs = Registers(self._threads, program)
        self._instructions.shared = Shared(self._shared)
        alive = np.ones(self._threads, bool)
        ready, held = {0: alive.copy()}, {}  # threads, by the instruction that they are at
        while ready:
            place = min(ready)
            self._go_on(regs, place, ready.pop(place), alive, ready, held)
        if held:
            places = ", ".join(self._steps[place][4] for place in held)
            raise Fault(f"threads wait for others that are elsewhere: {places}")

    def _go_on(self, regs, place, here, alive, ready, held):
        """Let threads run up to where they part, end, wait, or meet others."""
        meeting = min(ready, default=len(self._steps))
        while place != meeting:
            kind, what, guard, negated, _ = self._steps[place]
            active = here if guard is None else here & (~regs[guard] if negated else regs[guard])
            if kind == "branch":
                for at, threads in ((what, active), (place + 1, here & ~active)):
                    if threads.any():
                        ready[at] = ready.get(at, False) | threads
                return
            if kind == "end":
                alive &= ~active
                here = here & ~active
                if not here.any():
                    return
            elif kind == "plain":
                what(regs, None if active.all() else active)
            else:
                if guard is not None:
                    raise NotImplementedError("a guarded exchange")
                here = here | held.pop(place, False)
                if not self._complete(kind, here, alive):
                    held[place] = here
                    return
                if kind == "barrier":
                    self._instructions.shared.barrier()
                elif what is not None:
                    what(regs, None if here.all() else here)
            place += 1
        ready[place] = ready.get(place, False) | here

    def _complete(self, kind, here, alive):
        """Whether all threads are here, or all of each warp."""
        if kind == "barrier":
            return (here == alive).all()
        warps = here.reshape(-1, WARP)
        return (warps.all(axis=1) | ~warps.any(axis=1)).all()


def run_kernel(text, threads, shared, grid, arguments, places):
    """Run a kernel: ``arguments`` as (type, number), ``places`` the tensors as (address, size)."""
    code = Code(text)
    bits = [_bits(kind, number) for kind, number in arguments]
    bits += [0] * (len(code.parameters) - len(bits))  # memory of Triton's own, which is not used
    arguments = dict(zip(code.parameters, bits, strict=True))
    machine = Machine(code, threads, shared, arguments, Tensors(places))
    with np.errstate(all="ignore"):
        for program in np.ndindex(*grid[::-1]):
            machine.run(program[::-1])


def _bits(kind, number):
    if kind.startswith("fp"):
        bits = int(kind[2:])
        return int(np.array([number], FLOATS[bits]).view(UNSIGNED[bits])[0])
    return int(number) & (2**64 - 1)
