"""Behind the SM: ports, L2 slices, DRAM banks. One SM; a command clock of DRAM is a cycle, so that times can be added up."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from microbench import PAUSE, PERFECT, SMALL, Run, kernel, op, run, trace
from reference.spread import spread as reference_spread

from gpusim.config.loading import load_config
from gpusim.errors import GpusimError
from gpusim.model.hashing import POLYNOMIALS, parity_masks, split
from gpusim.model.setup.card import core_per_command_clock, l2_latency, sector_ticks, shortest_round_trip
from gpusim.model.setup.simulate import simulate

POINTER = op("LDC.64 R2, c[0x0][0x160]", 2, write=5)
READY = [POINTER, op("NOP", 2, wait="5"), *[PAUSE] * 20]
CLOCKS = ("clocks.core_mhz=1000", "clocks.memory_mhz=4000")
NO_REFRESH = "dram.refresh={per_bank: false, interval: 1000000, rfc: 0, rrefd: 0}"
ONE_BANK = (NO_REFRESH, "l2.slices=1", "dram.channels=1", "dram.banks=1", "dram.bank_groups=1", *CLOCKS)
BURST = 2
WAY_TO_DRAM = 250 + 252 + 1
"""Cycles of a load of DRAM without DRAM's own."""
PAGE = 2048


def timing(**changed: int) -> tuple[str, ...]:
    """Overrides of DRAM timing that make everything short but what is measured."""
    short = dict.fromkeys(("rcd", "rcdw", "ras", "rp", "rc", "rrd", "rrdl", "faw", "cl", "ccd", "ccdl", "rtp"), 1)
    return tuple(f"dram.timing.{key}={value}" for key, value in (short | changed).items())


def load(offset: int, counter: int) -> str:
    """A load of one sector that goes around L1D."""
    return op(f"LDG.E.STRONG.GPU R{8 + counter}, [R2.64+{hex(offset)}]", 1, write=counter)


def done(*lines: str, overrides: tuple[str, ...] = ONE_BANK) -> list[int]:
    """Cycles in which the loads among `lines` are visible to dependents, in the order of issue."""
    waiting = "".join(str(k) for k in range(5) if any(f":W{k}:" in line for line in lines))
    result = run([*READY, *lines, op("NOP", 2, wait=waiting), PAUSE], *overrides)
    return (result.rows("LDG")["write_back"] + 1).tolist()


def latency(*before: str, offset: int, overrides: tuple[str, ...] = ONE_BANK) -> int:
    """Latency of a load long after other instructions."""
    pauses = [PAUSE] * 30
    lines = [line for text in before for line in (text, *pauses)]
    result = run([*READY, *lines, load(offset, 4), op("NOP", 2, wait="4"), PAUSE], *overrides)
    return int(result.rows("LDG")["write_back"][-1]) + 1 - result.issues("LDG")[-1]


# ---- hashing


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 40, 44, 48, 64, 80, 128])
def test_consecutive_lines_spread_over_all_slices_and_sets(count: int) -> None:
    base = 0x7F0000000000 // 128 // count * count
    numbers = [reference_spread(base + k, count) for k in range(count)]
    assert sorted(numbers) == list(range(count))


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32, 64, 128, 256, 1024, 3, 6, 12, 48, 384])
def test_strides_spread_over_the_slices(stride: int) -> None:
    numbers = [reference_spread((1 << 40) + k * stride, 48) for k in range(960)]
    assert max(numbers.count(n) for n in range(48)) <= 2 * 960 / 48


@pytest.mark.parametrize("bits", range(1, len(POLYNOMIALS)))
def test_masks_are_remainders_of_powers(bits: int) -> None:
    masks = parity_masks(bits)
    power = 1
    for position in range(50):
        assert sum((int(masks[bit]) >> position & 1) << bit for bit in range(bits)) == power
        power = power << 1 ^ (POLYNOMIALS[bits] if power >> (bits - 1) & 1 else 0)


@pytest.mark.parametrize("bits", range(1, 13))
def test_polynomials_are_primitive(bits: int) -> None:
    power, order = 1, 0
    while order == 0 or power != 1:
        power = power << 1 ^ (POLYNOMIALS[bits] if power >> (bits - 1) & 1 else 0)
        order += 1
    assert order == 2**bits - 1


