"""Textures and surfaces in traces, and in the timing model: accesses of global memory with a latency and a stall of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpusim.config import load_config
from gpusim.constants import MemorySpace
from gpusim.emulator import texture
from gpusim.emulator.buffers import GlobalMemory
from gpusim.emulator.machine import prepare
from gpusim.emulator.sources import open_source
from gpusim.emulator.state import TEXTURE_COLUMNS
from gpusim.emulator.tracing import run
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import Result
from gpusim.sass.program import Program
from gpusim.trace.spool import Spool
from gpusim.trace.trace import Trace

WIDTH, HEIGHT, CHANNELS = 24, 8, 2
PITCH = 256

TEXTURES = """
__device__ float2 tex2d(unsigned long long t, float x, float y) {
    float a, b, c, d;
    asm volatile("tex.2d.v4.f32.f32 {%0, %1, %2, %3}, [%4, {%5, %6}];"
                 : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "l"(t), "f"(x), "f"(y));
    return make_float2(a, b);
}
__device__ float2 suld(unsigned long long s, int x, int y) {
    float a, b;
    asm volatile("suld.b.2d.v2.b32.trap {%0, %1}, [%2, {%3, %4}];" : "=f"(a), "=f"(b) : "l"(s), "r"(x), "r"(y));
    return make_float2(a, b);
}
__device__ void sust(unsigned long long s, int x, int y, float2 v) {
    asm volatile("sust.b.2d.v2.b32.trap [%0, {%1, %2}], {%3, %4};"
                 :: "l"(s), "r"(x), "r"(y), "f"(v.x), "f"(v.y));
}
"""


def row_of(address: int, **facts: int) -> np.ndarray:
    """A texture of two float32 channels."""
    row = np.zeros(TEXTURE_COLUMNS, np.int64)
    told = {
        "ADDRESS": address, "WIDTH": WIDTH, "HEIGHT": HEIGHT, "PITCH": PITCH, "CHANNELS": CHANNELS,
        "CHANNEL_BYTES": 4, "KIND": texture.FLOAT, "MODE_X": texture.CLAMP, "MODE_Y": texture.CLAMP, **facts,
    }  # fmt: skip
    for name, value in told.items():
        row[getattr(texture, name)] = value
    return row


def traced(
    folder: Path, body: str, architecture: int = 86, ctas: int = 1, **facts: int
) -> tuple[Trace, np.ndarray, int]:
    """Runs `body` with a texture t and a buffer x of float2; returns the trace, x, and the texture's address."""
    source = folder / "kernel.cu"
    source.write_text(
        f'{TEXTURES}\nextern "C" __global__ void f(unsigned long long t, float2* x) {{ int i = threadIdx.x; {body} }}\n'
    )
    program: Program = open_source(source, architecture).choose(None, "here")
    memory, texels = GlobalMemory(), np.zeros((HEIGHT, PITCH // 4), np.float32)
    texels[:, : WIDTH * CHANNELS] = np.arange(HEIGHT * WIDTH * CHANNELS).reshape(HEIGHT, -1)
    address = memory.add("texels", texels)
    arguments = (1).to_bytes(8, "little") + memory.add("x", np.zeros((32, 2), np.float32)).to_bytes(8, "little")
    table = row_of(address, **facts)[None]
    shape = (ctas, 1, 1), (32, 1, 1)
    prepared = prepare(program, *shape, 0, arguments, memory, textures=table)
    spool = Spool()
    with spool.launch(program, *shape, prepared.shared_bytes, {}) as sink:
        for chunk in run(prepared, memory):
            sink.add(chunk)
    return Trace(tuple(spool.launches), {}), memory.contents()["x"], address


def addresses(trace: Trace, opcode: str) -> np.ndarray:
    """Of the 32 lanes of the one instruction whose text begins so."""
    (launch,) = trace.launches
    (chunk,) = launch.chunks()
    (pc,) = (k for k, text in enumerate(launch.program.text) if text.startswith(opcode))
    assert launch.program.instructions.space[pc] == MemorySpace.GLOBAL
    at = np.cumsum(launch.program.address_counts[chunk.index])[np.flatnonzero(chunk.index == pc)[0]] - 1
    record = chunk.records[at]
    if record["stride"] != -(1 << 63):
        return record["start"] + record["stride"] * np.arange(32)
    return chunk.addresses[record["start"] :][:32]


LANES = np.arange(32)


@pytest.mark.parametrize("architecture", [75, 80, 86, 90])
def test_a_read_is_traced_with_its_texels(tmp_path: Path, architecture: int) -> None:
    trace, x, address = traced(tmp_path, "x[i] = tex2d(t, i % 8 * 2.5f, i / 8 + 0.9f);", architecture)
    column, line = (LANES % 8 * 2.5).astype(int), LANES // 8
    assert addresses(trace, "TEX").tolist() == (address + PITCH * line + 8 * column).tolist()
    assert x[:, 0].tolist() == (line * WIDTH * CHANNELS + column * CHANNELS).tolist()


def test_a_filter_begins_half_a_texel_before(tmp_path: Path) -> None:
    trace, _, address = traced(tmp_path, "x[i] = tex2d(t, i * 0.5f, 3.4f);", LINEAR=1)
    assert addresses(trace, "TEX").tolist() == [address + PITCH * 2 + 8 * max((k - 1) // 2, 0) for k in range(32)]


def test_what_lies_outside_is_traced_inside(tmp_path: Path) -> None:
    trace, x, address = traced(
        tmp_path, "x[i] = tex2d(t, i - 4.0f, 0.0f);", MODE_X=texture.BORDER_MODE, MODE_Y=texture.BORDER_MODE
    )
    inside = np.clip(LANES - 4, 0, WIDTH - 1)
    assert addresses(trace, "TEX").tolist() == (address + 8 * inside).tolist()
    assert x[:4].tolist() == [[0, 0]] * 4


def test_surfaces_are_traced_with_their_bytes(tmp_path: Path) -> None:
    trace, x, address = traced(tmp_path, "x[i] = suld(t, i % 24 * 8, 2); sust(t, i % 24 * 8, 5, make_float2(i, 1));")
    expected = address + 8 * (LANES % 24)
    assert addresses(trace, "SULD").tolist() == (expected + 2 * PITCH).tolist()
    assert addresses(trace, "SUST").tolist() == (expected + 5 * PITCH).tolist()
    assert x[:, 0].tolist() == (2 * WIDTH * CHANNELS + LANES % 24 * CHANNELS).tolist()
    assert {int(launch.program.instructions.access_bytes.max()) for launch in trace.launches} == {8}


def simulated(trace: Trace, **changes: int) -> Result:
    card = load_config("a6000", [f"{key.replace('__', '.')}={value}" for key, value in changes.items()])
    return simulate(trace, card, RunOptions())


CHAIN = (
    "float2 v = make_float2(0.5f, 0.5f); for (int k = 0; k < 64; k++) v = tex2d(t, v.x * 0.0f + 0.5f, 0.5f); x[i] = v;"
)


def test_a_chain_of_reads_takes_the_latency_of_each(tmp_path: Path) -> None:
    trace, _, _ = traced(tmp_path, CHAIN)
    shorter, longer = (simulated(trace, sm__memory_latency__texture__raw=raw).kernels[0].cycles for raw in (64, 164))
    assert longer - shorter == 63 * 100  # all but the first find their texel in L1
    kernel = simulated(trace).kernels[0]
    assert kernel.counters["l1_load_sectors"] == 64
    assert kernel.counters["l1_load_hits"] == 63
    assert kernel.stalls["long_scoreboard"] > 0.7 * sum(kernel.stalls.values())


def test_a_full_queue_is_the_stall_of_textures(tmp_path: Path) -> None:
    reads = " ".join(f"float2 v{k} = tex2d(t, i + {k}.5f, {k}.5f);" for k in range(8))
    total = " + ".join(f"v{k}.x" for k in range(8))
    trace, _, _ = traced(tmp_path, f"{reads} x[i].x = {total};", ctas=2000)
    stalls = simulated(trace).kernels[0].stalls
    assert stalls["tex_throttle"] > 10 * stalls["lg_throttle"]
