"""Fingerprints: what a result depends on, so that a run that was stopped goes on only where it would end the same."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import gpusim
from gpusim import __version__, resources
from gpusim.trace.store import StoredChunks

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.trace.trace import Launch, Trace

DIGITS = 16
SOURCES = ("constants.py", "results/stalls.py", "model/**/*.py", "sass/*.py", "trace/*.py")
"""Of the package: what makes a Result of a trace and a configuration."""


def digest(*parts: bytes) -> str:
    """A short hash of byte strings, in which their borders count."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))
        total.update(part)
    return total.hexdigest()[:DIGITS]


def fingerprint(trace: Trace, config: GpuConfig) -> dict[str, str]:
    """One hash each of the trace, the configuration with all values, and the simulator.

    Equal fingerprints mean equal cycles, counters and tables, kernel by kernel.
    """
    return fingerprint_of(trace_digest(trace), config)


def fingerprint_of(trace: str, config: GpuConfig) -> dict[str, str]:
    """The same with the trace's hash, where there are many configurations."""
    from gpusim.config.policies import policy_digests

    return {
        "trace": trace,
        "configuration": digest(config.model_dump_json().encode(), *(each.encode() for each in policy_digests(config))),
        "gpusim": f"{__version__} {_model()}",
    }


def trace_digest(trace: Trace) -> str:
    """Hash of all that a trace tells the model."""
    return digest(*(_launch(launch).encode() for launch in trace.launches))


@cache
def _model() -> str:
    """Hash of the sources that a cycle depends on, and the opcode tables."""
    package = Path(gpusim.__file__).parent
    files = sorted(path for pattern in SOURCES for path in package.glob(pattern))
    files += sorted(resources.find("isa").glob("*.yaml"))
    return digest(*(part for file in files for part in (file.name.encode(), file.read_bytes())))


def _launch(launch: Launch) -> str:
    program, source = launch.program, launch.source
    facts = f"{program.name} {launch.grid} {launch.block} {launch.shared_bytes} {program.registers}"
    parts = [
        facts.encode(),
        program.instructions.tobytes(),
        program.operands.tobytes(),
        "\n".join(program.text).encode(),
    ]
    if isinstance(source, StoredChunks):  # the index holds a checksum of every column
        parts.append(json.dumps([dict(entry) for entry in source.entries], sort_keys=True).encode())
    else:
        for chunk in launch.parts():
            columns = (chunk.instruction_start, chunk.index, chunk.mask, chunk.records, chunk.addresses)
            parts += [column.tobytes() for column in columns]
    return digest(*parts)