def test_counts_split_into_an_odd_part_and_a_power_of_two() -> None:
    assert [split(n) for n in (1, 3, 48, 44, 64)] == [(1, 0), (3, 0), (3, 4), (11, 2), (1, 6)]


# ---- clocks


def test_l2_clock_scales_latency_and_bandwidth() -> None:
    slow = load_config("a6000", ["clocks.l2_mhz=900"])
    assert l2_latency(slow) == 2 * l2_latency(load_config("a6000", []))
    assert shortest_round_trip(slow) == 54 + 220 + 54
    assert sector_ticks(slow.l2.bytes_per_cycle / 2) == 32


def test_dram_clocks_are_a_quarter_of_the_data_clocks() -> None:
    assert core_per_command_clock(load_config("a6000", [])) == Fraction(1800, 2000)
    assert latency(offset=0, overrides=(*ONE_BANK, *timing())) + 1 == latency(
        offset=0, overrides=(*ONE_BANK, *timing(cl=2))
    )
    slower = latency(offset=0, overrides=(*ONE_BANK, *timing(cl=101), "clocks.memory_mhz=2000"))
    assert slower - latency(offset=0, overrides=(*ONE_BANK, *timing(cl=1), "clocks.memory_mhz=2000")) == 200


# ---- DRAM timing, each parameter from one value to the next


@pytest.mark.parametrize("key", ["rp", "rcd", "cl"])
@pytest.mark.parametrize("value", [20, 21])
def test_a_row_conflict_takes_precharge_activation_and_read(key: str, value: int) -> None:
    conflict = latency(load(0, 0), offset=PAGE, overrides=(*ONE_BANK, *timing(**{key: value})))
    hit = latency(load(0, 0), offset=128, overrides=(*ONE_BANK, *timing(**{key: value})))
    assert conflict - hit == (1 + value if key in ("rp", "rcd") else 2)
    assert hit == WAY_TO_DRAM + (value if key == "cl" else 1) + BURST


@pytest.mark.parametrize("value", [60, 61])
@pytest.mark.parametrize(("key", "more"), [("ras", 1), ("rc", 0), ("rtp", 2)])
def test_a_bank_opens_its_next_row_no_sooner_than_its_timing_lets_it(key: str, value: int, more: int) -> None:
    first, second = done(load(0, 0), load(PAGE, 1), overrides=(*ONE_BANK, *timing(**{key: value})))
    assert second - first == value + more  # then rp = 1; rtp counts from the read, rcd = 1 behind the activation


@pytest.mark.parametrize("value", [60, 61])
def test_activations_of_two_banks_are_apart(value: int) -> None:
    banks = (*ONE_BANK, "dram.banks=2", *timing(rrd=value))
    first, second = done(load(0, 0), load(PAGE, 1), overrides=banks)
    assert second - first == value


TWO_GROUPS = (*ONE_BANK, "dram.banks=8", "dram.bank_groups=2")
OTHER_GROUP, OTHER_BANK = 128, 2 * PAGE + 128
"""Behind an access of line 0: one of another bank group, and of another bank of the same group, in TWO_GROUPS."""


@pytest.mark.parametrize(
    ("rrd", "rrdl", "offset", "apart"),
    [
        (40, 60, OTHER_BANK, 60),
        (40, 61, OTHER_BANK, 61),
        (40, 60, OTHER_GROUP, 40),
        (41, 60, OTHER_GROUP, 41),
        (40, 1, OTHER_BANK, 40),
    ],
)
def test_activations_are_further_apart_in_a_group(rrd: int, rrdl: int, offset: int, apart: int) -> None:
    first, second = done(load(0, 0), load(offset, 1), overrides=(*TWO_GROUPS, *timing(rrd=rrd, rrdl=rrdl)))
    assert second - first == apart


