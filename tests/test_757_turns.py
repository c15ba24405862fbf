"""CTAs that wait for each other: grid barriers, tickets, locks; as many take turns as a card holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.machine import Prepared, prepare
from gpusim.emulator.sources import open_source
from gpusim.emulator.tracing import run, run_in_memory, trace_kernel
from gpusim.errors import CudaError, GpusimError, LaunchFault
from gpusim.limits import ctas_per_sm
from gpusim.trace.store import open_trace
from gpusim.trace.trace import CtaChunk

# What cooperative_groups::this_grid().sync() does: the CTA's first thread adds one, that of CTA 0 what makes the sum
# 0x80000000, and waits until the top bit changes.
SYNC = """
__device__ void sync_grid() {
    unsigned high, low;
    asm volatile("mov.u32 %0, %envreg1;" : "=r"(high));
    asm volatile("mov.u32 %0, %envreg2;" : "=r"(low));
    volatile unsigned* arrived = (volatile unsigned*)(((unsigned long long)high << 32 | low) + 4);
    if (arrived == (volatile unsigned*)4) __trap();
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        unsigned before = atomicAdd((unsigned*)arrived, blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1u);
        while (((before ^ *arrived) & 0x80000000u) == 0) { }
        __threadfence();
    }
    __syncthreads();
}
"""
ROUNDS = f"""{SYNC}
extern "C" __global__ void rounds(int* x) {{
    __shared__ int mine;
    int own = blockIdx.x * 100, local[4] = {{own, own + 1, own + 2, own + 3}};
    for (int k = 0; k < 5; k++) {{
        if (threadIdx.x == 0) mine = x[(blockIdx.x + 1) % gridDim.x];
        sync_grid();
        if (threadIdx.x == 0) x[blockIdx.x] = mine + 1;
        sync_grid();
        local[(x[0] + threadIdx.x) & 3] += 1;
    }}
    if (threadIdx.x == 40) x[gridDim.x + blockIdx.x] = local[0] + local[1] + local[2] + local[3] - 4 * own;
}}
"""


def files(folder: Path, code: str, grid: int, block: int = 64, count: int = 64, more: str = "") -> tuple[Path, Path]:
    source, launch = folder / "turns.cu", folder / "turns.yaml"
    source.write_text(code)
    launch.write_text(
        f"buffers:\n  x: {{dtype: int32, shape: [{count}], fill: zeros}}\n"
        f"launches:\n  - {{grid: [{grid}], block: [{block}], arguments: [{{buffer: x}}]{more}}}\n"
    )
    return source, launch


COOPERATIVE = ", cooperative: true"


@pytest.mark.parametrize("architecture", [75, 80, 86, 90])
def test_grid_barriers_hold(tmp_path: Path, architecture: int) -> None:
    trace, summary = run_in_memory(*files(tmp_path, ROUNDS, 24, more=COOPERATIVE), architecture)
    x = summary.buffers["x"]
    assert x[:24].tolist() == [5] * 24
    assert x[24:48].tolist() == [6 + 5] * 24
    (launch,) = trace.launches
    chunks = list(launch.chunks())
    assert [(chunk.first_cta, chunk.cta_count) for chunk in chunks] == [(0, 24)]
    _every_warp_is_whole(chunks, launch.program.text)
    assert summary.polling[0] < 0.5 * summary.warp_instructions


def _every_warp_is_whole(chunks: list[CtaChunk], text: tuple[str, ...]) -> None:
    """Streams begin at the first instruction and end with an EXIT."""
    for chunk in chunks:
        first, last = chunk.index[chunk.instruction_start[:-1]], chunk.index[chunk.instruction_start[1:] - 1]
        assert not first.any()
        assert all("EXIT" in text[k] for k in last)


def test_cooperative_groups_synchronise(tmp_path: Path) -> None:
    code = """
    #include <cooperative_groups.h>
    extern "C" __global__ void gather(int* x) {
        if (threadIdx.x == 0) x[blockIdx.x] = 1;
        cooperative_groups::this_grid().sync();
        if (blockIdx.x == 0 && threadIdx.x == 0) { int s = 0; for (int i = 0; i < gridDim.x; i++) s += x[i]; x[63] = s; }
    }
    """
    try:
        _, summary = run_in_memory(*files(tmp_path, code, 8, more=COOPERATIVE))
    except GpusimError as error:
        if "nv/target" not in str(error):
            raise
        pytest.skip("the headers of CCCL are not installed")
    assert summary.buffers["x"][63] == 8


def test_a_launch_that_is_not_cooperative_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(
        LaunchFault, match=r"stops itself \(trap\); it uses a grid barrier.*`cooperative: true`"
    ) as error:
        run_in_memory(*files(tmp_path, ROUNDS, 4))
    assert error.value.cuda_error == CudaError.LAUNCH_FAILURE


def test_a_cooperative_launch_must_fit_the_card(tmp_path: Path) -> None:
    with pytest.raises(LaunchFault, match=r"2,000 CTAs; a card holds 1,344 of them at once: make") as error:
        run_in_memory(*files(tmp_path, ROUNDS, 2000, more=COOPERATIVE))
    assert error.value.cuda_error == CudaError.COOPERATIVE_LAUNCH_TOO_LARGE


# CTA k waits until the one behind it is done: the last one begins.
BACKWARDS = """
extern "C" __global__ void backwards(int* x) {
    if (threadIdx.x == 0) {
        int next = blockIdx.x + 1;
        while (next < gridDim.x && ((volatile int*)x)[next] == 0) { }
        x[blockIdx.x] = 1 + (next < gridDim.x ? ((volatile int*)x)[next] : 0);
    }
}
"""


def test_ordinary_launches_take_turns_where_they_must(tmp_path: Path) -> None:
    _, summary = run_in_memory(*files(tmp_path, BACKWARDS, 30))
    assert summary.buffers["x"][:30].tolist() == list(range(30, 0, -1))


def _prepared(folder: Path, code: str, grid: int, resident: int) -> tuple[Prepared, GlobalMemory]:
    source, _ = files(folder, code, grid)
    program = open_source(source).choose(None, "here")
    memory = GlobalMemory()
    address = memory.add("x", np.zeros(64, np.int32))
    shape = (grid, 1, 1), (64, 1, 1)
    return prepare(program, *shape, 0, address.to_bytes(8, "little"), memory, resident=resident), memory


def _chunks(prepared: Prepared, memory: GlobalMemory, **options: int) -> Iterator[CtaChunk]:
    return run(prepared, memory, **options)


@pytest.mark.parametrize(("resident", "waiting"), [(1, 1), (4, 4), (7, 7)])
def test_no_more_take_turns_than_are_resident(tmp_path: Path, resident: int, waiting: int) -> None:
    prepared, memory = _prepared(tmp_path, BACKWARDS, 8, resident)
    with pytest.raises(
        LaunchFault, match=rf"another CTA: {waiting} of 8 have begun and wait; a card holds {resident} at once"
    ) as error:
        list(_chunks(prepared, memory))
    assert error.value.cuda_error == CudaError.LAUNCH_TIMEOUT


# CTAs 0 and 1 wait for each other, again and again; those behind come after them.
PAIR = """
extern "C" __global__ void pair(int* x) {
    if (blockIdx.x < 2 && threadIdx.x == 0)
        for (int k = 1; k < 20; k++) {
            ((volatile int*)x)[blockIdx.x] = k;
            while (((volatile int*)x)[1 - blockIdx.x] < k) { }
        }
    if (threadIdx.x == 0) x[2 + blockIdx.x] = blockIdx.x < 2 ? x[0] + x[1] : blockIdx.x;
}
"""


def test_streams_come_out_in_order_of_their_ctas(tmp_path: Path) -> None:
    prepared, memory = _prepared(tmp_path, PAIR, 60, resident=3)
    chunks = list(_chunks(prepared, memory, chunk_instructions=100))
    ctas = [cta for chunk in chunks for cta in range(chunk.first_cta, chunk.first_cta + chunk.cta_count)]
    assert ctas == list(range(60))
    assert len(chunks) > 2
    _every_warp_is_whole(chunks, prepared.program.text)
    assert memory.contents()["x"][2:62].tolist() == [38, 38, *range(2, 60)]


def test_nothing_is_kept_of_turns_that_nobody_reads(tmp_path: Path) -> None:
    prepared, memory = _prepared(tmp_path, PAIR, 60, resident=3)
    assert list(_chunks(prepared, memory, keep=False)) == []
    assert memory.contents()["x"][2:62].tolist() == [38, 38, *range(2, 60)]


# CTA 0 is long before it waits, so that a part of it has been taken.
LONG = """
extern "C" __global__ void late(int* x) {
    volatile int* y = x;
    if (blockIdx.x == 0) {
        for (int k = 0; k < 20000; k++) y[threadIdx.x] += 1;
        if (threadIdx.x == 0) while (y[63] == 0) { }
    } else if (threadIdx.x == 0) atomicAdd(x + 63, 1);
}
"""


def test_a_long_cta_that_waits_is_whole_in_the_trace(tmp_path: Path) -> None:
    pair = files(tmp_path, LONG, 3, block=32)
    summary = trace_kernel(*pair, tmp_path / "trace")
    assert summary.buffers["x"].tolist() == [20000] * 32 + [0] * 31 + [2]
    (launch,) = open_trace(tmp_path / "trace").launches
    assert launch.warp_instructions == summary.warp_instructions
    text = launch.program.text
    streams: dict[int, list[int]] = {}
    for chunk in launch.chunks():
        for k in range(chunk.cta_count):
            own = chunk.index[chunk.instruction_start[k] : chunk.instruction_start[k + 1]]
            streams.setdefault(chunk.first_cta + k, []).extend(own.tolist())
    assert list(streams) == [0, 1, 2]
    for stream in streams.values():
        assert stream[0] == 0
        assert "EXIT" in text[stream[-1]]


@pytest.mark.parametrize(
    ("architecture", "threads", "registers", "shared", "expected"),
    [
        (86, 1024, 32, 0, 1),  # 1,536 threads
        (86, 32, 16, 0, 16),  # 16 CTAs
        (80, 256, 64, 0, 4),  # 64 K registers
        (80, 128, 16, 40 << 10, 4),  # 164 KB, 1 KB of it for each CTA
        (75, 1024, 33, 0, 1),
        (90, 64, 255, 0, 4),
    ],
)
def test_occupancy(architecture: int, threads: int, registers: int, shared: int, expected: int) -> None:
    assert ctas_per_sm(architecture, threads, registers, shared) == expected
