"""One DRAM channel, clock by clock (timing model, section 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from gpusim.config.models import DramTimes, GpuConfig

DIRECTIONS = ("read", "write")


class Clocks:
    """A section whose times are in clocks."""

    def __init__(self, section: DramTimes, mhz: float) -> None:
        for key, value in section.model_dump().items():
            if isinstance(value, str):
                value = max(1, ceil(round(float(value.split()[0]) * mhz / 1000, 6)))
            setattr(self, key, value)


@dataclass(eq=False)
class Transfer:
    """Sectors of one line."""

    direction: str
    line: int
    left: int
    receive: Callable[[int], None] | None = None
    arrival: int = 0  # clock
    number: int = 0
    bank: int = 0
    row: int = 0


@dataclass(eq=False)
class Bank:
    row: int | None = None
    column_from: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DIRECTIONS, 0))
    precharge_from: int = 0
    activate_from: int = 0


@dataclass
class EccSector:
    group: int
    changed: bool = False


@dataclass
class Channel:
    config: GpuConfig
    clock: int = 0  # next
    direction: str = "read"
    arriving: list[Transfer] = field(default_factory=list)
    waiting: list[Transfer] = field(default_factory=list)
    filling: list[tuple[int, Transfer]] = field(default_factory=list)
    activate_from: int = 0
    activations: list[int] = field(default_factory=list)  # clocks
    refreshes: int = 0
    no_activation: range = range(0)
    arrived: int = 0
    ecc: list[EccSector] = field(default_factory=list)  # the one used last at the end

    def __post_init__(self) -> None:
        dram, clocks = self.config.dram, self.config.clocks
        command_mhz = clocks.memory_mhz / dram.data_clocks_per_command_clock
        self.cycles_per_clock = Fraction(clocks.core_mhz / command_mhz).limit_denominator(10_000)
        self.dram = dram
        self.timing = Clocks(dram.timing, command_mhz)
        self.refresh = Clocks(dram.refresh, command_mhz)
        self.burst = -(-32 // (dram.bytes_per_transfer * dram.data_clocks_per_command_clock))
        self.banks = [Bank() for _ in range(dram.banks)]
        self.per_group = dram.banks // dram.bank_groups
        self.column_from = dict.fromkeys(DIRECTIONS, 0)
        self.group_from = {direction: [0] * dram.bank_groups for direction in DIRECTIONS}

    # ---- L2's side

    def has_room(self, direction: str, sectors: int) -> bool:
        entries = self.dram.queue_entries if direction == "read" else self.dram.write_queue.entries
        used = sum(t.left for t in [*self.arriving, *self.waiting] if t.direction == direction)
        return sectors == 0 or used + sectors <= entries

    def _ecc_traffic(self, transfer: Transfer) -> int:
        """ECC sectors read and written with a transfer."""
        if self.dram.ecc != "inline":
            return 0
        group, writes = transfer.line // self.dram.channels // 4, transfer.direction == "write"
        kept = next((sector for sector in self.ecc if sector.group == group), None)
        moved = 0
        if kept is None:
            kept = EccSector(group)
            moved = 0 if writes else 1
            if len(self.ecc) == self.dram.ecc_sectors:
                moved += self.ecc.pop(0).changed
        else:
            self.ecc.remove(kept)
        kept.changed |= writes
        self.ecc.append(kept)
        return moved

    def start(self, transfer: Transfer, t: int) -> None:
        transfer.left += self._ecc_traffic(transfer)
        across = transfer.line // self.dram.channels
        page = across // self.dram.bank_groups // (self.dram.row_bytes // 128)
        group = (across + page) % self.dram.bank_groups
        transfer.row = page // self.per_group
        in_group = (page + transfer.row + transfer.row // self.per_group) % self.per_group
        transfer.bank = group * self.per_group + in_group
        transfer.arrival = (
            t + self.dram.latency
        ) * self.cycles_per_clock.denominator // self.cycles_per_clock.numerator + 1
        self.arriving.append(transfer)

    # ---- time

    def cycle(self, t: int) -> None:
        last = t * self.cycles_per_clock.denominator // self.cycles_per_clock.numerator
        while self.clock <= last and (self.arriving or self.waiting):
            self._one_clock(self.clock)
            self.clock += 1
        if self.clock <= last:  # clocks without a transfer: they end the writes
            self._choose_direction()
        self.clock = last + 1
        for due in [fill for fill in self.filling if fill[0] <= t]:
            self.filling.remove(due)
            due[1].receive(t)

    def _cycle_of(self, clock: int) -> int:
        return -(-clock * self.cycles_per_clock.numerator // self.cycles_per_clock.denominator)

    def _refresh(self, c: int) -> None:
        """The refreshes due up to clock c."""
        step = self.refresh.interval // (len(self.banks) if self.refresh.per_bank else 1)
        while (self.refreshes + 1) * step <= c:
            self.refreshes += 1
            due = self.refreshes * step
            if self.refresh.per_bank:
                turn = [self.banks[(self.refreshes - 1) % len(self.banks)]]
            else:
                turn = self.banks
            begin = max(self._close(bank, due) for bank in turn)
            for bank in turn:
                bank.activate_from = begin + self.refresh.rfc
            if self.refresh.per_bank:
                self.no_activation = range(begin, begin + self.refresh.rrefd)

    def _close(self, bank: Bank, c: int) -> int:
        """Close a bank's row from clock c on: when its refresh may begin."""
        begin = max(c, bank.activate_from)
        if bank.row is not None:
            begin = max(begin, max(c, bank.precharge_from) + self.timing.rp)
        bank.row = None
        return begin

    def _one_clock(self, c: int) -> None:
        self._refresh(c)
        for transfer in [t for t in self.arriving if t.arrival <= c]:
            self.arriving.remove(transfer)
            self.arrived += 1
            transfer.number = self.arrived
            self.waiting.append(transfer)
        self._choose_direction()
        mine = [t for t in self.waiting if t.direction == self.direction]
        busy = {t.bank for t in mine}
        others = [t for t in self.waiting if t.direction != self.direction and t.bank not in busy]
        column = next((t for t in mine if self._hits(t) and self._column_possible(t, c)), None)
        row = self._row_wanted(mine, c) or self._row_wanted(others, c)
        if column:
            self._column_command(column, c)
        if row:
            self._row_command(row, c)

    def _hits(self, transfer: Transfer) -> bool:
        return transfer.row == self.banks[transfer.bank].row

    def _row_wanted(self, transfers: list[Transfer], c: int) -> Transfer | None:
        """The oldest of the banks' oldest transfers whose row command may be given, of banks without a hit."""
        oldest = {t.bank: t for t in reversed(transfers)}
        for transfer in transfers:
            if self._hits(transfer):
                oldest.pop(transfer.bank, None)
        heads = sorted(oldest.values(), key=lambda t: t.number)
        return next((t for t in heads if self._row_possible(t, c)), None)

    def _choose_direction(self) -> None:
        count = dict.fromkeys(DIRECTIONS, 0)
        for transfer in self.waiting:
            count[transfer.direction] += transfer.left
        queue = self.dram.write_queue
        if self.direction == "read":
            if count["write"] >= queue.high or (count["write"] and not count["read"]):
                self.direction = "write"
        elif not count["write"] or (count["read"] and count["write"] <= queue.low):
            self.direction = "read"

    def _column_possible(self, transfer: Transfer, c: int) -> bool:
        return c >= max(
            self.banks[transfer.bank].column_from[transfer.direction],
            self.column_from[transfer.direction],
            self.group_from[transfer.direction][transfer.bank // self.per_group],
        )

    def _row_possible(self, transfer: Transfer, c: int) -> bool:
        bank = self.banks[transfer.bank]
        if bank.row is None:
            return c >= max(bank.activate_from, self.activate_from) and c not in self.no_activation
        return c >= bank.precharge_from

    def _column_command(self, transfer: Transfer, c: int) -> None:
        timing, bank = self.timing, self.banks[transfer.bank]
        apart = max(timing.ccd, self.burst)
        group = transfer.bank // self.per_group
        self.group_from[transfer.direction][group] = c + max(timing.ccdl, apart)
        self.column_from[transfer.direction] = c + apart
        if transfer.direction == "read":
            end = c + timing.cl + self.burst
            self.column_from["write"] = max(c + apart, end + timing.turnaround - timing.wl)
            bank.precharge_from = max(bank.precharge_from, c + timing.rtp)
        else:
            end = c + timing.wl + self.burst
            self.column_from["read"] = max(c + apart, end + timing.wtr)
            self.group_from["read"][group] = max(self.group_from["read"][group], end + timing.wtrl)
            bank.precharge_from = max(bank.precharge_from, end + timing.wr)
        transfer.left -= 1
        if transfer.left == 0:
            self.waiting.remove(transfer)
            if transfer.receive:
                self.filling.append((self._cycle_of(end), transfer))

    def _row_command(self, transfer: Transfer, c: int) -> None:
        timing, bank = self.timing, self.banks[transfer.bank]
        if bank.row is not None:
            bank.row = None
            bank.activate_from = max(bank.activate_from, c + timing.rp)
            return
        bank.row = transfer.row
        bank.column_from = {"read": c + timing.rcd, "write": c + timing.rcdw}
        bank.precharge_from = c + timing.ras
        group = transfer.bank // self.per_group
        for near in self.banks[group * self.per_group : (group + 1) * self.per_group]:
            near.activate_from = max(near.activate_from, c + timing.rrdl)
        bank.activate_from = max(bank.activate_from, c + timing.rc)
        self.activations.append(c)
        self.activate_from = c + timing.rrd
        if len(self.activations) >= 4:
            self.activate_from = max(self.activate_from, self.activations[-4] + timing.faw)