@pytest.mark.parametrize(("faw", "apart"), [(1, 80), (80, 80), (81, 81), (150, 150), (151, 151)])
def test_four_activations_fall_into_a_window(faw: int, apart: int) -> None:
    # Given five lines of five banks
    lines = [load(offset, n) for n, offset in enumerate((0, 128, 2 * PAGE, 2 * PAGE + 128, 4 * PAGE))]
    times = done(*lines, overrides=(*TWO_GROUPS, *timing(rrd=20, faw=faw)))
    # Then the fifth activation is the first that the window delays
    assert [time - times[0] for time in times[:4]] == [0, 20, 40, 60]
    assert times[4] - times[0] == apart


@pytest.mark.parametrize(("ccd", "ccdl", "same", "other"), [(4, 6, 6, 4), (4, 7, 7, 4), (5, 6, 6, 5), (1, 1, 4, 4)])
def test_column_commands_are_apart_and_more_so_in_one_group(ccd: int, ccdl: int, same: int, other: int) -> None:
    groups = (*ONE_BANK, "dram.banks=2", "dram.bank_groups=2", *timing(ccd=ccd, ccdl=ccdl))
    # two lines of a row, then of two groups, opened long before; loads reach DRAM four cycles apart, so that one is late
    opened = [load(0, 0), *[PAUSE] * 30, load(128, 1), *[PAUSE] * 30]
    queued = [op("LDG.E.STRONG.GPU R20, [R2.64+0x200]", 1, write=2)]
    for step, apart in ((0x100, same), (0x80, other)):
        second = op(f"LDG.E.STRONG.GPU R21, [R2.64+{hex(0x200 + step)}]", 1, write=3)
        times = done(*opened, *queued, second, overrides=groups)
        assert times[3] - times[2] == max(apart, 4)


def test_first_ready_goes_before_first_come() -> None:
    # Given an open page, a load of another page and then one of the open page, while the bank cannot close
    overrides = (*ONE_BANK, *timing(ras=200))
    _, conflict, hit = done(load(0, 0), load(PAGE, 1), load(128, 2), overrides=overrides)
    assert hit < conflict


def test_transfers_open_a_row_once() -> None:
    lines = [load(128 * n, n) for n in range(4)]
    result = run([*READY, *lines, op("NOP", 2, wait="0123"), PAUSE], *ONE_BANK)
    assert result.counters["dram_activates"] == 1


# ---- writes

AT_ONCE = "sm.memory_unit.l1_data.store_lines=0"
"""Stores are not held to be merged."""
STORES = ("l2.sets=1", "l2.ways=1", AT_ONCE, *ONE_BANK)
"""An L2 of one line: each other line that is touched sends the one before to DRAM."""


def store(offset: int, width: str = "") -> str:
    return op(f"STG.E{width} [R2.64+{hex(offset)}], R4", 2, read=0)


WAY_TO_L2_AND_BACK = 11 + 13 + 54 + 110 + 54  # issue to grant, L1D, crossbar, L2, crossbar


@pytest.mark.parametrize(
    ("write", "waits"),
    [
        ("STG.E [R2.64], R4", WAY_TO_L2_AND_BACK),
        ("RED.E.ADD.STRONG.GPU [R2.64], R4", WAY_TO_L2_AND_BACK),
        ("IADD3 R9, RZ, RZ, RZ", 1),
    ],
)
def test_a_memory_barrier_waits_for_the_acknowledgement_of_the_writes_of_its_warp(write: str, waits: int) -> None:
    result = run([*READY, op(write, 1), op("MEMBAR.SC.CTA"), PAUSE], AT_ONCE)
    assert result.issues("MEMBAR")[0] - result.issues(write.split()[0])[-1] == waits


def test_a_memory_barrier_does_not_wait_for_writes_of_other_warps() -> None:
    first_warp = [
        op("S2R R0, SR_TID.X", 2, write=0),
        op("ISETP.GE.AND P0, PT, R0, 0x20, PT", 13, wait="0", yields=True),
    ]
    lines = [*first_warp, *READY, op("@!P0 STG.E [R2.64], R4", 1), op("MEMBAR.SC.CTA"), PAUSE]
    result = run(lines, block=256)
    issued = [result.issues("MEMBAR", warp=warp)[0] - result.issues("STG", warp=warp)[0] for warp in (0, 1)]
    assert issued[0] >= WAY_TO_L2_AND_BACK > 100 > issued[1]


