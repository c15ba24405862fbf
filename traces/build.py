"""Build and check every kernel of traces/kernels (`make traces`), and put the table of them into README.md.

Kernels of bundled.yaml go to traces/<folder>/<kernel>, which the repository keeps; all others to
traces/built/<folder>/<kernel>, which it ignores.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import yaml

from gpusim.checking import check_path, load_check
from gpusim.emulator.check import run_check
from gpusim.emulator.tracing import trace_kernel
from gpusim.errors import GpusimError
from gpusim.trace.info import trace_info
from gpusim.trace.store import open_trace

FOLDER = Path(__file__).resolve().parent
MANIFEST = yaml.safe_load((FOLDER / "bundled.yaml").read_text())
SOURCES = {path.stem: path for path in sorted((FOLDER / "kernels").rglob("*.cu"))}
TABLE_BEGIN = "<!-- table: written by make traces -->\n"
TABLE_END = "<!-- end of table -->\n"
HEADER = (
    "| trace | architecture | launches | warp instructions | opcode forms | kB | CPU seconds | check |\n"
    "|---|---|--:|--:|--:|--:|--:|---|\n"
)


def place(kernel: str, folder: str) -> str:
    """Where a trace goes, relative to traces/."""
    return f"{folder}/{kernel}" if kernel in MANIFEST["kernels"] else f"built/{folder}/{kernel}"


def build(kernel: str, folder: str, architecture: int) -> tuple[str, str | None]:
    """Compile, execute, store and check one kernel; returns its row of the table and what differs, if anything.

    A kernel that needs a newer architecture gives a row that says so. Raises GpusimError.
    """
    source, name = SOURCES[kernel], place(kernel, folder)
    check = load_check(check_path(source))
    if architecture < check.minimum_architecture:
        return f"| `{name}` | sm_{architecture} | | | | | | needs sm_{check.minimum_architecture} |", None
    begin = time.process_time()
    launch = source.with_suffix(".yaml")
    summary = trace_kernel(source, launch, FOLDER / name, architecture, overwrite=True)
    seconds = time.process_time() - begin
    difference = None
    try:
        run_check(check, launch, summary.buffers)
    except AssertionError as error:
        difference = f"{name}: {error}"
    info = trace_info(open_trace(FOLDER / name), FOLDER / name)
    forms = {form for launched in info.launches for form in launched.opcodes}
    return (
        f"| `{name}` | sm_{architecture} | {summary.launches} | {summary.warp_instructions:,} | {len(forms)} "
        f"| {info.bytes / 1000:,.0f} | {seconds:.1f} | {'fails' if difference else 'passes'} |"
    ), difference


def update_readme(path: Path, rows: list[str]) -> None:
    """Put new rows in the place of those of the same traces, through a temporary file."""
    before, _, rest = path.read_text().partition(TABLE_BEGIN)
    old, _, after = rest.partition(TABLE_END)
    known = {match[0]: row for row in (*old.splitlines(), *rows) if (match := re.match(r"\| `[^`]+`", row))}
    every = [f"| `{place(kernel, folder)}`" for folder in MANIFEST["architectures"] for kernel in SOURCES]
    table = HEADER + "".join(f"{known[key]}\n" for key in every if key in known)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(before + TABLE_BEGIN + table + TABLE_END + after)
    temporary.replace(path)


def main() -> int:
    """Build all kernels, or the named ones; returns the exit code: 1 if a check fails, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="build only these")
    chosen = parser.parse_args().kernels or list(SOURCES)
    unknown = sorted({*chosen, *MANIFEST["kernels"]} - set(SOURCES))
    if unknown:
        parser.error(f"not in traces/kernels: {', '.join(unknown)}")
    print(HEADER, end="")
    rows, differences = [], []
    try:
        for folder, architecture in MANIFEST["architectures"].items():
            for kernel in chosen:
                row, difference = build(kernel, folder, architecture)
                print(row, flush=True)
                rows.append(row)
                differences += [difference] if difference else []
        update_readme(FOLDER / "README.md", rows)
    except GpusimError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for difference in differences:
        print(f"check failed: {difference}", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
