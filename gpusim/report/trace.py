"""What a trace holds, for the terminal."""

from __future__ import annotations

from rich.console import Console

from gpusim.display import dimensions
from gpusim.report.layout import Sheet, paragraph
from gpusim.report.text import print_bars
from gpusim.trace.info import LaunchInfo, TraceInfo


def print_trace_info(console: Console, title: str, info: TraceInfo, opcodes: int) -> None:
    """Print launches, sizes, provenance and the `opcodes` most frequent opcodes of all launches together."""
    headings = "kernel", "arch", "grid", "block", "regs", "shared B", "static", "warps", "warp instr.", "thread instr."
    sheet = Sheet("#", *headings, sides="rl", title=title)
    for number, launch in enumerate(info.launches, 1):
        sheet.add(str(number), *_cells(launch))
    sheet.print(console)
    paragraph(console, f"{info.bytes:,} bytes, {info.bytes_per_instruction:.3f} per warp instruction")
    for key, value in info.provenance.items():
        paragraph(console, value, "dim", name=f"{key}:", hanging=2)
    console.print()
    _print_histogram(console, info, opcodes)


def _cells(launch: LaunchInfo) -> tuple[str, ...]:
    return (
        launch.name,
        f"sm_{launch.architecture}",
        dimensions(launch.grid),
        dimensions(launch.block),
        str(launch.registers),
        f"{launch.shared_bytes:,}",
        f"{launch.static_instructions:,}",
        f"{launch.warps:,}",
        f"{launch.warp_instructions:,}",
        f"{launch.thread_instructions:,}",
    )


def _print_histogram(console: Console, info: TraceInfo, rows: int) -> None:
    counts: dict[str, int] = {}
    for launch in info.launches:
        for opcode, count in launch.opcodes.items():
            counts[opcode] = counts.get(opcode, 0) + count
    total = max(sum(counts.values()), 1)
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    shown = [(opcode, count, f"{100 * count / total:.1f} %") for opcode, count in ordered[:rows]]
    paragraph(console, "warp instructions by opcode", "dim")
    print_bars(console, shown, lambda _: "")
    if len(ordered) > rows:
        rest = sum(count for _, count in ordered[rows:])
        paragraph(console, f"{len(ordered) - rows} more: {rest:,} warp instr., {100 * rest / total:.1f} %")
