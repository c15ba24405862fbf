"""Small hand-written kernels on the timing model: assemble, execute, simulate, read the timeline.

One SM, few L2 slices and DRAM channels, so that a run takes milliseconds. Warp w of a CTA runs on sub-core w % 4; the
timeline's `warp` is its number within the sub-core, w // 4. Timeline cycles start with the first CTA, without the
kernel's launch overhead. With PERFECT every fetch hits L0, so no instruction cache disturbs what is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from gpusim.config.loading import load_config
from gpusim.emulator.tracing import trace_in_memory
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import KernelResult
from gpusim.trace.trace import Trace

SMALL = ("sms=1", "l2.slices=4", "dram.channels=2")
PERFECT = "sm.sub_core.fetch.prefetcher=perfect"
START_AT_ONCE = "sm.instruction_hierarchy.launch.start=0"
NO_LAUNCH_LINES = "sm.instruction_hierarchy.launch.lines=0"
NO_STREAM = "sm.sub_core.fetch.stream_buffer_lines=0"
MICRO = Path(__file__).resolve().parents[2] / "traces" / "micro"

PAUSE = "[B------:R-:W-:Y:S00] NOP ;"
"""45 cycles without an issue (arXiv 2503.20481 section 4: stall 0 with yield)."""
EXIT = "[B------:R-:W-:-:S05] EXIT ;"
BUFFER_WORDS = 1 << 16
PARAMETERS = 24
LAUNCH = """
buffers:
  data: {{dtype: uint32, shape: [{words}], fill: zeros}}
launches:
  - grid: [{grid}]
    block: [{block}]
    arguments: [{{buffer: data}}, {zeros}]
"""


def op(
    text: str, stall: int = 1, *, wait: str = "", read: object = "-", write: object = "-", yields: bool = False
) -> str:
    """One instruction with its control field; `wait` lists the waited counters, e.g. "03"."""
    mask = "".join(str(k) if str(k) in wait else "-" for k in range(6))
    return f"[B{mask}:R{read}:W{write}:{'Y' if yields else '-'}:S{stall:02d}] {text} ;"


def kernel(lines: Iterable[str], block: int = 32, grid: int = 1, architecture: int = 86, directives: str = "") -> str:
    """A .sass file of one kernel, ended by EXIT. c[0x0][0x160] is the address of a zeroed buffer, zeros follow to 0x220."""
    head = f".arch sm_{architecture}\n.kernel test\n.grid {grid}\n.block {block}\n{directives}\n"
    head += "".join(f".param p{k} uint64 0\n" for k in range(PARAMETERS))
    return head + "\n".join([*lines, EXIT]) + "\n"


@cache
def trace(text: str) -> Trace:
    """Execute a .sass text on one buffer of BUFFER_WORDS words."""
    sizes = {line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith((".grid ", ".block "))}
    architecture = 75 if ".arch sm_75" in text else 86
    with tempfile.TemporaryDirectory() as folder:
        source, launch = Path(folder) / "test.sass", Path(folder) / "launch.yaml"
        source.write_text(text)
        zeros = ", ".join(["{uint64: 0}"] * (PARAMETERS - 1))
        launch.write_text(LAUNCH.format(words=BUFFER_WORDS, grid=sizes[".grid"], block=sizes[".block"], zeros=zeros))
        return trace_in_memory(source, launch, architecture)


@cache
def micro_trace(name: str) -> Trace:
    """The trace of a program of traces/micro."""
    return trace_in_memory(MICRO / f"{name}.sass")


@dataclass(frozen=True)
class Run:
    """The simulated kernel and its opcodes; `result.timeline` is there unless the options said no."""

    result: KernelResult
    opcodes: tuple[str, ...]

    @property
    def counters(self) -> Mapping[str, int]:
        return self.result.counters

    @property
    def stalls(self) -> Mapping[str, int]:
        return self.result.stalls

    def rows(self, opcode: str | None = None, *, sub_core: int = 0, warp: int | None = 0) -> np.ndarray:
        """Timeline rows of a sub-core in the order of issue: of one warp (None: all), of an opcode (its start) if named."""
        table = self.result.timeline
        chosen = table["sub_core"] == sub_core
        if warp is not None:
            chosen &= table["warp"] == warp
        if opcode is not None:
            chosen &= np.isin(table["opcode"], [k for k, name in enumerate(self.opcodes) if name.startswith(opcode)])
        return table[chosen]

    def issues(self, opcode: str | None = None, *, sub_core: int = 0, warp: int | None = 0) -> list[int]:
        """Issue cycles of `rows`."""
        return self.rows(opcode, sub_core=sub_core, warp=warp)["issue"].tolist()

    def gaps(self, opcode: str | None = None, *, sub_core: int = 0, warp: int | None = 0) -> list[int]:
        """Distances between consecutive issues of `rows`."""
        return gaps(self.issues(opcode, sub_core=sub_core, warp=warp))

    def distance(self, first: str, second: str) -> int:
        """Cycles from the last issue of opcode `first` to the last of `second`, warp 0 of sub-core 0."""
        return self.issues(second)[-1] - self.issues(first)[-1]


def gaps(cycles: Sequence[int]) -> list[int]:
    """Distances between consecutive cycles."""
    return np.diff(cycles).tolist()


def simulate_small(measured: Trace, *overrides: str, card: str = "a6000", options: RunOptions | None = None) -> Run:
    """The first launch of a trace on a card of one SM (unless overridden), with a timeline (unless `options` say no)."""
    config = load_config(card, [*SMALL, *overrides])
    result = simulate(measured, config, options or RunOptions(timeline=True)).kernels[0]
    return Run(result, measured.launches[0].program.opcodes)


def run(lines: Iterable[str], *overrides: str, block: int = 32, card: str = "a6000", **header: object) -> Run:
    """Simulate a kernel of these lines, fetch perfect."""
    text = kernel(lines, block, architecture=architecture_of(card), **header)
    return simulate_small(trace(text), PERFECT, *overrides, card=card)


def architecture_of(card: str) -> int:
    return 75 if card.startswith("rtx20") else 86
