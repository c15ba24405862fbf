"""What a trace holds, for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gpusim.display import dimensions
from gpusim.report.text import bar
from gpusim.trace.info import LaunchInfo, TraceInfo


def print_trace_info(console: Console, title: str, info: TraceInfo, opcodes: int) -> None:
    """Print launches, sizes, provenance and the `opcodes` most frequent opcodes of all launches together."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("kernel", overflow="fold")
    for heading in ("arch", "grid", "block", "regs", "shared B", "static", "warps", "warp instr.", "thread instr."):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, launch in enumerate(info.launches, 1):
        table.add_row(str(number), *_cells(launch))
    console.print(table)
    console.print(f"{info.bytes:,} bytes, {info.bytes_per_instruction:.3f} per warp instruction")
    for key, value in info.provenance.items():
        console.print(Text(f"{key}: {value}", style="dim"))
    console.print()
    console.print(_histogram(info, opcodes))


def _cells(launch: LaunchInfo) -> tuple[Text | str, ...]:
    return (
        Text(launch.name),
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


def _histogram(info: TraceInfo, rows: int) -> Table:
    counts: dict[str, int] = {}
    for launch in info.launches:
        for opcode, count in launch.opcodes.items():
            counts[opcode] = counts.get(opcode, 0) + count
    total, largest = max(sum(counts.values()), 1), max(counts.values(), default=1)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("opcode", no_wrap=True)
    table.add_column("warp instr.", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    for opcode, count in ordered[:rows]:
        table.add_row(Text(opcode), f"{count:,}", f"{100 * count / total:.1f} %", bar(count / largest))
    if len(ordered) > rows:
        rest = sum(count for _, count in ordered[rows:])
        table.add_row(f"{len(ordered) - rows} more", f"{rest:,}", f"{100 * rest / total:.1f} %", "")
    return table
