"""Texture and surface reads and writes, as the CUDA C++ Programming Guide defines them (Texture Fetching).

A texture is a row of Machine.textures; the handle that kernels hold is its number + 1. Texels lie in rows of `PITCH`
bytes, planes of `SLICE` bytes, as cudaMemcpy sees them, not in the tiles of a card's own layout.
Linear filtering weighs with 8 bits of fraction, as the guide says; the sums are exact and rounded once, which a card's
need not be in the last bit.
"""

from __future__ import annotations

import math

import numpy as np

from gpusim.constants import ALL_LANES
from gpusim.emulator.bits import float_to_word, half_to_float, word_to_float
from gpusim.emulator.memory import GLOBAL, SURFACE_LOAD, SURFACE_STORE, fail, word_of
from gpusim.emulator.state import CHANGES, GLOBAL_BASE, OUT_OF_BOUNDS, Machine
from gpusim.emulator.trace_log import record
from gpusim.emulator.types import Address, Decoded, Double, Flag, Lane, Mask, Number, Row, Warp, Word
from gpusim.jit import njit

(
    ADDRESS,
    WIDTH,
    HEIGHT,
    DEPTH,
    PITCH,
    SLICE,
    CHANNELS,
    CHANNEL_BYTES,
    KIND,
    MODE_X,
    MODE_Y,
    MODE_Z,
    LINEAR,
    AS_FLOAT,
    NORMALIZED,
    BORDER,
) = range(16)
"""Columns of Machine.textures: address and sizes in texels and bytes, format, how it is sampled; from BORDER on, the
words of four float32."""
SIGNED, UNSIGNED, FLOAT = 0, 1, 2
"""KIND of a channel."""
WRAP, CLAMP, MIRROR, BORDER_MODE = 0, 1, 2, 3
"""MODE_X, MODE_Y, MODE_Z: what a coordinate outside stands for."""
TRAP, IGNORE, TO_EDGE = 0, 1, 2
"""What a surface access outside does: stops the kernel, reads zero or writes nothing, takes the nearest."""
OUTSIDE = -1
FRACTION = 256.0
"""Steps of a filter's weight."""


@njit
def descriptor(m: Machine, handle: Word) -> Number:
    """Row of Machine.textures that a handle means; -1 if it is none."""
    number = np.int64(handle) - 1
    return number if 0 <= number < m.textures.shape[0] and m.textures[number, WIDTH] > 0 else np.int64(-1)


@njit
def place(mode: Number, index: Number, size: Number) -> Number:
    """The texel that an index stands for, OUTSIDE for the border."""
    if 0 <= index < size:
        return index
    if mode == CLAMP:
        return min(max(index, np.int64(0)), size - 1)
    if mode == WRAP:
        return index % size
    if mode == MIRROR:
        turn = index % (2 * size)
        return turn if turn < size else 2 * size - 1 - turn
    return np.int64(OUTSIDE)


@njit
def raw(m: Machine, t: Number, x: Number, y: Number, z: Number, channel: Number) -> Word:
    """The bits of one channel of a texel inside, zero-extended."""
    row = m.textures[t]
    size = row[CHANNEL_BYTES]
    at = row[ADDRESS] - GLOBAL_BASE + z * row[SLICE] + y * row[PITCH] + (x * row[CHANNELS] + channel) * size
    word = np.int64(m.memory[at >> 2])
    return np.uint32((word >> (8 * (at & 3))) & ((np.int64(1) << (8 * size)) - 1))


@njit
def value(m: Machine, t: Number, x: Number, y: Number, z: Number, channel: Number) -> Double:
    """One channel of a texel as a number: floats as they are, whole numbers over their largest."""
    row = m.textures[t]
    if x == OUTSIDE or y == OUTSIDE or z == OUTSIDE:
        return np.float64(word_to_float(np.uint32(row[BORDER + channel])))
    if channel >= row[CHANNELS]:
        return 1.0 if channel == 3 else 0.0
    bits, size = raw(m, t, x, y, z, channel), row[CHANNEL_BYTES]
    if row[KIND] == FLOAT:
        return np.float64(half_to_float(bits)) if size == 2 else np.float64(word_to_float(bits))
    if row[KIND] == UNSIGNED:
        return np.float64(bits) / np.float64((np.int64(1) << (8 * size)) - 1)
    signed = np.int64(bits)
    if signed >> (8 * size - 1):
        signed -= np.int64(1) << (8 * size)
    return max(np.float64(signed) / np.float64((np.int64(1) << (8 * size - 1)) - 1), -1.0)


