"""Rebuild the bundled traces (`make traces`): compile, execute, store, and put their table into README.md."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from gpusim.emulator.tracing import trace_kernel
from gpusim.errors import GpusimError
from gpusim.trace.store import open_trace

FOLDER = Path(__file__).resolve().parent
TABLE_BEGIN = "<!-- table: written by make traces -->\n"
TABLE_END = "<!-- end of table -->\n"


@dataclass(frozen=True)
class Row:
    """One trace on disk: its folder relative to traces/, and its size."""

    trace: str
    architecture: int
    launches: int
    warp_instructions: int
    kilobytes: float
    compiler: str


def build(kernel: str, folder: str, architecture: int) -> float:
    """Trace one kernel into its folder; returns the seconds it took. Raises GpusimError."""
    begin = time.perf_counter()
    source = FOLDER / "kernels" / f"{kernel}.cu"
    trace_kernel(source, source.with_suffix(".yaml"), FOLDER / folder / kernel, architecture, overwrite=True)
    return time.perf_counter() - begin


def describe(kernel: str, folder: str, architecture: int) -> Row:
    """The facts of a trace on disk. Raises GpusimError if there is none."""
    path = FOLDER / folder / kernel
    trace = open_trace(path)
    instructions = sum(launch.warp_instructions for launch in trace.launches)
    kilobytes = sum(file.stat().st_size for file in path.iterdir()) / 1000
    compiler = trace.launches[0].program.provenance["compiler"]
    return Row(f"{folder}/{kernel}", architecture, len(trace.launches), instructions, kilobytes, compiler)


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table with a total."""
    lines = ["| trace | architecture | launches | warp instructions | kB | compiler |", "|---|---|--:|--:|--:|---|"]
    lines += [
        f"| `{r.trace}` | sm_{r.architecture} | {r.launches} | {r.warp_instructions:,} "
        f"| {r.kilobytes:,.0f} | {r.compiler} |"
        for r in rows
    ]
    total = sum(r.kilobytes for r in rows)
    lines.append(f"| together | | | {sum(r.warp_instructions for r in rows):,} | {total:,.0f} | |")
    return "\n".join(lines) + "\n"


def update_readme(path: Path, text: str) -> None:
    """Replace the table between the two marks, through a temporary file."""
    before, _, rest = path.read_text().partition(TABLE_BEGIN)
    after = rest.partition(TABLE_END)[2]
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(before + TABLE_BEGIN + text + TABLE_END + after)
    temporary.replace(path)


def main() -> int:
    """Build the traces of bundled.yaml, or those of the named kernels; returns the exit code."""
    manifest = yaml.safe_load((FOLDER / "bundled.yaml").read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="build only these of bundled.yaml")
    chosen = parser.parse_args().kernels or manifest["kernels"]
    unknown = sorted(set(chosen) - set(manifest["kernels"]))
    if unknown:
        parser.error(f"not in bundled.yaml: {', '.join(unknown)}")
    architectures = manifest["architectures"].items()
    try:
        for folder, architecture in architectures:
            for kernel in chosen:
                seconds = build(kernel, folder, architecture)
                row = describe(kernel, folder, architecture)
                size = f"{row.warp_instructions:>12,} warp instructions {row.kilobytes:>8,.0f} kB"
                print(f"{row.trace:24} {size} {seconds:6.1f} s", flush=True)
        rows = [describe(kernel, folder, arch) for folder, arch in architectures for kernel in manifest["kernels"]]
        update_readme(FOLDER / "README.md", table(rows))
    except GpusimError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
