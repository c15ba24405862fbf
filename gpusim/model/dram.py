"""DRAM: channels with banks and row buffers, and an FR-FCFS controller each (first ready, first come).

Time here counts command clocks; clock c falls into the SM cycle of `cycle_of(c)`. In a clock a channel gives at most
one column command, which moves one sector, and one row command (activation or precharge). Rows stay open until another
is wanted. Writes wait until there are many, since turning the bus round costs time.
"""

from __future__ import annotations

from gpusim.jit import inlined, njit, popcount64, trailing_zeros64
from gpusim.model.cache import NONE
from gpusim.model.state import FOREVER

READ, WRITE_BACK = 0, 1


@inlined
def cycle_of(P, clock):
    """SM cycle in which what happens in a command clock is seen."""
    machine = P.machine[0]
    return (clock * machine.clock_cycles + machine.clocks - 1) // machine.clocks


@inlined
def room_in_queue(S, P, number, direction, sectors):
    """Whether the channel of slice `number` takes some more sectors."""
    machine = P.machine[0]
    entries = machine.read_entries if direction == READ else machine.write_entries
    return S.channels[number % machine.dram_channels].used[direction] + sectors <= entries


@inlined
def bank_and_row(P, line):
    """Bank and row of a line as bank + 2^8 * row. Neighbouring lines of a channel lie in rows of all bank groups."""
    machine = P.machine[0]
    across = line // machine.dram_channels
    per_group = machine.banks // machine.bank_groups
    page = across // machine.bank_groups // machine.row_lines
    group = (across + page) % machine.bank_groups
    row = page // per_group
    bank = (page + row + row // per_group) % per_group
    return group * per_group + bank + (row << 8)


@njit
def start_transfer(S, P, number, direction, line, sectors, place, sm, now):
    """Hand sectors of a line of slice `number` to its channel in cycle `now`; there is room in its queue."""
    machine = P.machine[0]
    c = number % machine.dram_channels
    channel = S.channels[c]
    node = channel.free
    entry = S.transfers[node]
    channel.free = entry.next
    where = bank_and_row(P, line)
    entry.direction = direction
    entry.bank = where & 255
    entry.row = where >> 8
    entry.left = popcount64(sectors)
    entry.slice = number
    entry.place = place
    entry.sectors = sectors
    entry.sm = sm
    entry.time = (now + machine.dram_latency) * machine.clocks // machine.clock_cycles + 1
    channel.used[direction] += entry.left
    entry.next = NONE
    if channel.arriving == NONE:
        channel.arriving = node
    else:
        S.transfers[channel.arriving_tail].next = node
    channel.arriving_tail = node
    channel.clock = min(channel.clock, entry.time)
    S.channel_next[c] = min(S.channel_next[c], cycle_of(P, channel.clock))


@inlined
def run_clocks(S, P, number, last):
    """Give a channel's commands up to command clock `last`; returns whether its queues have become shorter."""
    channel = S.channels[number]
    before = channel.used[READ] + channel.used[WRITE_BACK]
    while channel.clock <= last:
        channel.clock = one_clock(S, P, number, channel.clock)
    return channel.used[READ] + channel.used[WRITE_BACK] < before


@inlined
def one_clock(S, P, number, clock):
    """Give the oldest column and the oldest row command that may be given in a clock.

    Returns a clock before which no further command can be given; nothing happens in those in between.
    """
    machine = P.machine[0]
    channel = S.channels[number]
    admit(S, P, number, clock)
    direction = wanted_direction(P, channel)
    channel.direction = direction
    column, row = NONE, NONE
    following = FOREVER if channel.arriving == NONE else S.transfers[channel.arriving].time
    next_column = FOREVER
    bus_ready = channel.column_ok[direction]
    banks = channel.busy[direction]
    while banks:
        b = trailing_zeros64(banks)
        banks &= banks - 1
        bank = S.banks[number * machine.banks + b]
        hit = bank.hit[direction]
        if hit != NONE:
            group = b // (machine.banks // machine.bank_groups)
            ready = max(bank.column_ok, max(bus_ready, channel.group_ok[group]))
            if ready > clock:
                next_column = min(next_column, ready)
            elif column == NONE or S.transfers[hit].number < S.transfers[column].number:
                column = hit
        else:
            oldest = bank.head[direction]
            ready = bank.precharge_ok if bank.row >= 0 else max(bank.activate_ok, channel.activate_ok)
            if ready > clock:
                following = min(following, ready)
            else:
                if row != NONE:
                    following = clock + 1
                if row == NONE or S.transfers[oldest].number < S.transfers[row].number:
                    row = oldest
    if row != NONE:
        following = min(following, row_command(S, P, number, row, clock))
    if column != NONE:
        following = min(following, column_command(S, P, number, column, clock))
        next_column = max(next_column, channel.column_ok[direction])
        if wanted_direction(P, channel) != direction:
            following = clock + 1
    return min(following, next_column)


@inlined
def admit(S, P, number, clock):
    """Transfers that have arrived join their banks' queues."""
    channel = S.channels[number]
    while channel.arriving != NONE and S.transfers[channel.arriving].time <= clock:
        node = channel.arriving
        entry = S.transfers[node]
        direction = entry.direction
        channel.arriving = entry.next
        entry.next = NONE
        entry.number = channel.number
        channel.number += 1
        channel.queued[direction] += entry.left
        channel.busy[direction] |= 1 << entry.bank
        bank = S.banks[number * P.machine[0].banks + entry.bank]
        if bank.head[direction] == NONE:
            bank.head[direction] = node
        else:
            S.transfers[bank.tail[direction]].next = node
        bank.tail[direction] = node
        if bank.hit[direction] == NONE and bank.row == entry.row:
            bank.hit[direction] = node


@inlined
def wanted_direction(P, channel):
    """Reads go first until the write queue is full to its high mark, or nothing is to be read."""
    machine = P.machine[0]
    reads, writes = channel.queued[READ], channel.queued[WRITE_BACK]
    if channel.direction == WRITE_BACK:
        return READ if writes == 0 or (reads > 0 and writes <= machine.write_low) else WRITE_BACK
    return WRITE_BACK if writes >= machine.write_high or (reads == 0 and writes > 0) else READ


@inlined
def next_hit(S, node, row):
    """The first transfer from `node` on in a bank's queue that wants `row`, or -1."""
    while node != NONE and S.transfers[node].row != row:
        node = S.transfers[node].next
    return node


@inlined
def row_command(S, P, number, node, clock):
    """Open the row of a transfer, or close the one in its way. Returns the first clock of the bank's next command."""
    machine = P.machine[0]
    entry = S.transfers[node]
    bank = S.banks[number * machine.banks + entry.bank]
    if bank.row >= 0:
        bank.row = -1
        bank.hit[READ] = NONE
        bank.hit[WRITE_BACK] = NONE
        bank.activate_ok = max(bank.activate_ok, clock + machine.rp)
        return clock + machine.rp
    bank.row = entry.row
    for direction in range(2):
        bank.hit[direction] = next_hit(S, bank.head[direction], bank.row)
    bank.column_ok = clock + machine.rcd
    bank.precharge_ok = clock + machine.ras
    bank.activate_ok = clock + machine.rc
    S.channels[number].activate_ok = clock + machine.rrd
    S.counters[entry.sm].dram_activates += 1
    return clock + machine.rcd


@inlined
def column_command(S, P, number, node, clock):
    """Move one sector of a transfer; the last one ends it. Returns the first clock of the channel's next command."""
    machine = P.machine[0]
    channel = S.channels[number]
    entry = S.transfers[node]
    direction = entry.direction
    bank = S.banks[number * machine.banks + entry.bank]
    entry.left -= 1
    channel.used[direction] -= 1
    channel.queued[direction] -= 1
    apart = max(machine.ccd, machine.burst)
    channel.group_ok[entry.bank // (machine.banks // machine.bank_groups)] = clock + max(machine.ccdl, apart)
    channel.column_ok[direction] = clock + apart
    if direction == READ:
        end = clock + machine.cl + machine.burst
        channel.column_ok[WRITE_BACK] = max(clock + apart, end + machine.turnaround - machine.wl)
        bank.precharge_ok = max(bank.precharge_ok, clock + machine.rtp)
    else:
        end = clock + machine.wl + machine.burst
        channel.column_ok[READ] = max(clock + apart, end + machine.wtr)
        bank.precharge_ok = max(bank.precharge_ok, end + machine.wr)
    if entry.left == 0:
        leave_bank(S, channel, bank, node)
        finish(S, channel, node, cycle_of(P, end))
    return min(clock + apart, bank.precharge_ok)


@inlined
def leave_bank(S, channel, bank, node):
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
def finish(S, channel, node, cycle):
    """All commands of a transfer are given: data read reach L2 in `cycle`."""
    entry = S.transfers[node]
    if entry.direction == WRITE_BACK:
        entry.next = channel.free
        channel.free = node
        return
    entry.time = cycle
    entry.next = NONE
    if channel.filling == NONE:
        channel.filling = node
    else:
        S.transfers[channel.filling_tail].next = node
    channel.filling_tail = node


@inlined
def next_fill(S, number):
    """Cycle in which the next data of a channel reach L2."""
    channel = S.channels[number]
    return FOREVER if channel.filling == NONE else S.transfers[channel.filling].time
