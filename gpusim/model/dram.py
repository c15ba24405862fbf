"""DRAM: channels with banks and row buffers, and an FR-FCFS controller each (first ready, first come).

Time here counts command clocks; clock c falls into the SM cycle of `cycle_of(c)`. In a clock a channel gives at most
one column command, which moves one sector, and one row command (activation or precharge). Rows stay open until another
is wanted or their bank is refreshed. Writes wait until there are many, since turning the bus round costs time.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64, trailing_zeros64
from gpusim.model.cache import NONE
from gpusim.model.ecc import ecc_traffic
from gpusim.model.params import Params
from gpusim.model.state import ACTIVATIONS, FOREVER, MOST_GROUPS, State
from gpusim.model.types import Clock, Cycle, Flag, Line, Mask, Node, Number, Place, Record

READ, WRITE_BACK = 0, 1
"""Directions."""
ARRIVING, FILLING = 0, 1
"""Lists of a channel: transfers on their way to its queues, and those whose data are on their way to L2."""


# ---- clocks and places


@inlined
def cycle_of(P: Params, clock: Clock) -> Cycle:
    """SM cycle in which what happens in a command clock is seen."""
    derived = P.derived[0]
    return (clock * derived.clock_cycles + derived.clocks - 1) // derived.clocks


@inlined
def clock_of(P: Params, cycle: Cycle) -> Clock:
    """Last command clock that falls into a cycle or before it."""
    return cycle * P.derived[0].clocks // P.derived[0].clock_cycles


@inlined
def bank_and_row(P: Params, line: Line) -> tuple[int, int]:
    """Bank and row of a line. Neighbouring lines of a channel lie in rows of all bank groups."""
    dram = P.card[0].dram
    across = line // dram.channels
    per_group = dram.banks // dram.bank_groups
    page = across // dram.bank_groups // P.derived[0].row_lines
    group = (across + page) % dram.bank_groups
    row = page // per_group
    bank = (page + row + row // per_group) % per_group
    return group * per_group + bank, row


@inlined
def group_of(P: Params, bank: int) -> int:
    """Bank group of a bank."""
    return bank // (P.card[0].dram.banks // P.card[0].dram.bank_groups)


@inlined
def of_group(P: Params, direction: int, bank: int) -> int:
    """Where CHANNEL.group_ok has a direction's clock of a bank's group."""
    return direction * MOST_GROUPS + group_of(P, bank)


@inlined
def bank_at(S: State, P: Params, number: Number, bank: int) -> Record:
    """Record of a channel's bank."""
    return S.banks[number * P.card[0].dram.banks + bank]


@inlined
def channel_counters(S: State, P: Params, number: Number) -> Record:
    """Counters of a channel and the slices in front of it."""
    return S.counters[P.card[0].sms + number]


# ---- transfers, and lists of them: a channel's and a bank's, each by number


@inlined
def append(S: State, owner: Record, which: int, node: Node) -> None:
    """Put a transfer at the end of a list."""
    S.transfers[node].next = NONE
    if owner.head[which] == NONE:
        owner.head[which] = node
    else:
        S.transfers[owner.tail[which]].next = node
    owner.tail[which] = node


@inlined
def first_time(S: State, channel: Record, which: int) -> int:
    """Time of the first transfer of a channel's list, FOREVER if there is none."""
    node = channel.head[which]
    return FOREVER if node == NONE else S.transfers[node].time


@inlined
def take_first(S: State, channel: Record, which: int) -> Node:
    """Take the first transfer off a channel's list."""
    node = channel.head[which]
    channel.head[which] = S.transfers[node].next
    return node


@inlined
def free_transfer(S: State, channel: Record, node: Node) -> None:
    S.transfers[node].next = channel.free
    channel.free = node


@inlined
def room_in_queue(S: State, P: Params, number: Number, direction: int, sectors: int) -> Flag:
    """Whether the channel of slice `number` takes some more sectors; none always, though ECC may have overfilled it."""
    dram = P.card[0].dram
    entries = dram.queue_entries if direction == READ else dram.write_queue.entries
    return sectors == 0 or S.channels[number % dram.channels].used[direction] + sectors <= entries


