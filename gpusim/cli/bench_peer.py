"""Our command beside another simulator's on the same traces, in turn: what `gpusim bench --peer` prints."""

from __future__ import annotations

import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gpusim.cli.bench_worker import Benchmark, opener, timed
from gpusim.errors import GpusimError
from gpusim.inputs import find_trace
from gpusim.trace.store import write_trace

TRACE, CONFIG = "{trace}", "{config}"
"""In the peer's command: the folder of the kernel's trace, and the name of the card."""


def peer_command(text: str) -> list[str]:
    """The words of a peer's command. Raises GpusimError where it names no trace."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise GpusimError(f"--peer {text!r}: not a command line ({error})") from error
    if not any(TRACE in word for word in words):
        raise GpusimError(f"--peer {text!r}: write {TRACE} where the folder of the trace belongs")
    return words


def compare(row: Benchmark, command: Sequence[str], repeat: int) -> dict:
    """CPU seconds of both commands on one kernel, `repeat` times in turn. Raises GpusimError where one fails."""
    row = replace(row, source=str(find_trace(row.source)))
    with tempfile.TemporaryDirectory(prefix="gpusim-bench-") as folder:
        trace = Path(folder) / "trace"
        write_trace(opener(row)(), trace)
        theirs = [word.replace(TRACE, str(trace)).replace(CONFIG, row.config) for word in command]
        ours = [sys.executable, "-m", "gpusim.cli.main", "run", "--config", row.config, str(trace), "--json"]
        environment = dict(os.environ)
        timed(ours, environment)  # compiled code is in the cache afterwards
        pairs = [(timed(ours, environment).cpu, timed(theirs, environment).cpu) for _ in range(repeat)]
    own, peer = (sorted(seconds) for seconds in zip(*pairs))
    median = statistics.median(own), statistics.median(peer)
    return {
        **asdict(row),
        "cpu_seconds": median[0],
        "cpu_seconds_spread": [own[0], own[-1]],
        "peer_cpu_seconds": median[1],
        "peer_cpu_seconds_spread": [peer[0], peer[-1]],
        "ratio": median[1] / median[0],
    }
