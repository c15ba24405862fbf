"""The watchdog's report: what every resident warp waits for when nothing can ever move again."""

from __future__ import annotations

from gpusim.config.models import GpuConfig
from gpusim.model.state import State
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.trace import Launch

SHOWN = 24


def deadlock_report(state: State, launch: Launch, config: GpuConfig) -> str:
    """Text naming per warp its place, PC, instruction, reason and what holds it."""
    program = launch.program
    resident = [w for w in range(len(state.warps)) if state.warps[w].active]
    lines = [
        f"{program.name}: simulated deadlock at cycle {state.gpu[0].now}: "
        f"{len(resident)} resident warps, none can go on"
    ]
    for w in resident[:SHOWN]:
        warp = state.warps[w]
        sm, slot = divmod(w, config.sm.warps)
        index = int(warp.index)
        counters = [int(warp.counters) >> (8 * c) & 0xFF for c in range(6)]
        held = ", ".join(f"SB{c}={value}" for c, value in enumerate(counters) if value) or "no counter"
        if warp.at_barrier:
            held = f"barrier {warp.barrier}"
        lines.append(
            f"  SM {sm} sub-core {slot % 4} CTA {warp.cta_id} warp {warp.warp_in_cta}: "
            f"pc 0x{program.instructions[index].pc:04x} {program.text[index]} | {STALL_REASONS[int(warp.reason)]} | "
            f"{held}, {warp.outstanding} memory accesses on the way"
        )
    if len(resident) > SHOWN:
        lines.append(f"  and {len(resident) - SHOWN} more")
    return "\n".join(lines)