def test_written_lines_go_to_dram_when_they_are_replaced() -> None:
    result = run([*READY, store(0), *[PAUSE] * 20, load(PAGE, 1), op("NOP", 2, wait="1"), PAUSE], *STORES)
    assert result.counters["l2_write_sectors"] == 1
    assert result.counters["dram_write_sectors"] == 1
    untouched = run([*READY, store(0), *[PAUSE] * 20, load(0, 1), op("NOP", 2, wait="1"), PAUSE], *STORES)
    assert untouched.counters["dram_write_sectors"] == 0


@pytest.mark.parametrize(("lanes", "asked"), [(8, 0), (7, 1)])
def test_a_sector_is_read_from_dram_unless_all_of_it_was_written(lanes: int, asked: int) -> None:
    address = [
        op("S2R R0, SR_LANEID", 2, write=4),
        op("IMAD.SHL.U32 R6, R0, 0x4, RZ", 6, wait="45"),
        op("IADD3 R4, P0, R2, R6, RZ", 13, yields=True),
        op("IADD3.X R5, RZ, R3, RZ, P0, !PT", 13, yields=True),
        op(f"ISETP.LT.AND P1, PT, R0, {hex(lanes)}, PT", 13, yields=True),
        op("@P1 STG.E [R4.64], R0", 2, read=0),
        *[PAUSE] * 30,
    ]
    counters = run([POINTER, *address, load(0, 1), op("NOP", 2, wait="1"), PAUSE]).counters
    assert counters["dram_read_sectors"] == asked


def behind_a_write(*extra: str, written: int = 0, read: int = 384, **changed: int) -> int:
    """Cycle of a read behind the write of a line, which gives way to a read that goes first."""
    overrides = (*TWO_GROUPS, *timing(**({"wl": 1, "wtr": 1, "wtrl": 1, "turnaround": 0} | changed)))
    small = ("l2.sets=1", "l2.ways=2", AT_ONCE, "dram.write_queue={entries: 20, high: 12, low: 0}")
    lines = [store(written), store(written + 128), *[PAUSE] * 30, load(256, 1), op("NOP", 10), load(read, 2)]
    return done(*lines, overrides=(*overrides, *small, *extra))[1]


@pytest.mark.parametrize("key", ["wl", "wtr", "wtrl", "turnaround", "rcdw"])
def test_the_bus_turns_round_between_writes_and_reads(key: str) -> None:
    read = 512 if key == "wtrl" else 384  # of the group that was written, and of the other one
    rows = 2 * PAGE if key == "rcdw" else 0  # another row than that of the reads
    times = [behind_a_write(**{key: value}, read=read, written=rows) for value in (1, 100, 101, 102)]
    assert [later - earlier for earlier, later in pairwise(times)][1:] == [1, 1]
    assert times[0] < times[1]


def test_a_write_delays_reads_of_its_bank_group_longer() -> None:
    same, other = [[behind_a_write(wtr=60, wtrl=value, read=read) for value in (1, 60, 80)] for read in (512, 384)]
    assert (same[0], same[2] - same[1]) == (same[1], 20)
    assert other == [other[0]] * 3


@pytest.mark.parametrize(("wr", "apart"), [(1, 60), (50, 1 + BURST + 50 + 20 + 20)])
def test_a_written_bank_closes_after_its_write_recovery_however_far_apart_reads_are(wr: int, apart: int) -> None:
    # Given a bank that after a read may close as late as the next column command of any bank may come
    overrides = (*STORES, *timing(ccd=60, rtp=60, rp=20, rcdw=20), "dram.timing.wl=1", f"dram.timing.wr={wr}")
    rows = [store(PAGE * n) for n in range(5)]

    def read_behind(writes: int) -> int:
        queue = "dram.write_queue={entries: 20, high: 1, low: 0}"
        return done(*rows[:writes], load(8 * PAGE, 1), overrides=(*overrides, queue))[0]

    # Then each further row that is written delays a read behind it by the bus or by the bank, whichever is slower
    assert np.diff([read_behind(writes) for writes in range(1, 6)]).tolist() == [apart] * 4