@njit
def start_transfer(
    S: State,
    P: Params,
    number: Number,
    direction: int,
    line: Line,
    sectors: Mask,
    place: Place,
    now: Cycle,
) -> None:
    """Hand sectors of a line of slice `number` to its channel in cycle `now`; there is room in its queue."""
    dram = P.card[0].dram
    c = number % dram.channels
    channel = S.channels[c]
    node = channel.free
    entry = S.transfers[node]
    channel.free = entry.next
    entry.direction = direction
    entry.bank, entry.row = bank_and_row(P, line)
    ecc_reads, ecc_writes = ecc_traffic(S, P, c, line, direction == WRITE_BACK)
    counters = channel_counters(S, P, c)
    counters.dram_read_sectors += ecc_reads
    counters.dram_write_sectors += ecc_writes
    entry.left = popcount64(sectors) + ecc_reads + ecc_writes
    entry.slice = number
    entry.place = place
    entry.sectors = sectors
    entry.time = clock_of(P, now + dram.latency) + 1
    channel.used[direction] += entry.left
    append(S, channel, ARRIVING, node)
    channel.clock = min(channel.clock, entry.time)
    S.channel_next[c] = min(S.channel_next[c], cycle_of(P, channel.clock))


# ---- the controller


@inlined
def run_clocks(S: State, P: Params, number: Number, last: Clock) -> Flag:
    """Give a channel's commands up to command clock `last`; returns whether its queues have become shorter."""
    channel = S.channels[number]
    before = channel.used[READ] + channel.used[WRITE_BACK]
    while channel.clock <= last:
        channel.clock = one_clock(S, P, number, channel.clock)
    return channel.used[READ] + channel.used[WRITE_BACK] < before


@inlined
def one_clock(S: State, P: Params, number: Number, clock: Clock) -> Clock:
    """Give the oldest column and the oldest row command that may be given in a clock.

    Returns a clock before which no further command can be given; nothing happens in those in between.
    """
    channel = S.channels[number]
    refresh_until(S, P, number, clock)
    admit(S, P, number, clock)
    direction = wanted_direction(P, channel)
    channel.direction = direction
    column, row = NONE, NONE
    following = first_time(S, channel, ARRIVING)
    if channel.queued[READ] + channel.queued[WRITE_BACK] > 0:
        following = min(following, next_refresh(P, channel))
    next_column = FOREVER
    bus_ready = channel.column_ok[direction]
    banks = channel.busy[direction]
    while banks:
        b = trailing_zeros64(banks)
        banks &= banks - 1
        bank = bank_at(S, P, number, b)
        hit = bank.hit[direction]
        if hit != NONE:
            ready = max(bank.column_ok[direction], max(bus_ready, channel.group_ok[of_group(P, direction, b)]))
            if ready > clock:
                next_column = min(next_column, ready)
            elif column == NONE or S.transfers[hit].number < S.transfers[column].number:
                column = hit
        else:
            oldest = bank.head[direction]
            ready = row_ready(channel, bank, clock)
            if ready > clock:
                following = min(following, ready)
            else:
                if row != NONE:
                    following = clock + 1
                if row == NONE or S.transfers[oldest].number < S.transfers[row].number:
                    row = oldest
    # banks without work in this direction get ready for the other one
    other = 1 - direction
    banks = channel.busy[other] & ~channel.busy[direction]
    early = NONE
    while banks:
        b = trailing_zeros64(banks)
        banks &= banks - 1
        bank = bank_at(S, P, number, b)
        if bank.hit[other] == NONE:
            oldest = bank.head[other]
            ready = row_ready(channel, bank, clock)
            if ready > clock:
                following = min(following, ready)
            elif row != NONE:
                following = clock + 1
            else:
                if early != NONE:
                    following = clock + 1
                if early == NONE or S.transfers[oldest].number < S.transfers[early].number:
                    early = oldest
    if row == NONE:
        row = early
    if row != NONE:
        following = min(following, row_command(S, P, number, row, clock))
    if column != NONE:
        following = min(following, column_command(S, P, number, column, clock))
        next_column = max(next_column, channel.column_ok[direction])
        if wanted_direction(P, channel) != direction:
            following = clock + 1
    return min(following, next_column)


