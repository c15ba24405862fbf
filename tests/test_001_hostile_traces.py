"""Traces that were edited: found by their checksum; and where that is right, refused for what they say, or harmless."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from mutations import VALUES, mutated, mutated_bytes

from gpusim import sealed
from gpusim.config import load_config
from gpusim.constants import EXPLICIT
from gpusim.emulator.tracing import trace_kernel
from gpusim.errors import GpusimError
from gpusim.hazards.check import check_hazards
from gpusim.model.setup.simulate import simulate
from gpusim.sass.program import INSTRUCTION_DTYPE, OPERAND_DTYPE
from gpusim.trace.blocks import BlockReader, BlockWriter
from gpusim.trace.chunks import COLUMNS
from gpusim.trace.store import INDEX_NAME, open_trace

SASS = """
.arch sm_86
.kernel k
.param x uint64 0
.shared 512
[B------:R-:W0:-:S01] S2R R0, SR_TID.X ;
[B------:R-:W-:-:S05] MOV R4, 0x3 ;
[B0-----:R-:W-:-:S05] IMAD R7, R0, R0, RZ ;
[B------:R-:W-:-:S05] IMAD.WIDE R2, R0, R4, c[0x0][0x160] ;
[B------:R-:W-:-:S05] LOP3.LUT R2, R2, 0xfffffffc, RZ, 0xc0, !PT ;
[B------:R-:W0:-:S01] LDG.E R5, [R2.64] ;
[B------:R-:W1:-:S05] LDS R6, [RZ] ;
[B01----:R-:W-:-:S05] STG.E [R2.64], R5 ;
[B------:R-:W-:-:S05] BAR.SYNC 0x0 ;
LOOP:
[B------:R-:W-:-:S05] IADD3 R4, R4, -0x1, RZ ;
[B------:R-:W-:-:S13] ISETP.NE.AND P0, PT, R4, RZ, PT ;
[B------:R-:W-:-:S05] @P0 BRA `(LOOP) ;
[B------:R-:W-:-:S05] EXIT ;
"""
LAUNCH = """
buffers: {x: {dtype: float32, shape: [64]}}
launches: [{grid: [3], block: [64], arguments: [{buffer: x}]}]
"""
SMALL = ("sms=1", "l2.slices=4", "dram.channels=2")


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "k.sass").write_text(SASS)
    (folder / "k.yaml").write_text(LAUNCH)
    trace_kernel(folder / "k.sass", folder / "k.yaml", folder / "trace")
    return folder / "trace"


def index_of(trace: Path) -> dict[str, Any]:
    index = json.loads((trace / INDEX_NAME).read_text())
    del index[sealed.KEY]
    return index


def copy_with(trace: Path, folder: Path, index: dict[str, Any]) -> Path:
    """A copy of the trace with another index, whose checksum is right."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trace, folder)
    (folder / INDEX_NAME).write_text(sealed.seal(json.dumps(index)))
    return folder


def used(path: Path, *overrides: str, hazards: bool = False) -> bool:
    """Whether a trace is read, checked for `hazards` and simulated; False where it is refused. Anything else raises."""
    try:
        measured, config = open_trace(path), load_config("a6000", [*SMALL, *overrides])
        if hazards:
            check_hazards(measured, config)
        simulate(measured, config)
    except GpusimError:
        return False
    return True


# ---- the checksum


def test_every_changed_byte_of_an_index_is_found(stored, tmp_path):
    data, random = (stored / INDEX_NAME).read_bytes(), Random(1)
    path = copy_with(stored, tmp_path / "t", index_of(stored))
    for _ in range(200):
        changed = mutated_bytes(random, data)
        if changed.decode(errors="replace").splitlines() == data.decode().splitlines():
            continue
        (path / INDEX_NAME).write_bytes(changed)
        with pytest.raises(GpusimError, match=r"trace\.json"):
            open_trace(path)


def test_an_edited_number_is_told_as_an_edit_with_the_remedy(stored, tmp_path):
    path = copy_with(stored, tmp_path / "t", index_of(stored))
    text = (stored / INDEX_NAME).read_text()
    (path / INDEX_NAME).write_text(text.replace('"registers": 8', '"registers": 9', 1))
    with pytest.raises(
        GpusimError, match=r"trace\.json.*edited or damaged.*checksum.*write it again with `gpusim trace`"
    ):
        open_trace(path)
    (path / INDEX_NAME).write_text(text.replace(sealed.KEY, "checksun"))
    with pytest.raises(GpusimError, match="edited or damaged"):
        open_trace(path)


def test_a_trace_of_the_first_version_has_no_checksum_and_is_read(stored, tmp_path):
    path = copy_with(stored, tmp_path / "t", index_of(stored))
    (path / INDEX_NAME).write_text(json.dumps(index_of(stored) | {"version": 1}, indent=1))
    assert used(path)


def test_line_ends_of_another_system_do_not_matter(stored, tmp_path):
    path = copy_with(stored, tmp_path / "t", index_of(stored))
    (path / INDEX_NAME).write_bytes((stored / INDEX_NAME).read_bytes().replace(b"\n", b"\r\n"))
    assert used(path)


# ---- what an index may say


def test_no_edited_index_does_harm(stored, tmp_path):
    random, index, kept = Random(2), index_of(stored), 0
    for number in range(250):
        path = copy_with(stored, tmp_path / "t", mutated(random, index))
        kept += used(path, hazards=number % 2 == 0)
    assert 0 < kept < 50


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("launches", 0, "block", 0), 0, r"launches\[0\].block\[0\]: 0 is not allowed"),
        (("launches", 0, "block", 0), 2048, r"launches\[0\].block: 2048 in x: a block has 1 to 1024 there"),
        (("launches", 0, "grid", 2), 2**62, r"launches\[0\].grid: 4611686018427387904 in z"),
        (("launches", 0, "shared_bytes"), 2**63, r"launches\[0\].shared_bytes: 9223372036854775808 is not allowed"),
        (("launches", 0, "chunks", 0, "first_cta"), 1, "a chunk begins at CTA 1, the next one is 0"),
        (("launches", 0, "chunks", 0, "columns", "mask", "count"), 2**63, "columns.mask.count: .* is not allowed"),
        (("launches", 0, "chunks", 0, "columns", "mask", "count"), 2**40, r"the block at byte \d+ holds \d+ bytes, not"),
        (("launches", 0, "chunks", 0, "columns", "mask", "stored"), "|O8", "columns.mask.stored: '|O8' is not allowed"),
        (("launches", 0, "chunks", 0, "columns", "mask", "dtype"), "<u2", "a column has the fields of another version"),
        (("launches", 0, "chunks", 0, "warp_instructions"), 7, r"\d+ indices where the instructions have 7"),
        (("programs", 0, "metadata", "opcodes", 0), 7, r"metadata.opcodes\[0\]: 7 is not allowed \(allowed: text, which this is in quotes\)"),
        (("programs", 0, "metadata", "constants"), [], "metadata.constants: .* stands where a section should"),
        (("programs", 0, "metadata", "registers"), float("inf"), "metadata.registers: inf is not allowed"),
        (("programs", 0, "metadata", "architecture"), 61, "metadata.architecture: 61 is not allowed"),
        (("programs", 0, "metadata", "text"), ["NOP"], "1 lines of text for 13 instructions"),
    ],
)  # fmt: skip
def test_an_impossible_fact_is_refused_by_its_name(stored, tmp_path, place, value, message):
    index = index_of(stored)
    holder = index
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    path = copy_with(stored, tmp_path / "t", index)
    with pytest.raises(GpusimError, match=message):
        list(open_trace(path).launches[0].chunks())


# ---- what columns may hold


def rewritten(trace: Path, folder: Path, victim: str, change: Any) -> Path:
    """A copy in which one array is changed and all checksums are right. `change` is given the array."""
    index = index_of(trace)
    path = copy_with(trace, folder, index)
    program, launch = index["programs"][0], index["launches"][0]
    tables = {"instructions": INSTRUCTION_DTYPE, "operands": OPERAND_DTYPE}
    for entry, holder, dtypes in ((program, program, tables), (launch, launch["chunks"][0]["columns"], COLUMNS)):
        reader = BlockReader(path / entry["file"], memoryview((path / entry["file"]).read_bytes()))
        with (path / entry["file"]).open("wb") as file:
            writer = BlockWriter(file)
            for name, dtype in dtypes.items():
                array = reader.read(holder[name], dtype)
                array = change(array) if name == victim else array
                holder[name] = writer.write(array, delta="delta" in holder[name])
            entry["bytes"] = writer.offset
    (path / INDEX_NAME).write_text(sealed.seal(json.dumps(index)))
    return path


def changed(random: Random, array: np.ndarray) -> np.ndarray:
    """Shorter, longer, or with wrong values at one to three places."""
    if random.random() < 0.2 and len(array):
        return array[: random.randrange(len(array))] if random.random() < 0.5 else np.concatenate([array, array[:1]])
    for _ in range(random.choice((1, 1, 3)) if len(array) else 0):
        place = random.randrange(len(array))
        view = array[random.choice(array.dtype.names)] if array.dtype.names else array
        limits = np.iinfo(view.dtype)
        allowed = [v for v in VALUES if type(v) is int and limits.min <= v <= limits.max]
        view[place] = random.choice([*allowed, limits.min, limits.max])
    return array


@pytest.mark.parametrize("victim", ["instructions", "operands", *COLUMNS])
def test_no_changed_column_does_harm(stored, tmp_path, victim):
    random = Random(victim)
    modes = ((), ("dependence.mode=scoreboard",))
    for number in range(30):
        path = rewritten(stored, tmp_path / "t", victim, lambda array: changed(random, array))
        used(path, *modes[number % 3 == 0], hazards=number % 2 == 0)


def put(place: int, value: int):
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("victim", "change", "message"),
    [
        ("index", put(3, 13), "instruction index 13 of a program of 13"),
        ("index", lambda a: a[:-1], "indices where the instructions have"),
        ("mask", lambda a: np.append(a, a[:1]), "masks where the instructions have"),
        ("warp_instructions", put(0, 1), "the warps' streams do not add up"),
        ("warp_instructions", put(0, -5), "the warps' streams do not add up"),
        ("warp_instructions", lambda a: a[:-1], "5 warp streams where the instructions have 6"),
        ("explicit", lambda a: a[:1], "1 marks of explicit addresses"),
        ("base", lambda a: a[:1], "1 bases of memory records"),
        ("stride", lambda a: a[:1], "1 strides"),
        ("stride", put(0, EXPLICIT), "a stride is the mark of explicit addresses"),
        ("lanes", lambda a: a[:1], "1 explicit addresses"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(stored, tmp_path, victim, change, message):
    path = rewritten(stored, tmp_path / "t", victim, change)
    with pytest.raises(GpusimError, match=rf"launch-0000\.bin: damaged trace: chunk 0 does not fit.*{message}"):
        list(open_trace(path).launches[0].chunks())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("opcode", 99, "instruction 2 has the opcode 99"),
        ("operand_start", 10**6, "instruction 2 has the operand start 1000000"),
        ("target", 13, "instruction 2 has the target 13"),
        ("write_counter", 6, "instruction 2 has the write counter 6"),
        ("space", 77, "instruction 2 has the space 77"),
        ("wait_mask", 64, "instruction 2 has the wait mask 64"),
        ("pc", 8, "instruction 2 has the pc 8"),
    ],
)
def test_an_impossible_instruction_is_named(stored, tmp_path, field, value, message):
    def change(array: np.ndarray) -> np.ndarray:
        array[field][2] = value
        return array

    path = rewritten(stored, tmp_path / "t", "instructions", change)
    with pytest.raises(GpusimError, match=rf"program-0000\.bin: damaged trace: {message}"):
        open_trace(path)


@pytest.mark.parametrize("base", [-4096, -(1 << 62), 1 << 49, (1 << 63) - 1])
def test_an_address_that_no_gpu_has_is_refused_by_instruction(stored, tmp_path, base):
    path = rewritten(stored, tmp_path / "t", "base", lambda array: np.full_like(array, base))
    with pytest.raises(GpusimError, match=r"kernel k, pc 0x0050 \(LDG\.E R5, \[R2\.64\]\): address 0x.* 49 bits"):
        simulate(open_trace(path), load_config("a6000", SMALL))
