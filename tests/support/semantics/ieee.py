"""IEEE 754 arithmetic with exact rational numbers: every operation computes exactly and rounds once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Format:
    """A binary format by its exponent and fraction bits, and the NaN that the hardware produces in it."""

    exponent: int
    fraction: int
    nan: int

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.fraction

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent) - 1) << self.fraction

    @property
    def sign(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def lowest(self) -> int:
        """Exponent of the smallest normal number."""
        return 2 - (1 << (self.exponent - 1))


HALF = Format(5, 10, 0x7FFF)
BFLOAT = Format(8, 7, 0x7FFF)
SINGLE = Format(8, 23, 0x7FFFFFFF)
DOUBLE = Format(11, 52, 0xFFF8000000000000)


def is_nan(f: Format, word: int) -> bool:
    return word & ~f.sign > f.infinity


def is_infinite(f: Format, word: int) -> bool:
    return word & ~f.sign == f.infinity


def negative(f: Format, word: int) -> bool:
    return bool(word & f.sign)


def flush(f: Format, word: int, ftz: bool = True) -> int:
    """A subnormal number becomes the zero of its sign."""
    return word & f.sign if ftz and word & f.infinity == 0 else word


def exact(f: Format, word: int) -> Fraction:
    """The value of a finite number."""
    field, part = (word & f.infinity) >> f.fraction, word & ((1 << f.fraction) - 1)
    significand = part | (1 << f.fraction if field else 0)
    value = Fraction(significand) * Fraction(2) ** (max(field, 1) - 1 + f.lowest - f.fraction)
    return -value if negative(f, word) else value


def whole(value: Fraction, mode: str) -> int:
    """A rational number as an integer: mode RN (to even), RM (down), RP (up), RZ."""
    below = value.numerator // value.denominator
    rest = value - below
    if mode == "RM" or rest == 0 or (mode == "RZ" and value > 0):
        return below
    if mode in ("RP", "RZ"):
        return below + 1
    half = Fraction(1, 2)
    return below + (rest > half or (rest == half and below % 2 == 1))


def encode(f: Format, value: Fraction, mode: str = "RN", zero_sign: bool = False) -> int:
    """The word nearest to an exact value in the sense of the mode."""
    if value == 0:
        return f.sign if zero_sign else 0
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    exponent = max(exponent, f.lowest)
    mirrored = {"RM": "RP", "RP": "RM"}.get(mode, mode) if value < 0 else mode
    significand = whole(magnitude / Fraction(2) ** (exponent - f.fraction), mirrored)
    word = ((exponent - f.lowest) << f.fraction) + significand
    if word >= f.infinity:
        word = f.infinity - 1 if mirrored in ("RZ", "RM") else f.infinity
    return word | (f.sign if value < 0 else 0)


def fma(f: Format, a: int, b: int, c: int, mode: str = "RN") -> int:
    """a * b + c."""
    if is_nan(f, a) or is_nan(f, b) or is_nan(f, c):
        return f.nan
    sign = negative(f, a) != negative(f, b)
    if is_infinite(f, a) or is_infinite(f, b):
        other = b if is_infinite(f, a) else a
        if other & ~f.sign == 0 or (is_infinite(f, c) and negative(f, c) != sign):
            return f.nan
        return f.infinity | (f.sign if sign else 0)
    if is_infinite(f, c):
        return c
    total = exact(f, a) * exact(f, b) + exact(f, c)
    product_zero = exact(f, a) * exact(f, b) == 0
    if product_zero and exact(f, c) == 0:
        both = sign == negative(f, c)
        return encode(f, total, mode, sign if both else mode == "RM")
    return encode(f, total, mode, mode == "RM")


def add(f: Format, a: int, b: int, mode: str = "RN") -> int:
    one = ((1 << (f.exponent - 1)) - 1) << f.fraction
    return fma(f, a, one, b, mode)


def multiply(f: Format, a: int, b: int, mode: str = "RN") -> int:
    zero = f.sign if negative(f, a) != negative(f, b) else 0
    return fma(f, a, b, zero, mode)


def scaled(f: Format, a: int, b: int, power: int) -> int:
    """a * b * 2**power with one rounding."""
    if any(is_nan(f, word) or is_infinite(f, word) for word in (a, b)):
        return multiply(f, a, b)
    return encode(f, exact(f, a) * exact(f, b) * Fraction(2) ** power, "RN", negative(f, a) != negative(f, b))


def convert(source: Format, target: Format, word: int, mode: str = "RN") -> int:
    if is_nan(source, word):
        return target.nan
    if is_infinite(source, word):
        return target.infinity | (target.sign if negative(source, word) else 0)
    return encode(target, exact(source, word), mode, negative(source, word))


def saturate(f: Format, word: int) -> int:
    """Into [0, 1], NaN to 0."""
    if is_nan(f, word) or negative(f, word):
        return 0
    one = ((1 << (f.exponent - 1)) - 1) << f.fraction
    return min(word, one)


def compare(f: Format, code: str, a: int, b: int) -> bool:
    """The comparison that a modifier names; NUM and NAN ask whether both are numbers."""
    if is_nan(f, a) or is_nan(f, b):
        return code in ("NAN", "T") or (code.endswith("U") and code != "NUM")
    left, right = order(f, a), order(f, b)
    base = code[:2] if code not in ("NUM", "NAN", "F", "T") else code
    return {
        "LT": left < right, "EQ": left == right, "LE": left <= right, "GT": left > right, "NE": left != right,
        "GE": left >= right, "NUM": True, "NAN": False, "F": False, "T": True,
    }[base]  # fmt: skip


def order(f: Format, word: int) -> int:
    """An integer that grows with the number; both zeros are 0."""
    magnitude = word & ~f.sign
    return -magnitude if negative(f, word) else magnitude


def extreme(f: Format, a: int, b: int, least: bool, nan: bool = False) -> int:
    """Minimum or maximum: the number if one is NaN (nan: NaN then); -0 is below +0."""
    if is_nan(f, a) or is_nan(f, b):
        both = is_nan(f, a) and is_nan(f, b)
        return f.nan if nan or both else (b if is_nan(f, a) else a)
    first, second = (order(f, a), not negative(f, a)), (order(f, b), not negative(f, b))
    return (a if first < second else b) if least else (a if first > second else b)