def test_reads_go_first_again_once_the_last_write_is_done() -> None:
    # Given a read that comes together with the write of the line it replaces, long after another write
    queue = "dram.write_queue={entries: 20, high: 12, low: 0}"
    overrides = (*STORES, *timing(), "dram.timing.wl=50", "dram.timing.wtr=50", queue)
    behind_writes = latency(store(0), store(128), offset=256, overrides=overrides)
    # Then it is as fast as one that replaces a line nobody wrote
    assert behind_writes == latency(load(0, 0), load(128, 1), offset=256, overrides=overrides)


def test_an_sm_waits_with_stores_until_earlier_ones_are_acknowledged() -> None:
    stores = [store(128 * n) for n in range(8)]
    free = run([*READY, *stores, PAUSE])
    one = run([*READY, *stores, PAUSE], "interconnect.writes_in_flight=1")
    starts = one.rows("STG")["execute"].tolist()
    assert all(later - earlier >= shortest_round_trip(load_config("a6000", [])) for earlier, later in pairwise(starts))
    assert max(free.rows("STG")["execute"].tolist()) < starts[2]


def test_what_other_sub_cores_ask_for_waits_behind_a_store_that_is_refused() -> None:
    # Given warps of two sub-cores that each store once, then ask for a thread index, which needs no room in L1
    lines = [*READY, store(0), op("S2R R9, SR_TID.X", 2, write=2), PAUSE]
    free, one = (run(lines, f"interconnect.writes_in_flight={n}", block=64) for n in (2, 1))

    def starts(result: Run, opcode: str) -> list[int]:
        return [int(result.rows(opcode, sub_core=k)["execute"][0]) for k in (0, 1)]

    first, second = starts(one, "STG")
    assert second - first >= shortest_round_trip(load_config("a6000", []))
    # Then the first warp's index comes behind the second's store as well: 2 cycles a grant
    assert starts(one, "S2R") == [second + 2, second + 4]
    assert starts(free, "S2R") == [first + 4, first + 6]


def test_a_kernel_ends_when_its_writes_are_acknowledged() -> None:
    # the store leaves 13 cycles after its start in L1D
    result = run([*READY, store(0)], AT_ONCE)
    start, card = int(result.rows("STG")["execute"][0]), load_config("a6000", SMALL)
    assert result.result.cycles == card.kernel_launch_cycles + start + 13 + shortest_round_trip(card)


# ---- refresh

IDLE = [PAUSE] * 100
"""4500 cycles, so that a load behind them and one before comes to DRAM some 1800 clocks behind a refresh in clock 4000."""


def behind_a_refresh(
    interval: int, rfc: int, *, per_bank: bool, offset: int = 128, rrefd: int = 0, banks: int = 1, **changed: int
) -> int:
    """Cycle of a load behind a refresh of the bank whose row 0 an earlier one has opened."""
    values = f"interval: {interval}, rfc: {rfc}, rrefd: {rrefd}, per_bank: {str(per_bank).lower()}"
    overrides = (*ONE_BANK, f"dram.banks={banks}", *timing(**changed), f"dram.refresh={{{values}}}")
    return done(load(0, 0), *IDLE, load(offset, 1), overrides=overrides)[1]


@pytest.mark.parametrize("per_bank", [False, True])
def test_a_bank_opens_no_row_before_its_refresh_is_over(per_bank: bool) -> None:
    times = [behind_a_refresh(4000, rfc, per_bank=per_bank) for rfc in (0, 1, 1000, 3000, 3001, 3002)]
    assert times[0] == times[1] == times[2] < times[3]
    assert [time - times[3] for time in times[4:]] == [1, 2]
    # the open row is closed before
    closed = [behind_a_refresh(4000, 3000, per_bank=per_bank, rp=rp) for rp in (1, 30, 31)]
    assert [time - times[3] for time in closed] == [0, 29, 30]


@pytest.mark.parametrize("per_bank", [False, True])
def test_a_refresh_closes_the_row(per_bank: bool) -> None:
    for interval, more in ((1_000_000, 0), (4000, 1)):
        times = [behind_a_refresh(interval, 1, per_bank=per_bank, rcd=rcd) for rcd in (40, 41)]
        assert times[1] - times[0] == more


