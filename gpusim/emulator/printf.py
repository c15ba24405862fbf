"""printf as C has it (ISO C17, 7.21.6.1), on the bytes that device code hands over."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

MOST = 1 << 16
"""Characters that a width or a precision can ask for."""
_SPECIFICATION = re.compile(
    rb"%(?P<flags>[-+ #0]*)(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?"
    rb"(?P<length>hh|h|ll|l|L|j|z|t|q)?(?P<conversion>[diuoxXcspaAeEfFgG%])"
)
_LONG = (b"l", b"ll", b"j", b"z", b"t", b"q")
_MANTISSA_DIGITS = 13  # hexadecimal, of a double


class Arguments:
    """The arguments of a call one behind the other, each at a multiple of its size."""

    def __init__(self, read: Callable[[int, int], bytes]) -> None:
        """read: the bytes from an offset on, so many of them."""
        self._read, self._offset = read, 0
        self.taken = 0

    def take(self, size: int) -> bytes:
        start = -(-self._offset // size) * size
        self._offset = start + size
        self.taken += 1
        return self._read(start, size)

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little", signed=True)


@dataclass(frozen=True)
class _Form:
    """One conversion specification. precision: None where none is given."""

    flags: str
    width: int
    precision: int | None
    conversion: str

    def padded(self, prefix: str, digits: str, zeros: bool = True) -> str:
        """A number in its field; `zeros` if the flag 0 holds for it."""
        if "-" in self.flags:
            return (prefix + digits).ljust(self.width)
        if zeros and "0" in self.flags:
            return prefix + digits.rjust(self.width - len(prefix), "0")
        return (prefix + digits).rjust(self.width)

    def sign(self, negative: bool) -> str:
        return "-" if negative else "+" if "+" in self.flags else " " if " " in self.flags else ""


def formatted(text: bytes, arguments: Arguments, string: Callable[[int], bytes]) -> bytes:
    """`text` with its arguments put in; what is no conversion of C stays as it is.

    string: the bytes of a string at an address, without the 0 at its end.
    """
    return _SPECIFICATION.sub(lambda match: _converted(match, arguments, string), text)


def _converted(match: re.Match[bytes], arguments: Arguments, string: Callable[[int], bytes]) -> bytes:
    conversion = match["conversion"].decode()
    if conversion == "%":
        return b"%"
    flags = match["flags"].decode()
    width = arguments.signed(4) if match["width"] == b"*" else int(match["width"] or 0)
    flags, width = (flags + "-" if width < 0 else flags), min(abs(width), MOST)
    precision = None
    if match["precision"] is not None:
        given = arguments.signed(4) if match["precision"] == b"*" else int(match["precision"] or 0)
        precision = min(given, MOST) if given >= 0 else None
    form = _Form(flags, width, precision, conversion)
    if conversion in "cs":
        return _characters(form, arguments, string)
    if conversion == "p":
        value = int.from_bytes(arguments.take(8), "little")
        return form.padded("", f"{value:#x}" if value else "(nil)", zeros=False).encode()
    if conversion in "diuoxX":
        return _integer(form, arguments, match["length"]).encode()
    return _real(form, struct.unpack("<d", arguments.take(8))[0]).encode()


def _characters(form: _Form, arguments: Arguments, string: Callable[[int], bytes]) -> bytes:
    if form.conversion == "c":
        data = arguments.take(4)[:1]
    else:
        address = int.from_bytes(arguments.take(8), "little")
        data = (string(address) if address else b"(null)")[: form.precision]
    return data.ljust(form.width) if "-" in form.flags else data.rjust(form.width)


def _integer(form: _Form, arguments: Arguments, length: bytes | None) -> str:
    signed = form.conversion in "di"
    data = arguments.take(8 if length in _LONG else 4)
    data = data[: {b"hh": 1, b"h": 2}.get(length or b"", len(data))]
    value = int.from_bytes(data, "little", signed=signed)
    digits = format(abs(value), form.conversion if form.conversion in "oxX" else "d")
    if form.precision is not None:
        digits = digits.rjust(form.precision, "0") if value or form.precision else ""
    prefix = form.sign(value < 0) if signed else ""
    if "#" in form.flags:
        if form.conversion == "o" and not digits.startswith("0"):
            digits = "0" + digits
        elif form.conversion in "xX" and value:
            prefix = "0" + form.conversion
    return form.padded(prefix, digits, zeros=form.precision is None)


def _real(form: _Form, value: float) -> str:
    negative = math.copysign(1.0, value) < 0
    prefix, magnitude, kind = form.sign(negative), abs(value), form.conversion.lower()
    if not math.isfinite(value):
        digits = "nan" if math.isnan(value) else "inf"
    elif kind == "a":
        prefix, digits = prefix + "0x", _hexadecimal(magnitude, form)
    else:
        precision = 6 if form.precision is None else form.precision
        digits = f"%{'#' if '#' in form.flags else ''}.{precision}{kind}" % magnitude
    padded = form.padded(prefix, digits, zeros=math.isfinite(value))
    return padded.upper() if form.conversion.isupper() else padded


def _hexadecimal(magnitude: float, form: _Form) -> str:
    """Digits of %a behind 0x, rounded to even."""
    mantissa, exponent = float(magnitude).hex().removeprefix("0x").split("p")
    digits = int(mantissa.replace(".", "").ljust(_MANTISSA_DIGITS + 1, "0"), 16)
    shown = _MANTISSA_DIGITS
    if form.precision is not None and form.precision < _MANTISSA_DIGITS:
        shown = form.precision
        unit = 16 ** (_MANTISSA_DIGITS - shown)
        digits, rest = divmod(digits, unit)
        digits += rest > unit // 2 or (rest == unit // 2 and digits & 1)
    text = f"{digits:0{shown + 1}x}"
    whole, fraction = text[: len(text) - shown], text[len(text) - shown :]
    fraction = fraction.rstrip("0") if form.precision is None else fraction.ljust(form.precision, "0")
    point = "." if fraction or "#" in form.flags else ""
    return f"{whole}{point}{fraction}p{exponent}"
