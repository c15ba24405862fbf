"""CTAs that wait for each other take turns, as many as a card holds at once.

CTAs run one after another until one does nothing but poll, or repeats itself. Then its registers, its shared and local
memory and where its lanes are go aside, and another CTA has its turn: the next one that has not begun while there are
places on the card, else the one that has waited for longest. The log grows meanwhile; it is in order again, and taken,
when all CTAs that have begun have ended.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass

import numpy as np

from gpusim.emulator import state
from gpusim.emulator.machine import Prepared

_OWN = (
    state.CTA, state.POSITION, state.NEXT_WARP, state.BARRIERS_TOUCHED, state.PROGRESS, state.POLLED, state.GROUPS,
    state.CHANGES_SEEN, state.CHANGE_CLOCK, state.STATE_HASH, state.PASSES, state.NEXT_KEPT,
)  # fmt: skip
"""Entries of `control` that belong to a CTA."""
_AGES = (state.CTA_CLOCK, state.LOOKED_CLOCK)
"""The same, clocks that stand still while others run."""
_NEVER = -1


@dataclass(frozen=True)
class _Parked:
    """A CTA that has begun and waits for its turn. stuck_at: CHANGES when it repeated itself, _NEVER if it did not."""

    arrays: tuple[np.ndarray, ...]
    control: np.ndarray
    ages: np.ndarray
    stuck_at: int


class Turns:
    """Whose turn it is among the CTAs of a launch. `active`: CTAs take turns, so that several are unfinished."""

    def __init__(self, prepared: Prepared, ctas: int) -> None:
        self._prepared, self._ctas = prepared, ctas
        self._parked: deque[_Parked] = deque()
        self._begun = 0  # CTAs that have had a turn; of meaning while active
        self._changes, self._idle_turns = _NEVER, 0
        self.active = False
        self._control[state.IDLE_LIMIT] = 1 if min(ctas, prepared.resident) > 1 else sys.maxsize

    @property
    def _control(self) -> np.ndarray:
        return self._prepared.machine.control

    @property
    def end(self) -> int:
        """Position up to which CTAs may run one after another."""
        return int(self._control[state.POSITION]) + 1 if self.active else self._ctas

    @property
    def waiting(self) -> int:
        """CTAs that have begun and not ended."""
        return len(self._parked) + int(self._control[state.STARTED])

    @property
    def done(self) -> int:
        """CTAs that have ended."""
        return self._begun - self.waiting if self.active else int(self._control[state.POSITION])

    def give_way(self, code: int) -> bool:
        """After the running CTA was IDLE or has NO_PROGRESS: let another one run; False where none would get on."""
        c = self._control
        self._watch()
        stuck = int(c[state.CHANGES]) if code == state.NO_PROGRESS else _NEVER
        if not self.active:
            self._begun = int(c[state.POSITION]) + 1
        free = self._begun < self._ctas and len(self._parked) + 1 < self._prepared.resident
        if not free and self._next_parked() is None:
            c[state.IDLE_LIMIT] = min(2 * c[state.IDLE_LIMIT], sys.maxsize // 2)
            return False
        self._parked.append(self._aside(stuck))
        self.active = True
        if free:
            self._begin()
        else:
            self._resume()
        return True

    def next(self) -> bool:
        """After a CTA has ended while they take turns: let another one run; False where all that have begun ended."""
        if not self._parked:
            self.active = False
            self._control[state.POSITION] = self._begun
            return False
        self._resume()
        return True

    def _watch(self) -> None:
        """Turns become longer while all CTAs in turn only poll and nothing changes, so that an end is noticed soon."""
        c = self._control
        self._idle_turns += 1
        if c[state.CHANGES] != self._changes:
            self._changes, self._idle_turns, c[state.IDLE_LIMIT] = int(c[state.CHANGES]), 0, 1
        elif self._idle_turns > len(self._parked):
            self._idle_turns, c[state.IDLE_LIMIT] = 0, 2 * c[state.IDLE_LIMIT]

    def _begin(self) -> None:
        c = self._control
        c[state.POSITION], c[state.STARTED] = self._begun, 0
        self._begun += 1

    def _next_parked(self) -> int | None:
        """The CTA that has waited for longest, of those that may get on."""
        changes = int(self._control[state.CHANGES])
        return next((k for k, each in enumerate(self._parked) if each.stuck_at != changes), None)

    def _resume(self) -> None:
        k = self._next_parked() or 0
        parked = self._parked[k]
        del self._parked[k]
        c = self._control
        for array, kept in zip(self._arrays(), parked.arrays, strict=True):
            array[...] = kept
        c[list(_OWN)] = parked.control
        c[list(_AGES)] = c[state.CLOCK] - parked.ages
        c[state.STARTED], c[state.IDLE_PASSES], c[state.PASS_CHANGES] = 1, 0, c[state.CHANGES]

    def _aside(self, stuck_at: int) -> _Parked:
        c = self._control
        arrays = tuple(array.copy() for array in self._arrays())
        return _Parked(arrays, c[list(_OWN)].copy(), c[state.CLOCK] - c[list(_AGES)], stuck_at)

    def _arrays(self) -> tuple[np.ndarray, ...]:
        """Views of what belongs to the running CTA."""
        m, g = self._prepared.machine, self._prepared.machine.geometry
        local = g[state.WARPS] * 32 * g[state.LOCAL_BYTES] // 4
        own_memory = m.memory[g[state.SHARED_WORD] : g[state.LOCAL_WORD] + local]  # local memory lies behind shared
        registers = m.registers[g[state.FIRST_REGISTER_ROW] :]
        return registers, m.predicates, m.lane_pc, m.lane_group, m.lane_wait, m.warps, m.polls, m.barriers, own_memory
