"""`gpusim doctor`: what is installed, where compiled code lies, and whether a tiny kernel runs from text to cycles."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import gpusim
from gpusim.cli.exits import EXIT_CHECK_FAILED
from gpusim.compiling import Stopwatch
from gpusim.errors import GpusimError

SELF_RUN_CONFIG = "a6000"
SELF_RUN_INSTRUCTIONS = 4
SELF_RUN = """\
.arch sm_86
.kernel doctor
.grid 1
.block 32
[B------:R-:W-:-:S04] MOV R2, 0x3f800000 ;
[B------:R-:W-:-:S04] FADD R3, R2, R2 ;
[B------:R-:W-:-:S04] NOP ;
[B------:R-:W-:-:S05] EXIT ;
"""
"""One warp, four instructions: needs the assembler, the emulator and the model, but no NVIDIA tool."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("doctor", help="check the installation with a tiny self-run")
    parser.set_defaults(command=run)


def run(_: argparse.Namespace) -> int:
    """Print the findings; returns 0 if the core works, 1 if not. Missing extras are no fault."""
    print(
        f"gpusim {gpusim.__version__}, Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} CPUs"
    )
    wanted = packages()
    if not wanted:
        print("packages  gpusim runs from its folder without being installed, so what it needs is not known")
    for extra, names in wanted.items():
        print(f"{extra:<9}", ", ".join(f"{name} {installed(name) or 'missing'}" for name in names))
    print_toolchain()
    healthy = _print_cache()
    return 0 if _self_run() and healthy else EXIT_CHECK_FAILED


def packages() -> dict[str, list[str]]:
    """Names of the packages that gpusim's metadata asks for, by extra, `core` first; none if it is not installed."""
    found: dict[str, list[str]] = {"core": []}
    try:
        lines = requires("gpusim") or []
    except PackageNotFoundError:  # run from its folder
        return {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        name = requirement.split("[")[0].rstrip("<>=!~.,0123456789 ")
        extra = marker.split("extra ==")[1].strip(" '\"") if "extra ==" in marker else "core"
        found.setdefault(extra, []).append(name)
    return found


def installed(name: str) -> str | None:
    """Version of an installed distribution, None where it is absent."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def print_toolchain() -> None:
    """NVIDIA's tools that were found, or why one is missing."""
    from gpusim.sass.nvcc import HOST_COMPILER, host_compiler_missing
    from gpusim.sass.nvrtc import nvrtc_version
    from gpusim.sass.toolchain import (
        find_include_folders,
        find_nvcc,
        find_nvdisasm,
        find_nvrtc,
        nvcc_version,
        nvdisasm_version,
    )

    def attempt(version: Callable[[], str], find: Callable[[], Path]) -> str:
        try:
            return f"{version()} ({find()})"
        except GpusimError as error:
            return f"missing: {error}"

    print("nvdisasm ", attempt(nvdisasm_version, find_nvdisasm))
    print("nvrtc    ", attempt(nvrtc_version, find_nvrtc))
    host = f"; no host compiler ({HOST_COMPILER})" if host_compiler_missing() else ""
    print("nvcc     ", f"{attempt(nvcc_version, find_nvcc)}{host}")
    print("headers  ", ", ".join(map(str, find_include_folders())) or "none found")


def _print_cache() -> bool:
    from gpusim.codecache import SUFFIX, diagnosis
    from gpusim.jit import SHIPPED
    from gpusim.objectcode import runs_shipped

    good, text = diagnosis()
    print(f"cache     {text}")
    shipped = [code.stat().st_size for code in SHIPPED.rglob(f"*{SUFFIX}")]
    use = "used where the cache has none" if runs_shipped() else "not for this machine's processor"
    print(f"shipped   {len(shipped)} files, {sum(shipped) / 1e6:.1f} MB; {use}" if shipped else "shipped   no code")
    return good


def _self_run() -> bool:
    from gpusim.config import load_config
    from gpusim.inputs import load_source
    from gpusim.model.setup.simulate import RunOptions, simulate

    clock = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.sass"
        path.write_text(SELF_RUN)
        try:
            kernel = simulate(load_source(str(path), None, 86), load_config(SELF_RUN_CONFIG), RunOptions()).kernels[0]
        except GpusimError as error:
            print(f"self-run  FAILED: {error}", file=sys.stderr)
            return False
    right = kernel.warp_instructions == SELF_RUN_INSTRUCTIONS
    state = "ok" if right else f"FAILED: {SELF_RUN_INSTRUCTIONS} warp instructions expected"
    seconds = f"{clock.cpu_seconds:.1f} CPU s"
    if clock.compile_seconds:
        seconds += f" and {clock.compile_seconds:.1f} to compile"
    print(f"self-run  {kernel.warp_instructions} warp instructions, {kernel.cycles} cycles, {seconds}: {state}")
    return right
