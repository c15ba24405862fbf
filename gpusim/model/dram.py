"""DRAM: a fixed latency and a bandwidth per channel, standing in for banks and their scheduling."""

from __future__ import annotations

from gpusim.jit import inlined, popcount64


@inlined
def dram_access(S, P, channel, sectors, now):
    """Move sectors over a channel; return the cycle in which their data are at L2. Busy times count in 1/16 cycle."""
    machine = P.machine[0]
    server = S.channels[channel]
    start = max(now * 16, server.free)
    server.free = start + popcount64(sectors) * machine.dram_sector_cycles_x16
    return (server.free + 15) // 16 + machine.dram_latency