@inlined
def next_refresh(P: Params, channel: Record) -> Clock:
    """Clock of a channel's next refresh."""
    return (channel.refreshes + 1) * P.derived[0].refresh_step


@inlined
def refresh_until(S: State, P: Params, number: Number, clock: Clock) -> None:
    """Begin the refreshes that are due up to a clock, of one bank after the other or of all at once."""
    channel = S.channels[number]
    dram = P.card[0].dram
    refresh = dram.refresh
    due = next_refresh(P, channel)
    while due <= clock:
        if refresh.per_bank:
            bank = bank_at(S, P, number, channel.refreshes % dram.banks)
            begin = close_for_refresh(P, bank, due)
            bank.activate_ok = begin + refresh.rfc
            channel.refresh_begin, channel.refresh_end = begin, begin + refresh.rrefd
        else:
            begin = due
            for b in range(dram.banks):
                begin = max(begin, close_for_refresh(P, bank_at(S, P, number, b), due))
            for b in range(dram.banks):
                bank_at(S, P, number, b).activate_ok = begin + refresh.rfc
        channel.refreshes += 1
        due = next_refresh(P, channel)


@inlined
def row_ready(channel: Record, bank: Record, clock: Clock) -> Clock:
    """First clock from `clock` on in which a bank's open row may be closed, or one be opened."""
    if bank.row >= 0:
        return bank.precharge_ok
    ready = max(clock, max(bank.activate_ok, channel.activate_ok))
    return channel.refresh_end if channel.refresh_begin <= ready < channel.refresh_end else ready


@inlined
def close_for_refresh(P: Params, bank: Record, clock: Clock) -> Clock:
    """Close a bank's row from `clock` on; returns the first one in which its refresh can begin."""
    begin = max(clock, bank.activate_ok)
    if bank.row >= 0:
        begin = max(begin, max(clock, bank.precharge_ok) + P.card[0].dram.timing.rp)
        close_row(bank)
    return begin


@inlined
def close_row(bank: Record) -> None:
    bank.row = -1
    bank.hit[READ] = NONE
    bank.hit[WRITE_BACK] = NONE


@inlined
def admit(S: State, P: Params, number: Number, clock: Clock) -> None:
    """Transfers that have arrived join their banks' queues."""
    channel = S.channels[number]
    while first_time(S, channel, ARRIVING) <= clock:
        node = take_first(S, channel, ARRIVING)
        entry = S.transfers[node]
        direction = entry.direction
        entry.number = channel.number
        channel.number += 1
        channel.queued[direction] += entry.left
        channel.busy[direction] |= 1 << entry.bank
        bank = bank_at(S, P, number, entry.bank)
        append(S, bank, direction, node)
        if bank.hit[direction] == NONE and bank.row == entry.row:
            bank.hit[direction] = node


@inlined
def wanted_direction(P: Params, channel: Record) -> int:
    """Reads go first until the write queue is full to its high mark, or nothing is to be read."""
    queue = P.card[0].dram.write_queue
    reads, writes = channel.queued[READ], channel.queued[WRITE_BACK]
    if channel.direction == WRITE_BACK:
        return READ if writes == 0 or (reads > 0 and writes <= queue.low) else WRITE_BACK
    return WRITE_BACK if writes >= queue.high or (reads == 0 and writes > 0) else READ


@inlined
def next_hit(S: State, node: Node, row: int) -> Node:
    """The first transfer from `node` on in a bank's queue that wants `row`, or -1."""
    while node != NONE and S.transfers[node].row != row:
        node = S.transfers[node].next
    return node


