from gpusim.checking import assert_same

WRITES = ("out",)
EXERCISES = ("BRX", "POPC", "FLO")
M = 0xFFFFFFFF


def run(program, x, y, z, steps):
    at = 0
    for _ in range(steps):
        code = program[at]
        at = (at + 1) % len(program)
        if code == 0:
            x = x + y & M
        elif code == 1:
            x ^= z
        elif code == 2:
            y = x * 2654435761 & M
        elif code == 3:
            z = x.bit_count() + y & M
        elif code == 4:
            x = x << (y & 7) & M
        elif code == 5:
            x = int(f"{x:032b}"[::-1], 2) ^ y
        elif code == 6:
            y = max(x, z)
        elif code == 7:
            z = x // (y | 1)
        elif code == 8:
            if x & 4:
                at = at + 3 if at + 3 < len(program) else 0
        elif code == 9:
            z = z * z + 17 & M
        elif code == 10:
            y = 32 - x.bit_length() + z & M
        elif code == 11:
            x = x >> 5 | z << 27 & M
        elif code == 12:
            z = z - (x & 0xFFFF) & M
        elif code == 13:
            y ^= y >> 3
        elif code == 14:
            x = (x ^ M) + z & M
        else:
            y = min(y, z) + 9 & M
    return x ^ y ^ z


def check(before, after, launches):
    count, _, steps = launches[0].scalars
    program = before["program"].tolist()
    values = [run(program, x, 1, thread, steps) for thread, x in enumerate(before["start"][:count].tolist())]
    expected = before["out"].copy()
    expected[:count] = values
    assert_same("out", after["out"], expected)
