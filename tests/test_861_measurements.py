"""Tables of measured cycles: what a row may say, and what is refused by line and column."""

from __future__ import annotations

import os
from random import Random

import pytest
from mutations import mutated_bytes

from gpusim.errors import GpusimError
from gpusim.hardware.compare import read_measurements

HEAD = "kernel,cycles,card,trace\n"
GOOD = HEAD + "sgemm,1e4,a6000,ampere/sgemm\n,2500.5,a6000,ampere/ffma\n"


@pytest.mark.parametrize("cycles", ["1e4", "10000", "1.5", "2E+3", ".5"])
def test_cycles_are_any_number_above_zero(tmp_path, cycles):
    (tmp_path / "t.csv").write_text(f"{HEAD}k,{cycles},a6000,ampere/sgemm\n")
    (row,) = read_measurements(tmp_path / "t.csv")
    assert row["cycles"] == cycles


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEAD}k,²,a6000,x\n", "t.csv:2: cycles is '²', not a number above 0"),
        (f"{HEAD}k,1e999,a6000,x\n", "t.csv:2: cycles is '1e999', not a number above 0"),
        (f"{HEAD}k,nan,a6000,x\n", "t.csv:2: cycles is 'nan'"),
        (f"{HEAD}k,-3,a6000,x\n", "t.csv:2: cycles is '-3'"),
        (f"{HEAD}k,0,a6000,x\n", "t.csv:2: cycles is '0'"),
        (f"{HEAD}k,5,a6000\n", "t.csv:2: the column 'trace' is empty"),
        (f"{HEAD}k\n", "t.csv:2: the column 'cycles' is empty"),
        (f"{HEAD}k,5,a6000,x,y,z\n", "t.csv:2: 2 fields more than the header has columns"),
        (f"{HEAD}k,5,a6000,x\nk,six,a6000,x\nk,7,,x\n", "t.csv:4: the column 'card' is empty"),
        ("kernel,cycels,card,trace\n", "t.csv:1: lacks the column 'cycles'; has an unknown column 'cycels' (did you mean 'cycles'?)"),
        (HEAD, "t.csv: holds no row"),
        ("", "t.csv:1: lacks the column 'cycles'"),
        (f"{HEAD}\"k\n", "t.csv:"),
        (f"{HEAD}{'k' * 200_000},5,a6000,x\n", "t.csv: cannot be read as CSV: field larger than field limit"),
    ],
)  # fmt: skip
def test_mistakes_are_told_by_line(tmp_path, text, told):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(GpusimError) as error:
        read_measurements(tmp_path / "t.csv")
    assert told in str(error.value)


def test_no_mutated_table_does_harm(tmp_path):
    random, good = Random(9), 0
    for _ in range(500):
        (tmp_path / "t.csv").write_bytes(mutated_bytes(random, GOOD.encode()))
        try:
            rows = read_measurements(tmp_path / "t.csv")
        except GpusimError:
            continue
        good += 1
        assert all(0 < float(row["cycles"]) < float("inf") for row in rows)
    assert good > 50


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for name, told in (("pipe.csv", "is a pipe or a device"), (".", "is a folder where a CSV is wanted")):
        with pytest.raises(GpusimError, match=told):
            read_measurements(tmp_path / name)
