"""Replacement policies: which way a set gives up, and which accesses hit because of it."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from microbench import Run, op, run

from gpusim.config.loading import load_config
from gpusim.emulator.state import GLOBAL_BASE
from gpusim.errors import GpusimError
from gpusim.model.l1_instructions import CONSTANT_SPACE
from gpusim.model.policies import replacement
from gpusim.model.policies.names import built_in

Victim = Callable[[int, int, int, int], int]
Change = Callable[[int, int, int], tuple[int, int]]


class Set:
    """One set of a cache in plain Python, as gpusim.model.policies.replacement describes it."""

    def __init__(self, policy: str, ways: int) -> None:
        functions = runpy.run_path(str(Path(replacement.__file__).parent / f"{policy}.py"))
        self.victim: Victim = functions["victim"]
        self.used: Change = functions.get("used", replacement.keep_age)
        self.filled: Change = functions.get("filled", replacement.become_youngest)
        self.lines: list[int | None] = [None] * ways
        self.ages: list[int] = list(range(ways))  # ways, the oldest first
        self.word = 0

    def access(self, line: int) -> bool:
        """Whether a line hits; one that does not comes in."""
        hit = line in self.lines
        change = self.used if hit else self.filled
        way = self.lines.index(line) if hit else self._place(line)
        self.lines[way] = line
        self.word, youngest = change(self.word, way, len(self.lines))
        if youngest:
            self.ages.remove(way)
            self.ages.append(way)
        return hit

    def _place(self, line: int) -> int:
        if None in self.lines:
            return self.lines.index(None)
        return self.victim(self.word, self.ages[0], len(self.lines), line)


def victims(policy: str, lines: Iterable[int], ways: int = 4) -> list[int]:
    """Lines that leave the set, in order, as a set of `ways` is asked for `lines`."""
    cache, gone = Set(policy, ways), []
    for line in lines:
        before = list(cache.lines)
        cache.access(line)
        gone += [old for old, new in zip(before, cache.lines) if old is not None and old != new]
    return gone


def test_least_recently_used_goes() -> None:
    assert victims("lru", [0, 1, 2, 3, 0, 1, 4, 5]) == [2, 3]


def test_first_in_goes_first_however_often_it_is_used() -> None:
    assert victims("fifo", [0, 1, 2, 3, 0, 0, 1, 4, 5]) == [0, 1]


def test_the_tree_leads_away_from_what_was_used() -> None:
    # filled in order, all nodes point to the lower half: way 0; its use turns root and left node away
    assert victims("plru", [0, 1, 2, 3, 4]) == [0]
    # behind a use of way 0 the root points to the upper half, whose node points to way 2
    assert victims("plru", [0, 1, 2, 3, 0, 4]) == [2]
    # and behind that the root points to the lower half, whose node points to way 1
    assert victims("plru", [0, 1, 2, 3, 0, 4, 5]) == [2, 1]


def test_the_tree_of_two_ways_is_lru() -> None:
    lines = [0, 1, 0, 2, 1, 0, 0, 3, 2, 1]
    assert victims("plru", lines, ways=2) == victims("lru", lines, ways=2)


def test_random_ways_are_all_drawn_and_always_the_same() -> None:
    lines = range(200)
    first = victims("random", lines, ways=8)
    assert first == victims("random", lines, ways=8)
    cache = Set("random", 8)
    ways = []
    for line in range(200):
        before = list(cache.lines)
        cache.access(line)
        ways += [way for way in range(8) if before[way] is not None and before[way] != cache.lines[way]]
    counts = [ways.count(way) for way in range(8)]
    assert min(counts) >= 12  # 24 each on average
    assert ways != sorted(ways)


# ---- in the model: hits and misses, and so cycles, are those of the plain set

PASSES = 3
PATTERN = (0, 1, 2, 0, 3, 1, 4, 0, 5)
LINES = PATTERN * PASSES
LAST = len(PATTERN)
"""Accesses of the last pass, when every line is in the cache behind."""
WAYS = 4


def hits(policy: str, lines: Iterable[int]) -> list[bool]:
    """Which accesses a plain set of four ways hits."""
    cache = Set(policy, WAYS)
    return [cache.access(line) for line in lines]


def one_after_another(loads: Iterable[str]) -> list[str]:
    """Loads of R4, each behind the one before."""
    return [line for load in loads for line in (op(load, 2, write=0), op("NOP", 2, wait="0"))]


def latencies(result: Run, opcode: str) -> list[int]:
    """From the issue of each load to that of the NOP that waits for it."""
    loads = result.issues(opcode)
    return [nop - load for load, nop in zip(loads, result.issues("NOP")[-len(loads) :])]


@pytest.mark.boundscheck
@pytest.mark.parametrize("policy", built_in("replacement"))
def test_constant_loads_take_79_cycles_longer_where_the_set_has_given_up_their_line(policy: str) -> None:
    loads = [f"LDC R4, c[0x0][{hex(64 * line)}]" for line in LINES]
    geometry = f"{{sets: 1, ways: {WAYS}, line_bytes: 64, replacement: {policy}}}"
    result = run(one_after_another(loads), f"sm.memory_unit.constant_cache={geometry}")
    found = hits(policy, LINES)
    assert result.counters["constant_misses"] == found.count(False)
    assert latencies(result, "LDC")[-LAST:] == [26 if hit else 26 + 79 for hit in found[-LAST:]]


@pytest.mark.parametrize("policy", [name for name in built_in("replacement") if name != "plru"])
def test_l1d_hits_take_32_cycles_and_misses_the_way_to_l2(policy: str) -> None:
    # Given an L1D of two sets with four ways, and loads of one of the sets
    head = [op("LDC.64 R2, c[0x0][0x160]", 2, write=5), op("NOP", 2, wait="5")]
    loads = [f"LDG.E R4, [R2.64+{hex(256 * line)}]" for line in LINES]
    small = ("sm.memory_unit.l1_data.unified_kb=1", "sm.memory_unit.l1_data.sets=2")
    result = run([*head, *one_after_another(loads)], *small, f"l1_data.replacement={policy}")
    found = hits(policy, [GLOBAL_BASE // 128 + 2 * line for line in LINES])
    assert result.counters["l1_load_hits"] == found.count(True)
    assert latencies(result, "LDG")[-LAST:] == [32 if hit else 250 for hit in found[-LAST:]]


@pytest.mark.parametrize("policy", built_in("replacement"))
def test_l2_hits_what_the_set_has_kept(policy: str) -> None:
    # Given an L2 of one set with four ways, and loads that go past L1D
    head = [op("LDC.64 R2, c[0x0][0x160]", 2, write=5), op("NOP", 2, wait="5")]
    loads = [f"LDG.E.STRONG.GPU R4, [R2.64+{hex(128 * line)}]" for line in LINES]
    one_set = ("l2.slices=1", "l2.sets=1", f"l2.ways={WAYS}", "dram.channels=1")
    result = run([*head, *one_after_another(loads)], *one_set, f"l2.replacement={policy}")
    constants = [CONSTANT_SPACE + 0x160 // 256]  # of LDC, before the loads
    found = hits(policy, [*constants, *(GLOBAL_BASE // 128 + line for line in LINES)])[1:]
    assert result.counters["dram_read_sectors"] == found.count(False)
    assert [latency == 250 for latency in latencies(result, "LDG")[-LAST:]] == found[-LAST:]


def test_a_way_that_awaits_data_is_passed_over_for_the_next() -> None:
    # Given four loads that miss at once and fill a set, and a fifth line for the same set
    head = [op("LDC.64 R2, c[0x0][0x160]", 2, write=5), op("NOP", 2, wait="5")]
    first = [op("LDG.E R4, [R2.64]", 2, write=0), op("NOP", 2, wait="0")]
    together = [op(f"LDG.E R{8 + k}, [R2.64+{hex(256 * k)}]", 2, write=1) for k in (1, 2, 3, 4)]
    again = [op("LDG.E R4, [R2.64]", 2, wait="1", write=0), op("NOP", 2, wait="0")]
    small = ("sm.memory_unit.l1_data.unified_kb=1", "sm.memory_unit.l1_data.sets=2")
    result = run([*head, *first, *together, *again], *small, "l1_data.replacement=fifo")
    # Then the only way that awaits nothing is given up, although all others are younger
    assert result.counters["l1_load_hits"] == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fetch.l0={sets: 8, ways: 6, line_bytes: 128, replacement: plru}", "plru needs ways that are a power of two"),
        ("l2={ways: 64, replacement: plru}", "at most 32, not 64"),
        ("l1_data.replacement=plru", "how many L1D has depends on the kernel"),
        ("l2.replacement=lur", "'lur' is not allowed .* fifo, lru, plru, random, or the path of a .py file"),
    ],
)
def test_a_policy_that_cannot_serve_a_cache_is_refused(override: str, message: str) -> None:
    with pytest.raises(GpusimError, match=message):
        load_config("a6000", [override])
