import numpy as np

from gpusim.checking import assert_same

WRITES = ("one", "spread", "counter", "tickets", "signed", "unsigned", "wide", "maximum", "ranks")
EXERCISES = ("RED.ADD", "ATOMG.ADD", "RED.MIN", "RED.XOR", "RED.INC", "ATOMG.CAS", "ATOMS")


def turns(start, limit, times, up):
    """A counter after `times` of atomicInc or atomicDec."""
    for _ in range(times):
        if up:
            start = 0 if start >= limit else start + 1
        else:
            start = limit if start == 0 or start > limit else start - 1
    return start


def check_operations(before, after, values, threads):
    words = values.view(np.uint32)
    assert_same("signed", after["signed"], np.array([values.min(), values.max()], np.int32))
    start = before["unsigned"]
    expected = [
        start[0] & np.bitwise_and.reduce(words | np.uint32(0xFF0000)),
        start[1] | np.bitwise_or.reduce(words & np.uint32(0x10101010)),
        start[2] ^ np.bitwise_xor.reduce(words),
        turns(int(start[3]), 1000, len(values), True),
        turns(int(start[4]), 77, len(values), False),
        int(start[5]) - int(words.sum(dtype=np.uint64)) & 0xFFFFFFFF,
        threads,
    ]
    assert_same("unsigned", after["unsigned"], np.array(expected, np.uint32))
    wide = before["wide"]
    total = wide[0] + values.astype(np.int64).view(np.uint64).sum(dtype=np.uint64)
    largest = max(int(wide[1]), int(words.max()) << 20)
    assert_same("wide", after["wide"], np.array([total, largest], np.uint64))


def check(before, after, launches):
    for launch, name in zip(launches, ("one", "spread")):
        thread, (spread,) = np.arange(launch.threads) % launch.block[0], launch.scalars
        assert_same(name, after[name], np.bincount(thread & spread - 1, thread & 3).astype(np.uint32))
    tickets = after["tickets"]
    assert_same("counter", after["counter"], np.array([len(tickets)], np.uint32))
    assert_same("tickets, sorted", np.sort(tickets), np.arange(len(tickets), dtype=np.uint32))
    check_operations(before, after, before["values"], launches[3].block[0])
    assert_same("maximum", after["maximum"], before["floats"].max(keepdims=True).view(np.int32))
    block, (buckets,) = launches[5].block[0], launches[5].scalars
    for keys, ranks in zip(before["values"].reshape(-1, block) & buckets - 1, after["ranks"].reshape(-1, block)):
        for bucket in range(buckets):  # the ranks of a bucket are 0, 1, 2 ... in some order
            mine = np.sort(ranks[keys == bucket])
            assert_same(f"ranks of bucket {bucket}, sorted", mine, np.arange(len(mine), dtype=np.int32))
