"""What the State of a card takes is known before it is taken; a card that would fill the memory is refused by its keys."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from trace_cases import make_trace
from work import at_most

from gpusim.config import load_config
from gpusim.config.models import GpuConfig
from gpusim.config.policies import policy_names
from gpusim.errors import GpusimError
from gpusim.model.params import CODE, Params
from gpusim.model.policies.loading import policy_set
from gpusim.model.setup.build import build_state
from gpusim.model.setup.card import build_card, build_derived, hash_masks
from gpusim.model.setup.footprint import MOST_BYTES, check_footprint, footprint
from gpusim.model.setup.simulate import simulate
from gpusim.schema import schema_of

INSTRUCTIONS, TRACKED = 100, 64


@pytest.mark.parametrize(
    ("card", "overrides"),
    [
        ("a6000", ()),
        ("a100", ()),
        ("rtx2080ti", ()),
        ("gtx1660super", ("l2.slices=1", "l2.ways=512")),
        ("a6000", ("sms=2", "unified_kb=65536")),
        ("a6000", ("sms=2", "l1_data.sets=100000")),
        ("a6000", ("sms=2", "fetch.l0.ways=4096", "instruction_hierarchy.l1.ways=4096", "sub_core.constant_cache.sets=4096")),
        ("a6000", ("sms=1", "dram.channels=512", "dram.queue_entries=1024", "dram.write_queue.entries=1024")),
        ("a6000", ("dependence.mode=scoreboard",)),
    ],
)  # fmt: skip
def test_the_estimate_is_what_the_state_takes(card, overrides):
    config = load_config(card, overrides)
    registers = TRACKED if config.sm.sub_core.dependence.mode == "scoreboard" else 0
    policies = policy_set(policy_names(config))
    derived = build_derived(config, policies, 0, 100, True, False, registers)
    code = np.zeros(INSTRUCTIONS, CODE).view(np.recarray)
    params = Params(build_card(config), derived, code, None, None, hash_masks(config), policies.mark)
    state = build_state(params, config, 2, 100)
    taken = sum(array.nbytes for array in state)
    estimated = sum(size for *_, size in footprint(config, 2, INSTRUCTIONS, registers))
    assert 0.95 * taken < estimated < 1.15 * taken


def test_every_packaged_card_is_far_below_the_limit():
    from gpusim.config import list_configs

    for card in list_configs():
        assert sum(size for *_, size in footprint(load_config(card), 8, 10_000, 256)) < MOST_BYTES / 2, card


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("unified_kb=1048576",), "L1 lines (sm.memory_unit.l1_data.unified_kb and sets, sms)"),
        (("l2.sets=65536", "l2.ways=64"), "L2 lines (l2.slices, l2.sets, l2.ways)"),
        (("fetch.l0.sets=1048576", "fetch.l0.ways=64"), "L0 instruction caches (sm.sub_core.fetch.l0.sets and ways, sms)"),
        (("sub_core.constant_cache.sets=1048576",), "L0 constant caches (sm.sub_core.constant_cache.sets and ways, sms)"),
    ],
)  # fmt: skip
def test_too_large_a_card_is_refused_at_once_by_its_keys(overrides, told):
    config, trace = load_config("a6000", overrides), make_trace(length=5)
    tracemalloc.start()
    with (
        at_most(calls=2_000_000),
        pytest.raises(GpusimError, match=r"NVIDIA RTX A6000: simulating it would take .* at most 1\.1 GB") as error,
    ):
        simulate(trace, config)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told in str(error.value)
    assert peak < 100e6


def test_threads_have_a_table_each():
    with pytest.raises(GpusimError, match=r"\d+\.\d GB are tables of stalls \(--threads\)"):
        check_footprint(load_config("a6000"), 10_000_000, 10, 0)
    check_footprint(load_config("a6000"), 16, 10_000, 256)


def test_every_number_of_a_card_has_bounds_that_the_model_can_hold():
    """A number without an upper bound would overflow a 64-bit word, or take for ever."""
    schema = schema_of(GpuConfig)
    for path in schema.paths:
        node = schema.node_at(path)
        if node.get("type") in ("integer", "number") and "enum" not in node and "const" not in node:
            assert "minimum" in node or "exclusiveMinimum" in node, path
            if path[-1] != "reserved_bytes":  # a CTA that does not fit is refused
                assert node["maximum"] <= 1 << 30, path
