"""`gpusim bench`: speed per kernel, start-up seconds with an empty and a filled cache, peak memory, two threads.

With `--peer`, another simulator's command on the same kernels, in turn with our own.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gpusim.errors import GpusimError

if TYPE_CHECKING:
    from gpusim.cli.bench_worker import Benchmark

CONFIG_OF_FAMILY = {"ampere": "a6000", "turing": "rtx2080ti"}
"""Card that the bundled traces of a family run on."""
NOTE = """\
CPU s: median (least..most). rate: warp instructions per CPU second. cycles/s: of the whole card, per CPU second.
MB: peak memory of the process. 2 threads: wall time of one thread over that of two, run in turn."""
PEER_NOTE = """\
CPU s of whole commands, run in turn: median (least..most). ratio: the peer's median over ours."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "bench", help="measure speed, start-up, memory and threads", description="Measure how fast gpusim is."
    )
    parser.add_argument(
        "kernels", nargs="*", metavar="KERNEL", help="rows of traces/bench/bench.yaml (default: all) or bundled traces"
    )
    parser.add_argument("--config", metavar="NAME", help="card (default: the suite's, or one per family)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs per kernel; the median is printed")
    parser.add_argument(
        "--peer",
        metavar="COMMAND",
        help="run this command in turn with `gpusim run` and compare CPU seconds; in it {trace} becomes the folder of "
        "a kernel's trace, {config} the card",
    )
    parser.add_argument("--history", metavar="FILE", help="append the figures as a line of JSON, with date and version")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    if args.repeat < 1:
        raise GpusimError(f"--repeat {args.repeat}: at least one run is needed")
    rows = _rows(args.kernels, args.config)
    figures = _compare(args, rows) if args.peer else _measure(args, rows)
    if args.history:
        _append(Path(args.history), figures)
    if args.json:
        print(json.dumps(figures))
    return 0


def _measure(args: argparse.Namespace, rows: list[Benchmark]) -> dict:
    """Our own speed."""
    from gpusim.cli.bench_worker import measure, start_up

    kernels = [measure(row, args.repeat) for row in rows]
    cold, warm = start_up()
    if not args.json:
        _print(kernels)
        print(NOTE)
        print(f"\ncold start, empty cache:  {cold.cpu:5.1f} CPU s, {cold.wall:5.1f} s wall")
        print(f"warm start, code cached:  {warm.cpu:5.1f} CPU s, {warm.wall:5.1f} s wall")
    return {"kernels": kernels, "cold_start": vars(cold), "warm_start": vars(warm)}


def _compare(args: argparse.Namespace, rows: list[Benchmark]) -> dict:
    """Our command and the peer's."""
    from gpusim.cli.bench_peer import compare, peer_command

    command = peer_command(args.peer)
    kernels = [compare(row, command, args.repeat) for row in rows]
    if not args.json:
        _print_peer(kernels)
        print(PEER_NOTE)
    return {"peer": args.peer, "kernels": kernels}


def _append(path: Path, figures: dict) -> None:
    """Add a line to a history. Raises GpusimError where that is not possible."""
    from gpusim import __version__

    line = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "version": __version__, **figures}
    try:
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise GpusimError(f"--history {path}: cannot be written ({error.strerror or error}); name another") from error


def _rows(names: list[str], config: str | None) -> list[Benchmark]:
    """The benchmark's own rows by name, and bundled traces."""
    from dataclasses import replace

    from gpusim.cli.bench_worker import Benchmark, suite
    from gpusim.inputs import find_trace

    known = {row.name: row for row in suite()} if not names or any("/" not in name for name in names) else {}
    rows = []
    for name in names or known:
        if name in known:
            rows.append(replace(known[name], config=config or known[name].config))
        else:
            rows.append(Benchmark(name, str(find_trace(name)), _config(name, config)))
    return rows


def _print(rows: list[dict]) -> None:
    from gpusim.report.layout import Sheet
    from gpusim.report.text import console_for

    headings = "warp instr.", "cycles", "CPU s", "rate", "cycles/s", "MB", "2 threads"
    sheet = Sheet("kernel", *headings)
    for row in rows:
        sheet.add(
            row["name"],
            f"{row['warp_instructions']:,}",
            f"{row['cycles']:,}",
            _spread(row["cpu_seconds"], row["cpu_seconds_spread"]),
            _short(row["warp_instructions_per_cpu_second"]),
            _short(row["cycles_per_cpu_second"]),
            f"{row['peak_memory_mb']:,.0f}",
            _spread(row["two_thread_speed_up"], row["two_thread_speed_up_spread"]) if row["threads"] else "",
        )
    sheet.print(console_for(sys.stdout))
    for row in rows:
        if row["what"]:
            print(f"  {row['name']}: {row['what']}, {row['config']}")


def _print_peer(rows: list[dict]) -> None:
    from gpusim.report.layout import Sheet
    from gpusim.report.text import console_for

    sheet = Sheet("kernel", "gpusim, CPU s", "peer, CPU s", "ratio")
    for row in rows:
        seconds = [_spread(row[side], row[f"{side}_spread"]) for side in ("cpu_seconds", "peer_cpu_seconds")]
        sheet.add(row["name"], *seconds, f"{row['ratio']:,.3g}")
    sheet.print(console_for(sys.stdout))


def _short(number: float) -> str:
    """Three digits and a factor: `9.03 M`."""
    for factor, suffix in ((1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{suffix}"
    return f"{number:.3g}"


def _spread(median: float, ends: list[float]) -> str:
    return f"{median:.3g} ({ends[0]:.2g}..{ends[-1]:.2g})"


def _config(name: str, chosen: str | None) -> str:
    family = name.removeprefix("traces/").split("/")[0]
    if not chosen and family not in CONFIG_OF_FAMILY:
        raise GpusimError(f"{name}: not a bundled trace, so its card is unknown; name one with --config")
    return chosen or CONFIG_OF_FAMILY[family]
