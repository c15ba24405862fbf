"""Cards: every packaged one loads, inherits, can be overridden and written out; the numbers are those of the sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gpusim.config import expand, json_schema, list_configs, load_config
from gpusim.errors import GpusimError
from gpusim.resources import find
from gpusim.yamlfile import read

CARDS = [
    "a100", "a10g", "a40", "a6000", "gtx1660super", "rtx2070", "rtx2070super", "rtx2080ti", "rtx3060laptop", "rtx3070",
    "rtx3080", "rtx3080ti", "rtx3090", "rtx5070ti", "t4",
]  # fmt: skip

# Table 4 of arXiv 2503.20481: core MHz, memory MHz, SMs, warps per SM, unified KB, partitions, L2 MB; then the
# bandwidth in GB/s of the card's data sheet.
TABLE_4 = {
    "rtx3080": (1710, 9500, 68, 48, 128, 20, 5.0, 760),
    "rtx3080ti": (1365, 9500, 80, 48, 128, 24, 6.0, 912),
    "rtx3090": (1395, 9750, 82, 48, 128, 24, 6.0, 936),
    "a6000": (1800, 8000, 84, 48, 128, 24, 6.0, 768),
    "rtx2070super": (1605, 7000, 40, 32, 96, 16, 4.0, 448),
    "rtx2080ti": (1350, 7000, 68, 32, 96, 22, 5.5, 616),
    "rtx5070ti": (2580, 14000, 70, 48, 128, 16, 48.0, 896),
}

# From the data sheets: core MHz, SMs, L2 MB, bandwidth in GB/s.
DATA_SHEETS = {
    "a100": (1410, 108, 40, 1555.2),
    "a10g": (1710, 80, 6, 600),
    "a40": (1740, 84, 6, 696),
    "gtx1660super": (1785, 22, 1.5, 336),
    "rtx2070": (1620, 36, 4, 448),
    "rtx3060laptop": (1425, 30, 3, 336),
    "rtx3070": (1725, 46, 4, 448),
    "t4": (1590, 40, 4, 320),
}


def leaves(values: object, path: tuple[str, ...] = ()):
    if isinstance(values, dict):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def test_all_cards_are_listed():
    assert list_configs() == CARDS
    assert set(CARDS) == set(TABLE_4) | set(DATA_SHEETS)


@pytest.mark.parametrize("card", DATA_SHEETS)
def test_card_agrees_with_its_data_sheet(card):
    config = load_config(card)
    figures = (config.clocks.core_mhz, config.sms, config.l2_bytes / 2**20, config.dram_gigabytes_per_second)
    assert figures == pytest.approx(DATA_SHEETS[card])


@pytest.mark.parametrize("card", TABLE_4)
def test_card_agrees_with_table_4(card):
    config = load_config(card)
    core, memory, sms, warps, unified, partitions, l2_mb, bandwidth = TABLE_4[card]
    assert (config.clocks.core_mhz, config.clocks.memory_mhz) == (core, memory)
    assert (config.sms, config.sm.warps, config.dram.channels) == (sms, warps, partitions)
    assert config.l2_bytes / 2**20 == l2_mb
    assert config.sm.memory_unit.l1_data.unified_kb == unified
    assert config.dram_gigabytes_per_second == bandwidth


@pytest.mark.parametrize(
    ("card", "l1_hit", "l2_hit"), [("a6000", 32, 250), ("rtx3090", 32, 250), ("rtx2070super", 30, 234)]
)
def test_unloaded_latencies_add_up_to_the_measured_ones(card, l1_hit, l2_hit):
    """A40: RRZE-HPC/gpu-benches, L1: Table 2 of the paper; RTX 2070: sjfeng1999/gpu-arch-microbenchmark, less 2."""
    config = load_config(card)
    queue, l1 = config.sm.sub_core.memory_queue, config.sm.memory_unit.l1_data
    assert config.sm.memory_latency.global_load.regular.raw[0] == l1_hit
    to_grant = queue.register_read + queue.address_to_grant_regular
    beyond = config.interconnect.request_latency + config.l2.latency + config.interconnect.reply_latency
    assert to_grant == 11
    assert to_grant + l1.miss_latency + beyond + l1.fill_latency == l2_hit
    assert beyond == l2_hit - l1_hit


def test_dram_latency_keeps_its_nanoseconds_on_all_ampere_cards():
    for card in ("a6000", "a40", "a10g", "rtx3060laptop", "rtx3070", "rtx3080", "rtx3080ti", "rtx3090"):
        config = load_config(card)
        assert config.dram.latency / config.clocks.core_mhz * 1000 == pytest.approx(140.1, rel=0.005)


def test_turing_differs_from_ampere_as_the_sources_say():
    turing, ampere = load_config("rtx2080ti"), load_config("a6000")
    assert (turing.isa, ampere.isa, turing.architecture, ampere.architecture) == ("sm_75", "sm_86", 75, 86)
    t, a = turing.sm.sub_core, ampere.sm.sub_core
    assert (t.execution.fp32_in_int_pipe, a.execution.fp32_in_int_pipe) == (False, True)
    assert (t.execution.fixed.half.latency, a.execution.fixed.half.latency) == (6, 5)
    assert (t.execution.fixed.predicate.latency, a.execution.fixed.predicate.latency) == (12, 13)
    assert (t.execution.fp64.raw, t.memory_queue.entries, a.memory_queue.entries) == (45, 3, 4)
    assert (t.fetch.l0.sets, a.fetch.l0.sets) == (4, 8)
    assert turing.sm.memory_unit.shared_memory.options_kb == (32, 64)
    assert ampere.sm.memory_unit.shared_memory.options_kb == (0, 8, 16, 32, 64, 100)
    assert t.execution.fixed.int == a.execution.fixed.int
    t, a = turing.sm.memory_latency, ampere.sm.memory_latency
    for loads in ("global_load", "shared_load"):
        for address in ("regular", "uniform"):
            of_turing, of_ampere = getattr(getattr(t, loads), address), getattr(getattr(a, loads), address)
            assert [raw + 2 for raw in of_turing.raw] == list(of_ampere.raw)
            assert of_turing.war == of_ampere.war
    kept = {"global_load", "shared_load"}
    assert t.model_dump(exclude=kept) == a.model_dump(exclude=kept)


def test_only_blackwell_is_experimental():
    assert [card for card in CARDS if load_config(card).experimental] == ["rtx5070ti"]


@pytest.mark.parametrize("path", sorted(find("configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_number_has_a_source_beside_it(path):
    source = read(path)
    unsourced = []
    for leaf in leaves(source.values):
        value = source.values
        for key in leaf:
            value = value[key]
        comments = [source.comments(leaf[:length]) for length in range(1, len(leaf) + 1)]
        is_number = not isinstance(value, str | bool) or str(value).endswith(" ns")
        if is_number and not any(above or beside for above, beside in comments):
            unsourced.append(".".join(leaf))
    assert not unsourced


# ---- DRAM standards

STANDARDS = sorted(path.stem for path in (find("configs") / "dram").glob("*.yaml"))


@pytest.mark.parametrize("name", STANDARDS)
def test_a_standard_says_all_that_the_part_decides(name):
    standard, card = read(find("configs") / "dram" / f"{name}.yaml").values["dram"], load_config("a40").dram
    cards_own = {"standard", "channels", "latency", "queue_entries", "write_queue", "ecc", "ecc_sectors"}
    assert set(standard) | cards_own == set(type(card).model_fields)
    assert set(standard["timing"]) == set(type(card.timing).model_fields)
    assert set(standard["refresh"]) == set(type(card.refresh).model_fields)


def test_times_become_clocks_of_the_cards_memory():
    slow, fast = (load_config("a40", [f"clocks.memory_mhz={mhz}"]).dram_in_clocks.timing for mhz in (4000, 8000))
    assert (slow.rcd, fast.rcd, slow.wl, fast.wl) == (15, 30, 6, 6)  # 15 ns in clocks of 1 and 0.5 ns; 6 clocks
    assert load_config("a40", ["dram.timing.rcd=14 ns", "clocks.memory_mhz=4000"]).dram_in_clocks.timing.rcd == 14
    assert load_config("a40", ["dram.timing.rcd=0.01 ns"]).dram_in_clocks.timing.rcd == 1
    assert load_config("a40", ["dram.timing.rcd=5"]).dram_in_clocks.timing.rcd == 5


def test_what_stands_behind_a_standard_changes_it(tmp_path):
    hbm2, gddr6 = load_config("a100").dram, load_config("a40").dram
    changed = load_config("a40", ["dram.standard=hbm2", "dram.timing.rcd=9"]).dram
    assert (changed.timing.rcd, changed.timing.rp) == (9, hbm2.timing.rp)
    assert (changed.channels, changed.ecc) == (gddr6.channels, gddr6.ecc)
    assert load_config("a40", ["dram.timing.rcd=9", "dram.standard=hbm2"]).dram.timing == hbm2.timing
    assert load_config(load_config("a40"), {"dram": {"standard": "hbm2"}}).dram.timing == hbm2.timing
    # a file's own values win over those of the standard that it names, wherever they stand in it
    card = tmp_path / "card.yaml"
    card.write_text("base: a40\nname: mine\ndram: {row_bytes: 4096, timing: {rcd: 9}, standard: hbm2}\n")
    loaded = load_config(card)
    assert (loaded.dram.row_bytes, loaded.dram.timing.rcd, loaded.dram.timing.rp) == (4096, 9, hbm2.timing.rp)
    (tmp_path / "again.yaml").write_text(loaded.to_yaml())
    assert load_config(tmp_path / "again.yaml") == loaded
    assert "hbm2.yaml:" in expand(card)


def test_a_standard_of_ones_own_lies_beside_its_card(tmp_path, monkeypatch):
    (tmp_path / "part.yaml").write_text("dram: {timing: {rcd: 3 ns}}  # measured\n")
    (tmp_path / "card.yaml").write_text("base: a40\nname: mine\ndram: {standard: part.yaml}\n")
    assert load_config(tmp_path / "card.yaml").dram.timing.rcd == "3 ns"
    monkeypatch.chdir(tmp_path)
    assert load_config("a40", ["dram.standard=part.yaml"]).dram.standard == str(tmp_path / "part.yaml")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dram.standard=hbm3", "packaged: gddr6, gddr6x, hbm2, hbm2e"),
        ("dram.standard=7", "no DRAM standard .7.: neither"),
        ("dram.timing.rcd=7 us", "a time such as 15.4 ns"),
        ("dram.timing.rcd=0", "integer, 1 to"),
        ("dram.refresh.rfc=1800 ns", "no time to work is left"),
    ],
)
def test_what_is_wrong_with_a_standard_is_said(override, said):
    with pytest.raises(GpusimError, match=said):
        load_config("a40", [override])


def test_a_standard_holds_nothing_but_dram(tmp_path):
    (tmp_path / "part.yaml").write_text("sms: 3\ndram: {banks: 8}\n")
    with pytest.raises(GpusimError, match=r"part.yaml: a DRAM standard is a section dram"):
        load_config("a40", [f"dram.standard={tmp_path / 'part.yaml'}"])


# ---- inheritance


def test_a_file_inherits_from_a_chain_and_changes_only_what_it_names(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: a6000\nsm:\n  sub_core:\n    fetch: {stream_buffer_lines: 16}\n")
    (tmp_path / "more.yaml").write_text("base: mine.yaml\nname: more\n")
    config = load_config(tmp_path / "more.yaml")
    expected = load_config("a6000").model_dump()
    expected["name"] = "more"
    expected["sm"]["sub_core"]["fetch"]["stream_buffer_lines"] = 16
    assert config.model_dump() == expected


def test_a_card_may_be_named_by_a_number(tmp_path):
    (tmp_path / "41754e2").write_text("base: rtx3090\nname: 41754e2  # as a commit\n")
    (tmp_path / "mine.yaml").write_text("base: 41754e2\n")
    assert load_config(tmp_path / "mine.yaml").name == "41754e2"
    assert load_config(tmp_path / "mine.yaml", ["name=0x10"]).name == "0x10"
    with pytest.raises(GpusimError, match="name: 7 is not allowed"):
        load_config(tmp_path / "mine.yaml", {"name": 7})
    (tmp_path / "expanded.yaml").write_text(expand(tmp_path / "mine.yaml"))
    assert load_config(tmp_path / "expanded.yaml") == load_config(tmp_path / "mine.yaml")


def test_a_file_in_the_working_folder_wins_over_a_packaged_card(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a6000").mkdir()  # no file: the packaged card is meant
    assert load_config("a6000").name == "NVIDIA RTX A6000"
    assert load_config("a6000.yaml").name == "NVIDIA RTX A6000"
    Path("a6000.yaml").write_text(f"base: {find('configs') / 'a6000.yaml'}\nname: mine\n")
    assert load_config("a6000.yaml").name == "mine"
    assert load_config("./a6000.yaml").name == "mine"
    assert load_config("a6000").name == "NVIDIA RTX A6000"


@pytest.mark.parametrize(
    "key", ["sm.sub_core.register_file.read_ports", "sub_core.register_file.read_ports", "read_ports"]
)
def test_override_by_full_path_or_unique_ending(key):
    changed = load_config("a6000", [f"{key}=2"])
    assert changed.sm.sub_core.register_file.read_ports == 2
    assert load_config("a6000", [f"{key}=2", f"{key}=1"]) == load_config("a6000")


def test_override_of_lists_words_and_sections():
    config = load_config(
        "a6000",
        [
            "issue.scheduler=gto",
            "global_load.regular.raw=[40, 42, 46]",
            "fetch.l0={sets: 2, ways: 4}",
            "register_file.cache=false",
        ],
    )
    assert config.sm.sub_core.issue.scheduler == "gto"
    assert config.sm.memory_latency.global_load.regular.raw == (40, 42, 46)
    assert config.sm.sub_core.fetch.l0.model_dump() == {"sets": 2, "ways": 4, "line_bytes": 128, "replacement": "lru"}
    assert config.sm.sub_core.register_file.cache is False


@pytest.mark.parametrize("card", CARDS)
def test_expanded_card_loads_to_an_equal_config(card, tmp_path):
    overrides = ["read_ports=3", "dram.banks=8"]
    path = tmp_path / "expanded.yaml"
    path.write_text(expand(card, overrides))
    assert load_config(path) == load_config(card, overrides)


def test_expanded_card_keeps_sources_lines_and_overrides():
    text = expand("rtx2080ti", ["read_ports=3", "fetch.l0={ways: 4}"])
    line = next(line for line in text.splitlines() if line.strip().startswith("half:"))
    assert "ISA-Latencies 6" in line
    assert "turing.yaml:" in line
    assert "read_ports: 3  # [override 'read_ports=3']" in text
    assert "ways: 4  # [override 'fetch.l0={ways: 4}']" in text
    assert "[rtx2080ti.yaml:" in text
    assert "[ampere.yaml:" in text
    assert yaml.safe_load(text)["sm"]["warps"] == 32


def test_schema_describes_every_section():
    schema = json_schema()
    assert set(schema["required"]) >= {"name", "sms", "clocks", "sm", "l2", "dram"}
    assert schema["$defs"]["RegisterFile"]["properties"]["read_ports"]["maximum"] == 15


def test_importing_the_package_imports_no_validation_library():
    code = "import sys, gpusim.config; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
