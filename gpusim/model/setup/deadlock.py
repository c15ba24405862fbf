"""The watchdog's report: what every resident warp waits for when nothing moves any more, and who holds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpusim.constants import COUNTERS
from gpusim.model.counters import FIELD, FIELD_BITS
from gpusim.model.kinds import Kind
from gpusim.model.params import Params
from gpusim.model.state import INDEX_MASK, MAX_COUNTER, SUB_CORES, State
from gpusim.results.stalls import STALL_REASONS
from gpusim.trace.trace import Launch

SHOWN = 24
"""Warps listed, those that hold up others first."""
SMS_SHOWN = 4
SEARCHED = 10_000
"""Instructions looked back at for the one that raised a counter."""


def deadlock_report(state: State, params: Params, launch: Launch, cause: str) -> str:
    """Text naming per warp its place, PC, instruction, reason and what holds it, and per SM what is on its way."""
    report = _Report(state, params, launch)
    resident = [w for w in range(len(state.warps)) if state.warps[w].active]
    resident.sort(key=lambda w: bool(state.warps[w].at_barrier))
    lines = [
        f"{launch.program.name}: simulated deadlock at cycle {state.gpu[0].now}, {cause}: {len(resident)} resident "
        f"warps, none can go on; {state.gpu[0].next_cta} of {launch.cta_count} CTAs were begun"
    ]
    lines += [report.warp(w) for w in resident[:SHOWN]]
    if len(resident) > SHOWN:
        lines.append(f"  and {len(resident) - SHOWN} more warps")
    sms = sorted({w // report.warps for w in resident})
    lines += [report.sm(sm) for sm in sms[:SMS_SHOWN]]
    return "\n".join(lines)


def _field(counters: int, counter: int) -> int:
    """One counter's field, as gpusim.model.counters packs them."""
    return int(counters) >> FIELD_BITS * counter & FIELD