def test_other_banks_work_during_a_refresh_of_one() -> None:
    # Given two banks, of which one is refreshed in clock 4000 and the other in clock 8000
    free = behind_a_refresh(8000, 0, per_bank=True, banks=2, offset=PAGE)
    assert behind_a_refresh(8000, 3000, per_bank=True, banks=2, offset=PAGE) == free
    assert behind_a_refresh(4000, 3000, per_bank=False, banks=2, offset=PAGE) > free
    # Then a distance from the refresh is all that delays a row of the other bank
    times = [behind_a_refresh(8000, 1, per_bank=True, banks=2, offset=PAGE, rrefd=n) for n in (1000, 3000, 3001)]
    assert times[0] == free < times[1] == times[2] - 1


def test_refreshes_of_an_idle_channel_leave_its_last_rows_closed() -> None:
    times = [behind_a_refresh(interval, 1, per_bank=True) for interval in (400, 4000)]
    assert times[0] == times[1]


# ---- stores that merge


def held(*lines: str, overrides: tuple[str, ...] = ()) -> tuple[int, int]:
    """Sectors that come to L2, and cycles of the request port beyond those of a kernel without stores."""
    quiet, result = (run([*READY, *body, PAUSE, PAUSE], *overrides).counters for body in ([], lines))
    return result["l2_write_sectors"], result["request_port_cycles"] - quiet["request_port_cycles"]


HALF = "STG.E.U16 [R2.64+{}], R4"


def parts(*offsets: int, pause: int = 1) -> list[str]:
    """Stores of one half word each."""
    return [op(HALF.format(hex(offset)), pause) for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "sectors", "cycles"),
    [
        ((0,), 1, 2),  # a sector in part takes a cycle more
        ((0, 2), 1, 2),  # the same sector
        ((0, 32), 2, 3),  # another sector of the line
        ((0, 128), 2, 4),  # another line
        ((0, 128, 0), 2, 4),  # each joins its own
        ((0, 128, 256, 384, 0), 4, 8),  # four are held
        ((0, 128, 256, 384, 512, 0), 6, 12),  # the oldest has given way
    ],
)
def test_stores_of_a_line_leave_together(offsets: tuple[int, ...], sectors: int, cycles: int) -> None:
    # issue is a store each cycle for five, then one in four: within the time that a line is held
    assert held(*parts(*offsets), overrides=("sm.memory_unit.l1_data.store_hold=200",)) == (sectors, cycles)


@pytest.mark.parametrize(("hold", "sectors"), [(1, 2), (1000, 1)])
def test_a_line_is_held_for_a_time(hold: int, sectors: int) -> None:
    lines = [*parts(0), PAUSE, *parts(2)]
    assert held(*lines, overrides=(f"sm.memory_unit.l1_data.store_hold={hold}",))[0] == sectors


def test_whole_sectors_need_no_byte_mask() -> None:
    lanes = [op("S2R R0, SR_TID.X", 2, write=4), op("IMAD.WIDE.U32 R6, R0, 0x4, R2", 6, wait="4"), op("NOP", 11)]
    assert held(*lanes, op("STG.E [R6.64], R0", 1)) == (4, 4)


def test_a_held_line_delays_its_acknowledgement() -> None:
    cycles = [
        run(
            [*READY, op("STG.E [R2.64], R4", 1), op("MEMBAR.SC.CTA"), PAUSE],
            f"sm.memory_unit.l1_data.store_hold={hold}",
        )
        for hold in (10, 35)
    ]
    first, second = (result.issues("MEMBAR")[0] for result in cycles)
    assert second - first == 25


# ---- L2


@pytest.mark.parametrize(("ways", "written"), [(16, 0), (3, 1), (2, 2), (1, 3)])
def test_a_set_with_too_many_dirty_lines_writes_the_oldest_back(ways: int, written: int) -> None:
    lanes = [op("S2R R0, SR_TID.X", 2, write=4), op("IMAD.WIDE.U32 R6, R0, 0x4, R2", 6, wait="4"), op("NOP", 11)]
    whole = [op(f"STG.E [R6.64+{hex(PAGE * n)}], R0", 12) for n in range(4)]
    counters = run(
        [*READY, *lanes, *whole, *[PAUSE] * 30], "l2.sets=1", "l2.slices=1", f"l2.dirty_ways={ways}"
    ).counters
    assert counters["dram_write_sectors"] == 4 * written
    in_part = run([*READY, *[store(PAGE * n) for n in range(4)], *[PAUSE] * 30], "l2.sets=1", f"l2.dirty_ways={ways}")
    assert in_part.counters["dram_write_sectors"] == 0