@njit
def element(m: Machine, t: Number, x: Number, y: Number, z: Number, channel: Number) -> Word:
    """One channel of a texel as the 32 bits that a read without filter returns."""
    row = m.textures[t]
    outside = x == OUTSIDE or y == OUTSIDE or z == OUTSIDE
    if row[KIND] == FLOAT or row[AS_FLOAT]:
        return float_to_word(np.float32(value(m, t, x, y, z, channel)))
    if outside or channel >= row[CHANNELS]:
        return np.uint32(channel == 3 and not outside)
    bits, size = np.int64(raw(m, t, x, y, z, channel)), row[CHANNEL_BYTES]
    if row[KIND] == SIGNED and bits >> (8 * size - 1):
        bits -= np.int64(1) << (8 * size)
    return np.uint32(bits & ALL_LANES)


@njit
def scaled(m: Machine, t: Number, axis: Number, coordinate: Double) -> Double:
    """A coordinate in texels."""
    row = m.textures[t]
    return coordinate * np.float64(max(row[WIDTH + axis], 1)) if row[NORMALIZED] else coordinate


@njit
def nearest(m: Machine, t: Number, axis: Number, coordinate: Double) -> Number:
    """The texel that a coordinate lies in; NaN is 0."""
    position = scaled(m, t, axis, coordinate)
    index = np.int64(math.floor(min(max(position, -1e15), 1e15))) if position == position else np.int64(0)
    return place(m.textures[t, MODE_X + axis], index, max(m.textures[t, WIDTH + axis], 1))


@njit
def filtered(m: Machine, t: Number, x: Double, y: Double, z: Double, dimensions: int, channel: Number) -> Word:
    """One channel, linearly filtered between the 2, 4 or 8 texels around a point."""
    total = np.float64(0.0)
    for corner in range(1 << dimensions):
        weight = np.float64(1.0)
        at_x: Number = np.int64(0)
        at_y: Number = np.int64(0)
        at_z: Number = np.int64(0)
        for axis in range(dimensions):
            coordinate = x if axis == 0 else y if axis == 1 else z
            position = scaled(m, t, axis, coordinate) - 0.5
            position = min(max(position, -1e15), 1e15) if position == position else np.float64(0.0)
            low = math.floor(position)
            share = math.floor((position - low) * FRACTION + 0.5) / FRACTION
            upper = (corner >> axis) & 1
            weight *= share if upper else 1.0 - share
            at = place(m.textures[t, MODE_X + axis], np.int64(low) + upper, max(m.textures[t, WIDTH + axis], 1))
            if axis == 0:
                at_x = at
            elif axis == 1:
                at_y = at
            else:
                at_z = at
        if weight != 0.0:
            total += weight * value(m, t, at_x, at_y, at_z, channel)
    return float_to_word(np.float32(total))


@njit
def coordinate_of(m: Machine, i: Decoded, a: Row, b: Row, k: Number, lane: Lane) -> Word:
    """Coordinate k of a lane: the first `wide` are in the registers from a on, the others from b + scale on."""
    return m.registers[a + k, lane] if k < i.wide else m.registers[b + i.scale + k - i.wide, lane]


@njit
def as_number(word: Word, whole: Flag) -> Double:
    """A coordinate of a texel, which is a whole number for fetches."""
    return np.float64(np.int32(word)) if whole else np.float64(word_to_float(word))


@njit
def gather(m: Machine, t: Number, x: Double, y: Double, channel: Number, lane: Lane) -> None:
    """TLD4: one channel of the four texels of a bilinear filter, in the order (0,1), (1,1), (1,0), (0,0)."""
    for k in range(4):
        right, down = np.int64(k == 1 or k == 2), np.int64(k < 2)
        at_x = np.int64(math.floor(scaled(m, t, 0, x) - 0.5)) + right
        at_y = np.int64(math.floor(scaled(m, t, 1, y) - 0.5)) + down
        u = place(m.textures[t, MODE_X], at_x, m.textures[t, WIDTH])
        v = place(m.textures[t, MODE_Y], at_y, max(m.textures[t, HEIGHT], 1))
        m.registers[k, lane] = element(m, t, u, v, np.int64(0), channel)


