"""Machine code of one architecture on a card of another: refused as hardware does, unless it is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trace_cases import make_trace

from gpusim.compatibility import code_for, runs_on
from gpusim.config import load_config
from gpusim.errors import GpusimError
from gpusim.model.setup.simulate import RunOptions, simulate
from gpusim.results.result import FOREIGN
from gpusim.trace.trace import Trace

SMALL = ("sms=1", "l2.slices=4", "dram.channels=2")


def trace_of(architecture: int) -> Trace:
    (launch,) = make_trace(length=5).launches
    return Trace((replace(launch, program=replace(launch.program, architecture=architecture)),), {"source": "toy"})


@pytest.mark.parametrize(
    ("card", "overrides", "runs"),
    [
        ("rtx2080ti", (), {75}),
        ("a100", (), {80}),
        ("a6000", (), {80, 86}),  # code of 8.0 runs on devices of 8.6
        ("a6000", ("architecture=89",), {80, 86, 89}),
        ("a100", ("architecture=90", "isa=sm_90"), {90}),
        ("rtx5070ti", (), {90}),  # no table of its own: that of sm_90 stands in
    ],
)
def test_code_runs_on_devices_of_its_major_version_and_no_lower_minor_one(card, overrides, runs):
    config = load_config(card, overrides)
    assert {architecture for architecture in (75, 80, 86, 89, 90) if runs_on(architecture, config)} == runs
    assert code_for(config) == max(runs)


@pytest.mark.parametrize(("architecture", "card"), [(86, "rtx2080ti"), (86, "a100"), (75, "a6000"), (90, "a6000")])
def test_foreign_code_is_refused_with_what_to_do(architecture, card):
    config = load_config(card, SMALL)
    with pytest.raises(GpusimError) as error:
        simulate(trace_of(architecture), config)
    for part in (
        f"machine code of sm_{architecture} (kernel toy) on {config.name}, which runs sm_{config.architecture}",
        f"trace the kernel for it (--arch sm_{config.architecture})",
        "gpusim config list",
        "--any-arch",
    ):
        assert part in str(error.value)


def test_foreign_code_runs_where_it_is_asked_for_and_says_so():
    warnings: list[str] = []
    options = RunOptions(
        any_architecture=True, warn=lambda text: warnings.append(text) if "opcodes" not in text else None
    )
    result = simulate(trace_of(75), load_config("a6000", SMALL), options)
    (warning,) = warnings
    assert warning.startswith("machine code of sm_75 (kernel toy) on NVIDIA RTX A6000, which runs sm_86: its timing is")
    assert result.provenance[FOREIGN] in warning
    own = simulate(trace_of(86), load_config("a6000", SMALL), replace(options, any_architecture=False))
    assert own.kernels[0].cycles == result.kernels[0].cycles
    assert FOREIGN not in own.provenance
    assert len(warnings) == 1


def test_one_foreign_launch_of_many_is_enough():
    mixed = Trace((*trace_of(86).launches, *trace_of(75).launches))
    with pytest.raises(GpusimError, match="machine code of sm_75"):
        simulate(mixed, load_config("a6000", SMALL))