def test_writes_wait_while_a_set_has_too_many_dirty_lines() -> None:
    # Given lines of one set of which one may be dirty, and a write queue that has room for the sectors of one
    lanes = [op("S2R R0, SR_TID.X", 2, write=4), op("IMAD.WIDE.U32 R6, R0, 0x4, R2", 6, wait="4"), op("NOP", 11)]
    small = ("l2.sets=1", *ONE_BANK, "dram.write_queue={entries: 4, high: 3, low: 0}", AT_ONCE)

    def acknowledged(lines: int, rcdw: int, ways: int = 1) -> int:
        whole = [op(f"STG.E [R6.64+{hex(128 * n)}], R0", 12) for n in range(lines)]
        overrides = (*small, *timing(rcdw=rcdw), f"l2.dirty_ways={ways}")
        result = run([*READY, *lanes, *whole, op("MEMBAR.SC.CTA"), PAUSE], *overrides)
        return result.issues("MEMBAR")[0] - result.issues("STG")[-1]

    # Then the third one waits until the first line's sectors have left the queue
    assert acknowledged(2, 600) == acknowledged(2, 500)
    assert acknowledged(3, 600, ways=3) == acknowledged(3, 500, ways=3) < acknowledged(3, 500)
    assert [acknowledged(3, rcdw) - acknowledged(3, 500) for rcdw in (501, 600)] == [1, 100]


def test_inline_ecc_fills_sectors_written_in_part() -> None:
    for ecc, filled in (("none", 0), ("beside", 0), ("inline", 1)):
        counters = run([*READY, store(0), store(4), *[PAUSE] * 30], *ONE_BANK, f"dram.ecc={ecc}").counters
        assert counters["dram_read_sectors"] == filled * 2  # the sector and its ECC


@pytest.mark.parametrize(("kept", "sectors"), [(1, 4 + 4), (2, 4 + 2)])
def test_inline_ecc_reads_a_sector_for_four_lines(kept: int, sectors: int) -> None:
    # lines of two groups, in turn
    loads = [load(offset, n) for n, offset in enumerate((0, 512, 128, 640))]
    lines = [line for each in loads for line in (each, *[PAUSE] * 20)]
    ecc = ("dram.ecc=inline", f"dram.ecc_sectors={kept}")
    counters = run([*READY, *lines, op("NOP", 2, wait="0123"), PAUSE], *ONE_BANK, *ecc).counters
    assert counters["dram_read_sectors"] == sectors


def test_changed_ecc_sectors_are_written_when_their_place_is_needed() -> None:
    lines = [*[line for n in (0, 1, 2) for line in (store(PAGE * n), *[PAUSE] * 20)]]
    ecc = ("dram.ecc=inline", "dram.ecc_sectors=1")
    counters = run([*READY, *lines, PAUSE], *STORES, *ecc).counters
    assert (
        counters["dram_write_sectors"] == 2 + 2
    )  # two lines are replaced, and what fills the next takes their ECC's place


def test_an_empty_kernel_takes_as_long_as_on_cards() -> None:
    # Nsight Compute reports of MOV R1, c[0x0][0x28] and EXIT: 2119 cycles on an RTX 3080, 2107 on an A40, 278 of them active
    result = run([op("MOV R1, c[0x0][0x28]")], "sm.sub_core.fetch.prefetcher=stream_buffer", "sms=84").result
    assert result.cycles == pytest.approx(2107, rel=0.015)
    assert result.cycles - result.counters["launch_cycles"] == pytest.approx(278, rel=0.06)


def test_constants_that_l2_does_not_hold_come_from_dram() -> None:
    cycles = [run([op("MOV R1, c[0x0][0x160]")], f"l2.holds_code={held}").result.cycles for held in ("false", "true")]
    assert cycles[0] - cycles[1] == pytest.approx(252 + (31 + 3 * 4 + 28 + 2) * 0.9, abs=1.5)  # four sectors of one row