@inlined
def row_command(S: State, P: Params, number: Number, node: Node, clock: Clock) -> Clock:
    """Open the row of a transfer, or close the one in its way. Returns the first clock of the bank's next command."""
    timing = P.card[0].dram.timing
    channel = S.channels[number]
    entry = S.transfers[node]
    bank = bank_at(S, P, number, entry.bank)
    if bank.row >= 0:
        close_row(bank)
        bank.activate_ok = max(bank.activate_ok, clock + timing.rp)
        return clock + timing.rp
    bank.row = entry.row
    for direction in range(2):
        bank.hit[direction] = next_hit(S, bank.head[direction], bank.row)
    bank.column_ok[READ] = clock + timing.rcd
    bank.column_ok[WRITE_BACK] = clock + timing.rcdw
    bank.precharge_ok = clock + timing.ras
    in_group = P.card[0].dram.banks // P.card[0].dram.bank_groups
    first = entry.bank - entry.bank % in_group
    for other in range(first, first + in_group):
        near = bank_at(S, P, number, other)
        near.activate_ok = max(near.activate_ok, clock + timing.rrdl)
    bank.activate_ok = max(bank.activate_ok, clock + timing.rc)
    channel.activations[channel.activated % ACTIVATIONS] = clock
    channel.activated += 1
    fourth_last = channel.activations[channel.activated % ACTIVATIONS]
    channel.activate_ok = max(clock + timing.rrd, fourth_last + timing.faw)
    channel_counters(S, P, number).dram_activates += 1
    return bank.column_ok[entry.direction]


@inlined
def column_command(S: State, P: Params, number: Number, node: Node, clock: Clock) -> Clock:
    """Move one sector of a transfer; the last one ends it. Returns the first clock of the channel's next command."""
    timing, burst = P.card[0].dram.timing, P.derived[0].burst
    channel = S.channels[number]
    entry = S.transfers[node]
    direction = entry.direction
    bank = bank_at(S, P, number, entry.bank)
    entry.left -= 1
    channel.used[direction] -= 1
    channel.queued[direction] -= 1
    apart = max(timing.ccd, burst)
    channel.group_ok[of_group(P, direction, entry.bank)] = clock + max(timing.ccdl, apart)
    channel.column_ok[direction] = clock + apart
    if direction == READ:
        end = clock + timing.cl + burst
        channel.column_ok[WRITE_BACK] = max(clock + apart, end + timing.turnaround - timing.wl)
        bank.precharge_ok = max(bank.precharge_ok, clock + timing.rtp)
    else:
        end = clock + timing.wl + burst
        channel.column_ok[READ] = max(clock + apart, end + timing.wtr)
        group = of_group(P, READ, entry.bank)
        channel.group_ok[group] = max(channel.group_ok[group], end + timing.wtrl)
        bank.precharge_ok = max(bank.precharge_ok, end + timing.wr)
    if entry.left == 0:
        leave_bank(S, channel, bank, node)
        finish(S, channel, node, cycle_of(P, end))
    return min(clock + apart, bank.precharge_ok)


@inlined
def leave_bank(S: State, channel: Record, bank: Record, node: Node) -> None:
    """Take a transfer, its bank's oldest hit, out of the bank's queue."""
    entry = S.transfers[node]
    direction = entry.direction
    before, at = NONE, bank.head[direction]
    while at != node:
        before, at = at, S.transfers[at].next
    if before == NONE:
        bank.head[direction] = entry.next
    else:
        S.transfers[before].next = entry.next
    if entry.next == NONE:
        bank.tail[direction] = before
    if bank.head[direction] == NONE:
        channel.busy[direction] &= ~(1 << entry.bank)
    bank.hit[direction] = next_hit(S, entry.next, bank.row)


@inlined
def finish(S: State, channel: Record, node: Node, cycle: Cycle) -> None:
    """All commands of a transfer are given: data read reach L2 in `cycle`."""
    entry = S.transfers[node]
    if entry.direction == WRITE_BACK:
        free_transfer(S, channel, node)
    else:
        entry.time = cycle
        append(S, channel, FILLING, node)
