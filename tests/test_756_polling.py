"""Warps that poll: how often is a matter of time, so that they do so a handful of times, and it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulator_cases import run_text

from gpusim.emulator.conditions import Conditions
from gpusim.emulator.tracing import TraceSummary, run_in_memory

HAND_OVER = """
extern "C" __global__ void hand_over(float* x) {{
    {declared}
    float v = x[threadIdx.x];
    if (threadIdx.x >= 32) {{
        for (int i = 0; i < {turns}; i++) v = v * 1.0001f + 1.0f;
        if (threadIdx.x == 32) ready = 1;
    }} else {{
        {polls}
    }}
    x[threadIdx.x] = v;
}}
"""


def hand_over(folder: Path, turns: int, polls: str, shared: bool = True) -> tuple[TraceSummary, list[str]]:
    """Warp 0 waits until warp 1 has worked; returns the summary and what was told of it."""
    source, launch = folder / "spin.cu", folder / "spin.yaml"
    ready = "volatile int ready;"
    inside = HAND_OVER.format(declared=f"__shared__ {ready}" if shared else "", turns=turns, polls=polls)
    source.write_text(inside if shared else f"__device__ {ready}\n{inside}")
    launch.write_text(
        "buffers:\n  x: {dtype: float32, shape: [64], fill: arange}\n"
        "launches:\n  - {grid: [1], block: [64], arguments: [{buffer: x}]}\n"
    )
    told: list[str] = []
    _, summary = run_in_memory(source, launch, conditions=Conditions(warn=told.append))
    assert summary.buffers["x"][:32].tolist() == list(range(32))
    return summary, told


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    "polls",
    [
        "while (!ready) { }",
        "while (!ready) __nanosleep(20);",
        "int turns = 0; while (!ready) turns++; if (turns < 0) v = 0;",
        "while (atomicAdd((int*)&ready, 0) == 0) { }",
        "while (atomicCAS((int*)&ready, 1, 1) != 1) { }",
    ],
)
def test_a_hand_over_takes_a_handful_of_polls(tmp_path: Path, shared: bool, polls: str) -> None:
    summary, told = hand_over(tmp_path, 64, polls, shared)
    assert 0 < summary.polling[0] < 60
    assert summary.warp_instructions < 400
    assert len(told) == 1
    assert f"kernel hand_over: {summary.polling[0]} of {summary.warp_instructions} warp instructions poll" in told[0]


def test_polls_grow_with_the_time_slices_of_whom_they_wait_for(tmp_path: Path) -> None:
    summary, told = hand_over(tmp_path, 100_000, "while (!ready) { }")
    assert summary.warp_instructions > 100_000
    assert 0 < summary.polling[0] < 0.01 * summary.warp_instructions
    assert told == []


def test_two_words_are_polled_like_one(tmp_path: Path) -> None:
    body = """
    S2R R0, SR_TID.X ;
    ISETP.GE.AND P0, PT, R0, 0x20, PT ;
    @P0 BRA `(SETS) ;
    WAIT:
    LDS R4, [RZ] ;
    LDS R5, [RZ+0x4] ;
    IADD3 R6, R4, R5, RZ ;
    ISETP.LT.AND P0, PT, R6, 0x2, PT ;
    @P0 BRA `(WAIT) ;
    EXIT ;
    SETS:
    MOV R7, 0x1 ;
    STS [RZ], R7 ;
    STS [RZ+0x4], R7 ;
    EXIT ;
    """
    _, (chunk,) = run_text(tmp_path, body, {}, block=64, shared=8)
    assert chunk.warp_instructions < 40


def test_reads_of_one_place_between_others_are_no_polls(tmp_path: Path) -> None:
    source, launch = tmp_path / "sum.cu", tmp_path / "sum.yaml"
    source.write_text(
        "__device__ volatile float scale;\n"
        'extern "C" __global__ void sums(float* x) {\n'
        "    float v = 0; for (int i = 0; i < 64; i++) v += ((volatile float*)x)[i] * (1 + scale); x[threadIdx.x] = v; }\n"
    )
    launch.write_text(
        "buffers:\n  x: {dtype: float32, shape: [64], fill: constant, value: 2}\n"
        "launches:\n  - {grid: [1], block: [32], arguments: [{buffer: x}]}\n"
    )
    _, summary = run_in_memory(source, launch)
    assert summary.polling == (0,)
    assert np.all(summary.buffers["x"][:32] == 128)


MBARRIER = """
extern "C" __global__ void tiles(float* x) {
    __shared__ float tile[2][256];
    __shared__ unsigned long long bar;
    unsigned at = (unsigned)__cvta_generic_to_shared(&bar);
    if (threadIdx.x == 0) asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(at), "r"(blockDim.x));
    __syncthreads();
    float sum = 0;
    for (int t = 0; t < 32; t++) {
        tile[t & 1][threadIdx.x] = x[threadIdx.x] + t;
        WAIT
        for (int k = 0; k < 32; k++) sum += tile[t & 1][(threadIdx.x * 7 + k) & 255];
    }
    x[threadIdx.x] = sum;
}
"""
ARRIVES = """unsigned long long state; int done = 0;
        asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(at));
        while (!done) asm volatile("{ .reg .pred p; mbarrier.test_wait.shared.b64 p, [%1], %2; selp.s32 %0, 1, 0, p; }"
                                   : "=r"(done) : "r"(at), "l"(state));"""


def test_a_barrier_in_memory_costs_little_more_than_one_of_hardware(tmp_path: Path) -> None:
    executed = []
    for number, wait in enumerate((ARRIVES, "__syncthreads();")):
        source, launch = tmp_path / f"tiles{number}.cu", tmp_path / f"tiles{number}.yaml"
        source.write_text(MBARRIER.replace("WAIT", wait))
        launch.write_text(
            "buffers:\n  x: {dtype: float32, shape: [256], fill: constant, value: 1}\n"
            "launches:\n  - {grid: [1], block: [256], arguments: [{buffer: x}]}\n"
        )
        _, summary = run_in_memory(source, launch)
        assert np.all(summary.buffers["x"] == 32 * sum(1 + t for t in range(32)))
        executed.append(summary.warp_instructions)
        assert summary.polling[0] < 0.1 * summary.warp_instructions
    assert executed[1] < executed[0] < 2 * executed[1]  # 46 times where a warp polls for a whole time slice