@njit
def texel_index(m: Machine, i: Decoded, t: Number, axis: Number, coordinate: Double) -> Number:
    """Along an axis, the texel inside that a read begins with: of those that a filter weighs the first."""
    row = m.textures[t]
    size = max(row[WIDTH + axis], 1)
    whole, filters = i.z & 1, row[LINEAR] or i.z & 2
    position = coordinate if whole else scaled(m, t, axis, coordinate) - (0.5 if filters else 0.0)
    index = np.int64(math.floor(min(max(position, -1e15), 1e15))) if position == position else np.int64(0)
    placed = index if whole else place(row[MODE_X + axis], index, size)
    return min(max(index if placed == OUTSIDE else placed, np.int64(0)), size - 1)


@njit
def texel_address(m: Machine, i: Decoded, a: Row, b: Row, t: Number, lane: Lane) -> Address:
    """Where a lane's read begins in memory, for the trace; it is inside also where the border is read."""
    row, at = m.textures[t], np.int64(0)
    for axis in range(i.x):
        index = texel_index(m, i, t, axis, as_number(coordinate_of(m, i, a, b, axis, lane), i.z & 1))
        at += index * (row[CHANNELS] * row[CHANNEL_BYTES] if axis == 0 else row[PITCH] if axis == 1 else row[SLICE])
    return row[ADDRESS] + at


@njit
def sample(m: Machine, i: Decoded, a: Row, b: Row, t: Number, lane: Lane) -> None:
    """Read for one lane, into the result rows: the channels of the mask y, packed. x: dimensions; z: see opcodes."""
    dimensions, whole = int(i.x), i.z & 1
    x = as_number(coordinate_of(m, i, a, b, 0, lane), whole)
    y = as_number(coordinate_of(m, i, a, b, 1, lane), whole) if dimensions > 1 else np.float64(0.0)
    z = as_number(coordinate_of(m, i, a, b, 2, lane), whole) if dimensions > 2 else np.float64(0.0)
    if i.z & 2:
        gather(m, t, x, y, (i.z >> 4) & 3, lane)
        return
    row, written = m.textures[t], 0
    for channel in range(4):
        if (i.y >> channel) & 1 == 0:
            continue
        if whole:  # a fetch by number: outside is zero
            inside = 0 <= x < row[WIDTH] and 0 <= y < max(row[HEIGHT], 1) and 0 <= z < max(row[DEPTH], 1)
            at = np.int64(x) if inside else np.int64(OUTSIDE)
            m.registers[written, lane] = element(m, t, at, np.int64(y), np.int64(z), channel)
        elif row[LINEAR]:
            m.registers[written, lane] = filtered(m, t, x, y, z, dimensions, channel)
        else:
            at_x, at_y = nearest(m, t, 0, x), nearest(m, t, 1, y) if dimensions > 1 else np.int64(0)
            at_z = nearest(m, t, 2, z) if dimensions > 2 else np.int64(0)
            m.registers[written, lane] = element(m, t, at_x, at_y, at_z, channel)
        written += 1


@njit
def surface_address(m: Machine, i: Decoded, a: Row, t: Number, lane: Lane) -> Address:
    """Address of a lane's surface access; -1 where there is none, -2 where the kernel stops. x counts bytes."""
    row, size = m.textures[t], np.int64(i.bytes)
    row_bytes = row[WIDTH] * row[CHANNELS] * row[CHANNEL_BYTES]
    x = np.int64(np.int32(m.registers[a, lane]))
    y = np.int64(np.int32(m.registers[a + 1, lane])) if i.x > 1 else np.int64(0)
    z = np.int64(np.int32(m.registers[a + 2, lane])) if i.x > 2 else np.int64(0)
    height, depth = max(row[HEIGHT], 1), max(row[DEPTH], 1)
    inside = 0 <= x and x + size <= row_bytes and 0 <= y < height and 0 <= z < depth
    if not inside and i.y == TO_EDGE:
        x = min(max(x, np.int64(0)), row_bytes - size)
        y, z = min(max(y, np.int64(0)), height - 1), min(max(z, np.int64(0)), depth - 1)
    elif not inside:
        return np.int64(-1) if i.y == IGNORE else np.int64(-2)
    return row[ADDRESS] + z * row[SLICE] + y * row[PITCH] + x


