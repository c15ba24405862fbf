"""Bit-level helpers of compiled code: bit casts, fused multiply-add, counting, and half precision.

All floating-point values live in 32-bit register words; these functions are the only place where a word
becomes a number and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpusim.emulator.types import Double, Flag, Number, Pair, Rounding, Single, Word
from gpusim.jit import intrinsic, njit, signature

NAN32 = np.uint32(0x7FFFFFFF)
"""The NaN that single-precision units produce (PTX ISA, section on floating-point instructions)."""
NAN64 = np.uint64(0xFFF8000000000000)
"""The NaN that the double-precision unit produces."""
NAN16 = np.uint32(0x7FFF)
"""The NaN that half-precision units produce."""
NEAREST, DOWN, UP, ZERO = 0, 1, 2, 3
"""Rounding modes: to nearest even, to minus infinity, to plus infinity, to zero."""


def _bitcast(source: str, target: str) -> Callable[[Any], Any]:
    @intrinsic
    def cast(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

        return signature(target, source), generate

    return cast


word_to_float: Callable[[Word], Single] = _bitcast("uint32", "float32")
float_to_word: Callable[[Single], Word] = _bitcast("float32", "uint32")
long_to_double: Callable[[Pair], Double] = _bitcast("uint64", "float64")
double_to_long: Callable[[Double], Pair] = _bitcast("float64", "uint64")


@intrinsic
def fma32(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c in float32 with one rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature("float32", "float32", "float32", "float32"), generate


@intrinsic
def fma64(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c in float64 with one rounding."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return signature("float64", "float64", "float64", "float64"), generate


@intrinsic
def popcount32(typing_context: Any, value: Any) -> Any:
    """Number of set bits of a 32-bit word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.ctpop(arguments[0]), context.get_value_type(signature.return_type))

    return signature("int64", "uint32"), generate


def _zeros(count: str) -> Callable[[Any, Any], Any]:
    """Definition of an intrinsic that counts zeros on one side of a 32-bit word, 32 in zero."""

    def definition(typing_context: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            from llvmlite import ir

            zeros = getattr(builder, count)(arguments[0], ir.Constant(ir.IntType(1), 0))
            return builder.zext(zeros, context.get_value_type(signature.return_type))

        return signature("int64", "uint32"), generate

    return definition


leading_zeros32: Callable[[Word], Number] = intrinsic(_zeros("ctlz"))
"""Zeros above the highest set bit of a 32-bit word; 32 for zero."""
trailing_zeros32: Callable[[Word], Number] = intrinsic(_zeros("cttz"))
"""Index of the lowest set bit of a 32-bit word; 32 for zero."""


@njit(forceinline=True)
def signed(word: Word) -> np.int64:
    """A 32-bit word as a signed number in 64 bits."""
    return np.int64(np.int32(word))


@njit(forceinline=True)
def pair(low: Word, high: Word) -> Pair:
    """Two words as one unsigned 64-bit value."""
    return np.uint64(low) | (np.uint64(high) << np.uint64(32))


@njit(forceinline=True)
def flush(word: Word, ftz: Flag) -> Word:
    """`word` with a subnormal float32 replaced by zero of the same sign when `ftz` is set."""
    subnormal = (word & np.uint32(0x7F800000)) == np.uint32(0)
    return word & np.uint32(0x80000000) if ftz and subnormal else word


@njit(forceinline=True)
def canonical(value: Single) -> Word:
    """The word of a float32; every NaN becomes NAN32."""
    return float_to_word(value) if value == value else NAN32


@njit
def half_to_float(word: Word) -> Single:
    """IEEE binary16 in the low 16 bits of `word`, as float32 (exact)."""
    word = np.uint32(word)
    sign = (word & np.uint32(0x8000)) << np.uint32(16)
    magnitude = word & np.uint32(0x7FFF)
    if magnitude >= np.uint32(0x7C00):
        bits = (magnitude << np.uint32(13)) | np.uint32(0x7F800000)
    elif magnitude >= np.uint32(0x0400):
        bits = (magnitude << np.uint32(13)) + np.uint32(0x38000000)
    else:
        bits = float_to_word(np.float32(magnitude) * np.float32(2.0**-24))
    return word_to_float(np.uint32(sign | bits))


@njit(forceinline=True)
def power_of_two(exponent: Number) -> Double:
    """2.0 ** exponent for -1022 <= exponent <= 1023."""
    return long_to_double(np.uint64(exponent + 1023) << np.uint64(52))


@njit
def round_to_integer(value: Double, mode: Rounding) -> Double:
    """A float64 rounded to an integral float64."""
    if mode == NEAREST:
        return np.rint(value)
    if mode == DOWN:
        return np.floor(value)
    if mode == UP:
        return np.ceil(value)
    return np.trunc(value)


@njit
def round_to_half(value: Double, bfloat: Flag, mode: Rounding) -> Word:
    """A float64 rounded once to binary16, or to bfloat16 where `bfloat` is set; returns its 16 bits in a word.

    Overflow gives infinity, or the largest number where the rounding mode points away from infinity.
    """
    if value != value:
        return NAN16
    fraction, lowest, limit = (7, -126, 0x7F80) if bfloat else (10, -14, 0x7C00)
    bits = double_to_long(value)
    sign = np.uint32((bits >> np.uint64(48)) & np.uint64(0x8000))
    magnitude = abs(value)
    if magnitude == np.inf:
        return np.uint32(sign | np.uint32(limit))
    exponent: Number = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF)) - 1023
    exponent = max(exponent, lowest)
    if sign != 0:
        mode = UP if mode == DOWN else (DOWN if mode == UP else mode)
    code = np.int64(limit)
    if exponent <= 127:
        kept = round_to_integer(magnitude * power_of_two(fraction - exponent), mode)
        code = ((exponent - lowest) << fraction) + np.int64(kept)
    if code >= limit:
        code = np.int64(limit - 1 if mode == DOWN or mode == ZERO else limit)
    return np.uint32(sign | np.uint32(code))


@njit
def double_to_half(value: Double) -> Word:
    """A float64 rounded once, to nearest even, to binary16; returns its 16 bits in a word.

    One rounding from float64 is exact for float32 inputs and for the sum or product of two binary16 numbers
    (at most 42 significant bits where they matter).
    """
    return round_to_half(value, False, NEAREST)


@njit
def half_value(word: Word, k: Number, bfloat: Flag) -> Double:
    """Half k of a word, binary16 or bfloat16, as float64 (exact)."""
    bits = (np.uint32(word) >> np.uint32(16 * k)) & np.uint32(0xFFFF)
    if bfloat:
        return np.float64(word_to_float(np.uint32(bits << np.uint32(16))))
    return np.float64(half_to_float(bits))
