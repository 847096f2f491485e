"""The machine that runs PTX without a GPU: what it computes, and the faults that it finds."""

import numpy as np
import pytest
from ptx_machine import run_kernel
from ptx_memory import Fault

HEAD = """
.visible .entry kernel(.param .u64 kernel_param_0)
{
    .reg .pred %p<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .b16 %rs<9>;
    ld.param.b64 %rd1, [kernel_param_0];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
"""
TABLE = "shfl.sync.idx.b32 %r3, %r1, 7, 31, 0xffffffff;"


def run(body, numbers, shared=0, threads=64):
    """Run a program whose threads have their numbers in %r1 and the addresses of theirs in %rd3."""
    place = numbers.ctypes.data, numbers.nbytes
    run_kernel(HEAD + body + "ret;\n}", threads, shared, (1, 1, 1), [("*fp32", place[0])], [place])
    return numbers


def numbers():
    return np.arange(64, dtype=np.float32) / 7


def test_threads_that_part_meet_again():
    body = """
        ld.global.b32 {%r2}, [%rd3 + 0]; and.b32 %r4, %r1, 1; setp.eq.b32 %p1, %r4, 0; @%p1 bra $EVEN;
        neg.f32 %r2, %r2; bra.uni $ALL;
    $EVEN: mul.rn.f32 %r2, %r2, 0f40000000; @!%p1 add.rn.f32 %r2, %r2, %r2;
    $ALL: shfl.sync.bfly.b32 %r3, %r2, 1, 31, 0xffffffff; st.global.b32 [%rd3 + 0], {%r3};
    """
    x = numbers()
    changed = np.where(np.arange(64) % 2 == 0, 2 * x, -x)
    assert (run(body, x) == changed.reshape(-1, 2)[:, ::-1].ravel()).all()


def test_each_thread_goes_round_a_loop_as_often_as_it_must():
    body = """
        mov.b32 %r2, 0;
    $AGAIN: add.s32 %r2, %r2, 3; setp.lt.u32 %p1, %r2, %r1; @%p1 bra $AGAIN;
        cvt.rn.f32.s32 %r3, %r2; st.global.b32 [%rd3], {%r3};
    """
    assert run(body, numbers()).tolist() == [max(3, -(-k // 3) * 3) for k in range(64)]


def test_numbers_pass_between_warps_behind_a_barrier():
    body = """
        mov.b32 %r2, global_smem; shl.b32 %r4, %r1, 2; add.s32 %r5, %r2, %r4; ld.global.b32 %r6, [%rd3];
        st.shared.b32 [%r5], %r6; bar.sync 0;
        xor.b32 %r7, %r4, 252; ld.shared.b32 %r6, [%r7]; st.global.b32 [%rd3], %r6;
    """
    x = numbers()
    assert (run(body, x.copy(), shared=256) == x[::-1]).all()
    with pytest.raises(Fault, match="read before a barrier"):
        run(body.replace("bar.sync 0;", ""), x, shared=256)
    with pytest.raises(Fault, match=r"of shared memory at 252, of 128"):
        run(body, x, shared=128)


def test_look_ups_that_only_some_threads_reach_are_faults():
    parted = f"setp.eq.b32 %p1, %r1, 5; @%p1 bra $OTHER; {TABLE} bra.uni $END; $OTHER: "
    with pytest.raises(Fault, match="elsewhere: shfl"):
        run(parted + f"{TABLE} $END: add.s32 %r2, %r2, 1;", numbers())
    with pytest.raises(Fault, match="elsewhere: shfl"):
        run(parted + "$END: add.s32 %r2, %r2, 1;", numbers())
    with pytest.raises(Fault, match="elsewhere: bar"):
        run("setp.lt.u32 %p1, %r1, 32; @%p1 bra $END; bar.sync 0; $END: add.s32 %r2, %r2, 1;", numbers())


@pytest.mark.parametrize(
    ("access", "fault"),
    [
        ("ld.global.b32 %r2, [%rd3 + 4];", "in no tensor"),
        ("st.global.b32 [%rd3 + -4], %r1;", "in no tensor"),
        ("ld.global.b32 %r2, [%rd3 + 2];", "off a border of 4"),
        ("ld.global.v2.b32 {%r2, %r3}, [%rd3];", "off a border of 8"),
    ],
)
def test_addresses_that_are_wrong_are_faults(access, fault):
    with pytest.raises(Fault, match=fault):
        run(access, numbers())


@pytest.mark.parametrize("exact", ["fma.rn.f32 %r3, %r2, %r2, %r2;", "mul.rn.f32 %r3, %r2, %r2;"])
def test_floats_are_rounded_once(exact):
    x = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    wide = x.astype(np.longdouble)
    want = wide * wide + (wide if exact.startswith("fma") else 0)
    got = run(f"ld.global.b32 %r2, [%rd3]; {exact} st.global.b32 [%rd3], %r3;", x.copy())
    assert (got == want.astype(np.float32)).all()


def test_an_instruction_that_is_not_known_is_an_error():
    with pytest.raises(NotImplementedError, match="ex2"):
        run("ex2.approx.f32 %r2, %r1;", numbers())