class _Report:
    """Reads a State; compiled arrays are looked at, never changed."""

    def __init__(self, state: State, params: Params, launch: Launch) -> None:
        self.state, self.params, self.launch = state, params, launch
        self.warps = int(params.card[0].sm.warps)

    def warp(self, w: int) -> str:
        """One line about a resident warp."""
        warp = self.state.warps[w]
        sm, slot = divmod(w, self.warps)
        held = "; ".join(self._holders(w)) or "nothing that the report knows holds it"
        return (
            f"  SM {sm} sub-core {slot % SUB_CORES} CTA {warp.cta_id} warp {warp.warp_in_cta}: "
            f"{self._instruction(int(warp.index))} | {STALL_REASONS[int(warp.reason)]} | {held}"
        )

    def sm(self, sm: int) -> str:
        """One line about what an SM still expects."""
        unit = self.state.sms[sm]
        cores = self.state.sub_cores[sm * SUB_CORES : (sm + 1) * SUB_CORES]
        facts = {
            "replies due from L2": unit.replies_due,
            "requests that L2 has not taken": unit.out_count,
            "accesses in the pending request table": unit.table_used,
            "instruction and constant lines missing": unit.missing_count,
            "accesses in memory queues": cores.queue_count.sum(),
            "completions at known cycles": cores.event_count.sum(),
        }
        due = ", ".join(f"{count} {name}" for name, count in facts.items() if count)
        return f"  SM {sm}: {due or 'nothing is on its way'}"

    def _instruction(self, index: int) -> str:
        program = self.launch.program
        return f"pc 0x{program.instructions[index].pc:04x} {program.text[index]}"

    def _holders(self, w: int) -> Iterator[str]:
        """What keeps a warp from issuing, the strongest first."""
        warp = self.state.warps[w]
        code = self.params.code[int(warp.index)]
        if warp.position == warp.end:
            yield "it has ended"
        if warp.at_barrier:
            yield self._barrier(w)
            return
        yield from self._counters(warp, code)
        if warp.outstanding:
            yield f"{warp.outstanding} memory accesses not complete"
        if warp.group_copies.any():
            yield f"{warp.group_copies.sum()} of them asynchronous copies, {warp.groups_closed} groups closed"
        if warp.registers_due:
            yield f"{warp.registers_due} register reads or results due"
        if warp.position < warp.end:
            yield from self._front_end(w, code)

    def _barrier(self, w: int) -> str:
        """Which warps a CTA barrier waits for."""
        state, warp = self.state, self.state.warps[w]
        first = w - w % self.warps
        cta = state.ctas[w // self.warps * int(self.params.card[0].sm.ctas) + int(warp.cta)]
        barrier = int(warp.barrier)
        expected = int(cta.expected[barrier]) or int(cta.live)
        others = [v for v in range(first, first + self.warps) if state.warps[v].active]
        others = [v for v in others if state.warps[v].cta == warp.cta]
        absent = [v for v in others if not (state.warps[v].at_barrier and state.warps[v].barrier == barrier)]
        where = ", ".join(
            f"warp {state.warps[v].warp_in_cta} at pc 0x{self._pc(int(state.warps[v].index)):04x}" for v in absent
        )
        text = f"barrier {barrier}: {cta.arrived[barrier]} of {expected} warps have arrived"
        if where:
            return f"{text}, missing {where}"
        return f"{text}; only {cta.live} warps of the CTA live, so nobody is left to arrive"

    def _pc(self, index: int) -> int:
        return int(self.launch.program.instructions[index].pc)

    def _counters(self, warp: Any, code: Any) -> Iterator[str]:
        """Dependence counters that the instruction waits for or would overflow."""
        for counter in range(COUNTERS):
            value = _field(warp.counters, counter)
            waits = _field(code.waits, counter) and value
            limit = int(warp.hold_limit) if warp.hold_counter == counter else None
            name = f"SB{counter} = {value}, last raised by {self._last_raised(warp, counter)}"
            if waits:
                yield f"waits for {name}"
            elif limit is not None and value > limit:
                yield f"DEPBAR waits until {name} is at most {limit}"
            elif value >= MAX_COUNTER and counter in (code.write_counter, code.read_counter):
                yield f"cannot raise {name} further"
            elif value and warp.position == warp.end:
                yield f"still has {name}"

    def _last_raised(self, warp: Any, counter: int) -> str:
        """The instruction that the warp issued last among those that raise a counter."""
        start = max(int(warp.position) - min(int(warp.sequence), SEARCHED), int(warp.begin))
        for place in range(int(warp.position) - 1, start - 1, -1):
            index = int(self.state.stream[place]) & INDEX_MASK
            if _field(self.params.code[index].raised, counter):
                return self._instruction(index)
        return "an instruction long past"

    def _front_end(self, w: int, code: Any) -> Iterator[str]:
        """Instruction and constant lines, and the stage in front."""
        sm, slot = divmod(w, self.warps)
        warp, core = self.state.warps[w], self.state.sub_cores[sm * SUB_CORES + slot % SUB_CORES]
        if warp.buffer_count == 0:
            line = f" and waits for instruction line {warp.fetch_line}" if warp.fetch_line >= 0 else ""
            yield f"its instruction buffer is empty{line}"
        pending = core.constant_line[: int(core.constants_pending)]
        if code.constant_line >= 0 and code.constant_line in pending:
            yield f"constant line {code.constant_line} has not come"
        if core.control_valid:
            holder = int(core.control_index)
            queue = " for room in its queue" if self.params.code[holder].kind >= Kind.SFU else " for Allocate"
            warp_ahead = self.state.warps[sm * self.warps + int(core.control_warp) * SUB_CORES + slot % SUB_CORES]
            yield (
                f"warp {warp_ahead.warp_in_cta} of CTA {warp_ahead.cta_id} waits in Control{queue} with "
                f"{self._instruction(holder)}"
            )
