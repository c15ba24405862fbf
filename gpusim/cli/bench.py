"""`gpusim bench`: speed per bundled kernel, start-up seconds with an empty and a filled cache, peak memory."""

from __future__ import annotations

import argparse
import json
import sys

from gpusim.cli.sources import bundled_traces
from gpusim.errors import GpusimError

CONFIG_OF_FAMILY = {"ampere": "a6000", "turing": "rtx2080ti"}
"""Card that the bundled traces of a family run on."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bench", help="measure speed, start-up and memory on the bundled traces")
    parser.add_argument("traces", nargs="*", metavar="TRACE", help="bundled traces (default: all of ampere)")
    parser.add_argument("--config", metavar="NAME", help="card (default: one per family)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs per kernel; the median is printed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from gpusim.cli.measure import measure, start_up

    names = args.traces or [name for name in bundled_traces() if name.startswith("ampere/")]
    if not names:
        raise GpusimError("no bundled traces to measure; `make traces` builds them")
    if args.repeat < 1:
        raise GpusimError(f"--repeat {args.repeat}: at least one run is needed")
    rows = [measure(name, _config(name, args.config), args.repeat) for name in names]
    cold, warm = start_up()
    if args.json:
        print(json.dumps({"kernels": rows, "cold_start": vars(cold), "warm_start": vars(warm)}))
        return 0
    _print(rows)
    print(f"\ncold start, empty cache:  {cold.cpu:5.1f} CPU s, {cold.wall:5.1f} s wall")
    print(f"warm start, code cached:  {warm.cpu:5.1f} CPU s, {warm.wall:5.1f} s wall")
    return 0


def _print(rows: list[dict]) -> None:
    from rich.table import Table

    from gpusim.report.text import console_for

    table = Table()
    table.add_column("trace", no_wrap=True)
    for heading in (
        "config",
        "warp instr.",
        "cycles",
        "CPU s (spread)",
        "warp instr./CPU s",
        "cycles/CPU s",
        "peak MB",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        low, high = row["cpu_seconds_spread"]
        table.add_row(
            row["trace"],
            row["config"],
            f"{row['warp_instructions']:,}",
            f"{row['cycles']:,}",
            f"{row['cpu_seconds']:.3f} ({low:.3f}..{high:.3f})",
            f"{row['warp_instructions_per_cpu_second']:,.0f}",
            f"{row['cycles_per_cpu_second']:,.0f}",
            f"{row['peak_memory_mb']:,.0f}",
        )
    console_for(sys.stdout).print(table)


def _config(name: str, chosen: str | None) -> str:
    family = name.removeprefix("traces/").split("/")[0]
    if not chosen and family not in CONFIG_OF_FAMILY:
        raise GpusimError(f"{name}: not a bundled trace, so its card is unknown; name one with --config")
    return chosen or CONFIG_OF_FAMILY[family]
