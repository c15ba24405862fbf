"""What the command line does with inputs that are not what they should be: exit code 2 and one message, or a warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_cases import SASS, call, refused

STORE = """
.arch sm_86
.kernel store
.param x uint64 0
[B------:R-:W-:-:S05] MOV R2, c[0x0][0x160] ;
[B------:R-:W-:-:S05] MOV R3, c[0x0][0x164] ;
[B------:R-:W-:-:S05] MOV R0, 0x7 ;
[B------:R-:W-:-:S01] STG.E [R2], R0 ;
[B------:R-:W-:-:S05] EXIT ;
"""
LAUNCH = """
buffers: {x: {dtype: uint32, shape: [1]}}
launches: [{grid: [1], block: [32], arguments: [{buffer: x}]}]
expected: [{buffer: x, file: x.npy}]
"""
SMALL = ("--set", "sms=1", "--set", "l2.slices=4", "--set", "dram.channels=2")


@pytest.fixture
def sass(tmp_path: Path) -> Path:
    (tmp_path / "k.sass").write_text(SASS)
    return tmp_path / "k.sass"


def test_code_of_another_architecture_is_refused_unless_asked_for(capsys, sass):
    told = refused(capsys, "run", sass, "--config", "rtx2080ti", *SMALL, "--strict")
    assert "machine code of sm_86 (kernel three_adds) on NVIDIA GeForce RTX 2080 Ti, which runs sm_75" in told
    code, out, err = call(capsys, "run", sass, "--config", "rtx2080ti", *SMALL, "--any-arch")
    assert code == 0
    assert err.count("gpusim: warning: machine code of sm_86") == 1
    assert "which runs sm_75: the cycles are those of no real card" in out
    code, out, err = call(capsys, "run", sass, "--config", "a6000", *SMALL, "--any-arch")
    assert (code, err) == (0, "")
    assert "no real card" not in out


def test_a_table_of_measurements_keeps_to_the_architecture_too(capsys, sass, tmp_path):
    (tmp_path / "t.csv").write_text(f"cycles,card,trace\n1e4,rtx2080ti,{sass}\n")
    assert "machine code of sm_86" in refused(capsys, "compare", tmp_path / "t.csv", *SMALL)
    code, out, _ = call(capsys, "compare", tmp_path / "t.csv", *SMALL, "--any-arch")
    assert code == 0
    assert "three_adds" in out


@pytest.mark.parametrize(("value", "code"), [(7, 0), (8, 1)])
def test_a_run_compares_what_its_launch_file_expects(capsys, tmp_path, value, code):
    (tmp_path / "k.sass").write_text(STORE)
    (tmp_path / "k.yaml").write_text(LAUNCH)
    np.save(tmp_path / "x.npy", np.array([value], np.uint32))
    command = ("run", tmp_path / "k.sass", "--launch", tmp_path / "k.yaml", "--config", "a6000", *SMALL)
    found, out, err = call(capsys, *command)
    assert found == code
    assert "store" in out
    assert ("gpusim: check failed:" in err and "x.npy" in err) == bool(code)
    (tmp_path / "x.npy").unlink()
    assert "x.npy: cannot read the contents of buffer 'x'" in refused(capsys, *command)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("name=2001-99-99", None),
        (
            "channels=1:30",
            "override 'channels=1:30': dram.channels: '1:30' is not allowed (allowed: integer, 1 to 512)",
        ),
        ("read_prots=2", "override 'read_prots=2': read_prots: unknown key (did you mean 'read_ports'?)"),
        (f"sms={'9' * 5000}", "a number of 5,000 characters; the longest read has 40"),
        ("name=&a [*a]", "override 'name=&a [*a]': nested deeper than 32 levels"),
        ("name=[", "override 'name=[': not valid YAML"),
        ("name=a\x01", "not valid YAML: control character U+0001"),
        ("write_queue.low=1000", "override 'write_queue.low=1000': dram.write_queue: low must be below high"),
        ("=3", "override '=3': should be KEY=VALUE"),
        ("sms", "override 'sms': should be KEY=VALUE"),
        ("sms=!!int 3", "override 'sms=!!int 3': not valid YAML here: the tag"),
    ],
)
def test_a_wrong_setting_is_not_blamed_on_the_packaged_file(capsys, setting, told):
    if told is None:
        code, out, _ = call(capsys, "config", "show", "a6000", "--set", setting)
        assert code == 0
        assert "name: '2001-99-99'" in out
        return
    message = refused(capsys, "config", "show", "a6000", "--set", setting)
    assert message.startswith("gpusim: error: overrides of a6000: 1 problem\n")
    assert told in message
    assert "a6000.yaml" not in message


def test_a_file_and_a_setting_that_are_both_wrong_are_told_together(capsys, tmp_path):
    (tmp_path / "mine.yaml").write_text("base: a6000\nsms: 0\n")
    message = refused(capsys, "config", "show", tmp_path / "mine.yaml", "--set", "read_ports=0")
    assert message.startswith(f"gpusim: error: configuration {tmp_path}/mine.yaml: 2 problems\n")


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ("sms=1,1:30", "'1:30' is not allowed"),
        ("sms=1]", "grid axis 'sms=1]': not valid YAML"),
        ("sms=&a [*a]", "grid axis 'sms=&a [*a]': nested deeper"),
        (f"sms={'9' * 5000}", "a number of 5,000 characters"),
        ("name=2001-99-99,x", None),
    ],
)
def test_axes_of_a_sweep_are_read_by_the_same_rules(capsys, sass, axis, told):
    command = ("sweep", sass, "--config", "a6000", *SMALL, "--set-grid", axis)
    if told is None:
        code, out, _ = call(capsys, *command)
        assert code == 0
        assert "name=2001-99-99" in out
        return
    assert told in refused(capsys, *command)


def test_the_limit_of_a_cta_is_an_option(capsys, tmp_path):
    (tmp_path / "k.sass").write_text(
        ".arch sm_86\n.kernel k\nLOOP:\n[B------:R-:W-:-:S05] IADD3 R1, R1, 0x1, RZ ;\n"
        "[B------:R-:W-:-:S05] BRA `(LOOP) ;\n[B------:R-:W-:-:S05] EXIT ;\n"
    )
    for command in (
        ("trace", tmp_path / "k.sass", "-o", tmp_path / "t"),
        ("run", tmp_path / "k.sass", "--config", "a6000"),
    ):
        assert "more than 5,000: an endless loop" in refused(capsys, *command, "--cta-limit", 5000)
        assert "0 is not at least 1" in call(capsys, *command, "--cta-limit", 0)[2]
    assert not (tmp_path / "t").exists()