@njit
def transfer(m: Machine, i: Decoded, c: Row, lane: Lane, address: Address) -> None:
    """Move a lane's bytes between a surface and registers: the result rows of SULD, those from c on of SUST."""
    R, M, size = m.registers, m.memory, np.int64(i.bytes)
    word, shift = (address - GLOBAL_BASE) >> 2, 8 * (address & 3)
    keep = ((np.int64(1) << (8 * size)) - 1) << shift
    if i.op == SURFACE_LOAD:
        if size >= 4:
            for k in range(i.bytes >> 2):
                R[k, lane] = M[word + k]
        else:
            R[0, lane] = np.uint32((np.int64(M[word]) & keep) >> shift)
    elif size >= 4:
        for k in range(i.bytes >> 2):
            M[word + k] = R[c + k, lane]
    else:
        M[word] = np.uint32((np.int64(M[word]) & ~keep) | ((np.int64(R[c, lane]) << shift) & keep))


@njit
def surface(m: Machine, w: Warp, i: Decoded, a: Row, c: Row, t: Number, lane: Lane) -> bool:
    """SULD or SUST of one lane. False after an error."""
    address = surface_address(m, i, a, t, lane)
    m.address[0, lane] = address if address >= 0 else m.textures[t, ADDRESS]
    if address == -2:
        return fail(m, OUT_OF_BOUNDS, lane, m.textures[t, ADDRESS] + np.int64(np.int32(m.registers[a, lane])))
    if address >= 0:
        if word_of(m, w * 32 + lane, GLOBAL, address, np.int64(i.bytes), 0) < 0:
            return fail(m, OUT_OF_BOUNDS, lane, address)
        transfer(m, i, c, lane, address)
    elif i.op == SURFACE_LOAD:
        for k in range(max(i.bytes >> 2, 1)):
            m.registers[k, lane] = 0
    return True


@njit
def whole_texture(m: Machine, w: Warp, t: Number) -> bool:
    """Whether the memory that a texture covers is still allocated."""
    row = m.textures[t]
    last = (max(row[DEPTH], 1) - 1) * row[SLICE] + (max(row[HEIGHT], 1) - 1) * row[PITCH]
    last += row[WIDTH] * row[CHANNELS] * row[CHANNEL_BYTES]
    return bool(word_of(m, w * 32, GLOBAL, row[ADDRESS], last, 0) >= 0)


@njit
def execute(m: Machine, w: Warp, i: Decoded, base: Row, a: Row, b: Row, c: Row, d: Row, mask: Mask) -> bool:
    """One texture or surface instruction; d: row of the handle. False after an error.

    The channels of a texture read beyond the first two go to the registers from `target` on, if that is not negative.
    The trace gets the address of each lane's texel.
    """
    for lane in range(32):
        if (mask >> lane) & 1 == 0:
            continue
        t = descriptor(m, m.registers[d, lane])
        if t < 0:
            return fail(m, OUT_OF_BOUNDS, lane, np.int64(m.registers[d, lane]))
        if i.op == SURFACE_LOAD or i.op == SURFACE_STORE:
            if not surface(m, w, i, a, c, t, lane):
                return False
        else:
            if not whole_texture(m, w, t):
                return fail(m, OUT_OF_BOUNDS, lane, m.textures[t, ADDRESS])
            m.address[0, lane] = texel_address(m, i, a, b, t, lane)
            sample(m, i, a, b, t, lane)
            if i.target >= 0:
                for k in range(2):
                    m.registers[base + i.target + k, lane] = m.registers[2 + k, lane]
    record(m, mask)
    m.control[CHANGES] += np.int64(i.op == SURFACE_STORE)
    return True