SLICE = ("l2.slices=1", "dram.channels=1")


def test_hits_pass_a_slice_at_its_bandwidth() -> None:
    lines = [load(128 * n, n) for n in range(4)]
    warm = [*lines, *[PAUSE] * 30]
    for width, apart in ((32, 4), (4, 8), (1, 32)):
        times = done(*warm, *lines, overrides=(*SLICE, f"l2.bytes_per_cycle={width}"))[4:]
        assert {b - a for a, b in pairwise(times)} == {apart}


def test_an_l2_miss_waits_for_an_entry_of_the_miss_table() -> None:
    many = done(load(0, 0), load(PAGE, 1), overrides=SLICE)
    one = done(load(0, 0), load(PAGE, 1), overrides=(*SLICE, "l2.mshr_entries=1"))
    assert many[1] - many[0] < 100
    assert one[1] - one[0] > 269


def test_a_second_request_for_a_line_on_its_way_joins_the_first() -> None:
    joined = run([*READY, load(0, 0), load(0, 1), op("NOP", 2, wait="01"), PAUSE], *SLICE)
    sectors = joined.counters["dram_read_sectors"]
    assert sectors == 1
    # without room for a second one it waits at the head of the slice's queue and keeps others from their data
    lines = load(0, 0), load(0, 1), load(PAGE, 2)
    assert done(*lines, overrides=SLICE)[2] - done(*lines, overrides=SLICE)[0] < 100
    assert done(*lines, overrides=(*SLICE, "l2.mshr_merges=1"))[2] - done(*lines, overrides=SLICE)[0] > 269


@pytest.mark.parametrize("value", [3, 4])
def test_atomics_on_one_word_take_turns_at_their_slice(value: int) -> None:
    atomics = [op(f"ATOMG.E.ADD.STRONG.GPU PT, R{8 + n}, [R2.64], R0", 1, write=n) for n in range(3)]
    body = [*READY, load(0, 4), *[PAUSE] * 30, *atomics, op("NOP", 2, wait="012"), PAUSE]
    result = run(body, *SLICE, f"l2.atomic_interval={value}")
    times = result.rows("ATOMG")["write_back"].tolist()
    assert [b - a for a, b in pairwise(times)] == [32 * value] * 2


def test_far_slices_take_longer_both_ways_together() -> None:
    near = (*SLICE, "interconnect.gpcs=2")
    overrides = (*near, "l2.partitions=2", "interconnect.far_latency=155", "l2.slices=2", "dram.channels=2")
    times = {latency(load(offset, 0), offset=offset, overrides=overrides) for offset in range(0, 4096, 128)}
    assert times == {250, 405}


def test_replies_share_the_port_of_a_gpc() -> None:
    lines = [load(128 * n, n) for n in range(4)]
    warm = [*lines, *[PAUSE] * 30]
    times = done(*warm, *lines, overrides=(*SLICE, "interconnect.gpc_bytes_per_cycle=1"))[4:]
    assert {b - a for a, b in pairwise(times)} == {32}


def test_kernels_find_what_the_last_one_left_if_l2_is_kept() -> None:
    once = trace(kernel([*READY, load(0, 0), op("NOP", 2, wait="0")]))
    twice = replace(once, launches=once.launches * 2)
    for kept, hits in (("false", 0), ("true", 1)):
        config = load_config("a6000", [*SMALL, PERFECT, f"l2.kept_between_kernels={kept}"])
        first, second = simulate(twice, config).kernels
        assert [kernel.counters["dram_read_sectors"] for kernel in (first, second)] == [1, 1 - hits]


# ---- configurations that make no sense


@pytest.mark.parametrize(
    "override",
    [
        "dram.write_queue={entries: 8, high: 9, low: 1}",
        "dram.write_queue={entries: 8, high: 4, low: 4}",
        "dram.banks=6",
    ],
)
def test_contradictions_are_refused(override: str) -> None:
    with pytest.raises(GpusimError, match="dram"):
        load_config("a6000", [override])
