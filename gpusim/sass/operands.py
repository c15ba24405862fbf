"""The text of one operand -> its fields (OPERAND_DTYPE without roles, which the opcode table decides)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass

from gpusim.errors import GpusimError, nearest
from gpusim.sass.program import NO_SLOT, OPERAND_SELECTORS, PT, RZ, URZ, OperandKind

ALL_PREDICATES_WIDTH = 7
"""Width of the operands `PR` and `UPR`: P0 to P6 and UP0 to UP6 together."""
BINDLESS_BANK = 255
"""Bank of `cx[UR4][..]`, whose uniform register (field `descriptor`) holds the address of the constants."""
TEXTURE_SHAPES = ("1D", "2D", "3D", "CUBE", "ARRAY_1D", "ARRAY_2D", "ARRAY_3D", "ARRAY_CUBE")
"""Geometry operands of texture instructions; such an operand is an immediate with the index in this list."""


@dataclass
class Operand:
    """One operand; the fields are those of OPERAND_DTYPE, in its order."""

    kind: int
    is_destination: int = 0
    position: int = 0
    slot: int = NO_SLOT
    register: int = RZ
    width: int = 0
    negate: int = 0
    absolute: int = 0
    invert: int = 0
    reuse: int = 0
    select: int = 0
    immediate: int = 0
    bank: int = 0
    uniform: int = URZ
    uniform_width: int = 0
    scale: int = 1
    descriptor: int = URZ

    def row(self) -> tuple[int, ...]:
        """Values in the order of OPERAND_DTYPE."""
        return astuple(self)


@dataclass(frozen=True)
class Context:
    """What the text of an operand does not say.

    Attributes:
        immediate: encoding of decimal numbers: int, f32, f64 (high 32 bits), f16, bf16.
        label: byte offset of a label. special_register: its index in the program's table.
        wide_address: whether a plain register in brackets is a 64-bit pair.
    """

    immediate: str
    label: Callable[[str], int]
    special_register: Callable[[str], int]
    wide_address: bool = False


_REGISTER = re.compile(r"(UR|UP|SB|R|P|B)(\d+|Z|T)")
_LIMITS = {"R": 254, "UR": 62, "P": 6, "UP": 6, "B": 31, "SB": 5}
_KINDS = {
    "R": OperandKind.REGISTER,
    "UR": OperandKind.UNIFORM_REGISTER,
    "P": OperandKind.PREDICATE,
    "UP": OperandKind.UNIFORM_PREDICATE,
    "B": OperandKind.BARRIER_REGISTER,
    "SB": OperandKind.DEPENDENCE_COUNTER,
}
_NAMED = {"RZ": RZ, "URZ": URZ, "PT": PT, "UPT": PT}
_CONSTANT = re.compile(r"c\[(?P<bank>0x[0-9a-f]+|\d+)\]\s*\[(?P<address>[^\]]*)\]", re.IGNORECASE)
_BINDLESS = re.compile(r"cx\[(?P<descriptor>UR(?:\d+|Z))\]\s*\[(?P<address>[^\]]*)\]", re.IGNORECASE)
_MEMORY = re.compile(r"(?:g?desc\[(?P<descriptor>UR(?:\d+|Z))\])?\[(?P<address>[^\]]*)\]", re.IGNORECASE)
_TERM = re.compile(r"(?P<register>U?R(?:\d+|Z))(?P<suffix>(?:\.\w+)*)")
_LABEL = re.compile(r"`\((?P<name>[^()]+)\)")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|INF|Q?NAN|SNAN)", re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?(?:0x[0-9a-f]+|\d+)", re.IGNORECASE)
_SPECIAL = re.compile(r"SR_?[\w.]+|SRZ")
_FORMATS = {"f32": "<f", "f16": "<e"}


def _register(text: str) -> tuple[str, int]:
    """Kind letters and number of a register name. Raises GpusimError if there is no such register."""
    match = _REGISTER.fullmatch(text)
    if match and (text in _NAMED or match[2].isdigit()):
        number = _NAMED.get(text, -1) if not match[2].isdigit() else int(match[2])
        if text in _NAMED or number <= _LIMITS[match[1]]:
            return match[1], number
        raise GpusimError(f"register {text} does not exist, the last is {match[1]}{_LIMITS[match[1]]}")
    raise GpusimError(f"'{text}' is no register")


def encode_number(text: str, encoding: str) -> int:
    """The 32-bit pattern of a number: hexadecimal and int as integers, decimals as `encoding` says.

    f64 gives the high half of the double, f16 and bf16 the 16-bit pattern. Raises GpusimError if it does not fit.
    """
    if _INTEGER.fullmatch(text) and (encoding == "int" or "0x" in text.lower()):
        value = int(text, 0)
        if not -(1 << 31) <= value < 1 << 32:
            raise GpusimError(f"number {text} does not fit in 32 bits")
        return value & 0xFFFFFFFF
    if not _FLOAT.fullmatch(text) or encoding == "int":
        raise GpusimError(f"'{text}' is no {'integer' if encoding == 'int' else 'number'}")
    real = float(text.upper().replace("QNAN", "NAN").replace("SNAN", "NAN"))
    if encoding == "f64":
        return struct.unpack("<Q", struct.pack("<d", real))[0] >> 32
    try:
        if encoding == "bf16":
            return struct.unpack("<I", struct.pack("<f", real))[0] >> 16
        packed = struct.pack(_FORMATS[encoding], real)
    except OverflowError:
        raise GpusimError(f"number {text} is too large for {encoding}") from None
    return int.from_bytes(packed, "little")


def _signed(text: str) -> int:
    return int(text.replace(" ", "").replace("+-", "-"), 0)


def _parse_address(operand: Operand, text: str, wide: bool) -> None:
    """Fill register, scale, uniform register and offset from the inside of the last brackets (`R2.64+UR4+0x10`)."""
    rest = text.strip()
    for term in re.findall(r"[+-]?\s*[^+-]+", rest.replace("+-", "-")):
        term = term.replace(" ", "")
        match = _TERM.fullmatch(term.lstrip("+"))
        if not match:
            if not _INTEGER.fullmatch(term):
                raise GpusimError(f"'{term}' in address [{text}] is neither a register nor an offset")
            operand.immediate += _signed(term)
            continue
        letters, number = _register(match["register"])
        suffixes = [s for s in match["suffix"].split(".") if s]
        if letters == "UR":
            operand.uniform = number
            operand.uniform_width = 0 if number == URZ else (2 if wide else 1)
            continue
        operand.register = number
        operand.width = 0 if number == RZ else (2 if wide else 1)
        for suffix in suffixes:
            _address_suffix(operand, suffix, text)


def _address_suffix(operand: Operand, suffix: str, text: str) -> None:
    if re.fullmatch(r"X(1|2|4|8|16)", suffix):
        operand.scale = int(suffix[1:])
    elif suffix in ("64", "U32"):
        operand.width = 0 if operand.register == RZ else (2 if suffix == "64" else 1)
        operand.select = OPERAND_SELECTORS.index(suffix)
    else:
        raise GpusimError(f"suffix .{suffix} in address [{text}] is not known")


def _parse_brackets(text: str, context: Context) -> Operand | None:
    """Constant or memory operand, None if the text is neither."""
    if match := _CONSTANT.fullmatch(text):
        operand = Operand(OperandKind.CONSTANT, bank=int(match["bank"], 0))
        _parse_address(operand, match["address"], wide=False)
        if operand.immediate < 0 and operand.register == RZ and operand.uniform == URZ:
            operand.immediate += 1 << 16  # nvdisasm prints the upper half of a bank with a sign
    elif match := _BINDLESS.fullmatch(text):
        descriptor = _register(match["descriptor"])[1]
        operand = Operand(OperandKind.CONSTANT, bank=BINDLESS_BANK, descriptor=descriptor)
        _parse_address(operand, match["address"], wide=False)
    elif match := _MEMORY.fullmatch(text):
        operand = Operand(OperandKind.MEMORY)
        if match["descriptor"]:
            operand.descriptor = _register(match["descriptor"])[1]
        _parse_address(operand, match["address"], wide=context.wide_address)
    else:
        return None
    return operand


def _parse_plain(text: str, context: Context) -> Operand:
    """An operand without sign, bars, selectors and brackets."""
    if match := _LABEL.fullmatch(text):
        return Operand(OperandKind.LABEL, immediate=context.label(match["name"]))
    if text in ("PR", "UPR"):
        kind = OperandKind.PREDICATE if text == "PR" else OperandKind.UNIFORM_PREDICATE
        return Operand(kind, register=0, width=ALL_PREDICATES_WIDTH)
    if text in TEXTURE_SHAPES:
        return Operand(OperandKind.IMMEDIATE, immediate=TEXTURE_SHAPES.index(text))
    if match := re.fullmatch(r"\{([0-5](?:,[0-5])*)\}", text):
        mask = sum(1 << int(digit) for digit in set(match[1].split(",")))
        return Operand(OperandKind.DEPENDENCE_COUNTER, register=255, immediate=mask)
    if _SPECIAL.fullmatch(text):
        return Operand(OperandKind.SPECIAL_REGISTER, immediate=context.special_register(text))
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return Operand(OperandKind.IMMEDIATE, immediate=encode_number(text, context.immediate))
    letters, number = _register(text)
    return Operand(_KINDS[letters], register=number, width=1)


def _split_suffixes(text: str) -> tuple[str, list[str]]:
    """`|R4|.reuse.H0_H0` -> (`|R4|`, [reuse, H0_H0]); numbers, brackets and special registers have none."""
    match = re.fullmatch(r"(\|[^|]+\||[!~]?U?[RP](?:\d+|Z|T)|c\w*\[[^\]]*\]\s*\[[^\]]*\])((?:\.\w+)+)", text)
    if not match:
        return text, []
    return match[1], match[2][1:].split(".")


def parse_operand(text: str, context: Context) -> Operand:
    """Fields of one operand's text, roles not yet known.

    Raises GpusimError naming the part of the text that is not understood.
    """
    original, negate, invert, absolute = text, 0, 0, 0
    text = text.strip()
    if _FLOAT.fullmatch(text) or _INTEGER.fullmatch(text):
        return _parse_plain(text, context)
    while text[:1] in "-!~" and text:
        negate |= text[0] in "-!"
        invert |= text[0] == "~"
        text = text[1:].strip()
    text, suffixes = _split_suffixes(text)
    if len(text) > 2 and text[0] == text[-1] == "|":
        absolute, text = 1, text[1:-1]
        text, inner = _split_suffixes(text)
        suffixes += inner
    try:
        operand = _parse_brackets(text, context) or _parse_plain(text, context)
    except GpusimError as error:
        raise GpusimError(f"operand '{original.strip()}': {error}") from None
    operand.negate, operand.invert, operand.absolute = int(negate), int(invert), absolute
    for suffix in suffixes:
        if suffix == "reuse":
            operand.reuse = 1
        elif suffix in OPERAND_SELECTORS and not operand.select:
            operand.select = OPERAND_SELECTORS.index(suffix)
        else:
            hint = nearest(suffix, (*OPERAND_SELECTORS[1:], "reuse"))
            raise GpusimError(f"operand '{original.strip()}': suffix .{suffix} is not known{hint}")
    return operand
