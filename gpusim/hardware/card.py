"""The configuration of a profiled card: a packaged card that is near, with what the profile's device says put in.

A profile tells counts and sizes (`device__attribute_*`) and the clocks that the kernel ran at, which `ncu` locks below
those of the data sheet. Latencies and the inside of the SM come from the nearest packaged card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from gpusim.config import list_configs, load_config
from gpusim.config.expansion import override_texts
from gpusim.config.loading import Overrides
from gpusim.config.models import GpuConfig
from gpusim.errors import GpusimError
from gpusim.sass.reports import ReportedLaunch

KHZ_PER_MHZ, HZ_PER_MHZ = 1e3, 1e6
CORE_CLOCKS = ("gpc__cycles_elapsed.avg.per_second", "smsp__cycles_elapsed.avg.per_second")
L2_CLOCKS = ("lts__cycles_elapsed.avg.per_second",)
MEMORY_CLOCKS = ("dram__cycles_elapsed.avg.per_second",)
ECC = "device__attribute_ecc_enabled"
BUS_BITS = "global_memory_bus_width"
LINE_BYTES = 128


@dataclass(frozen=True)
class Setting:
    """One value that differs from the base: key path, value, and where it is from."""

    key: str
    value: Any
    source: str


@dataclass(frozen=True)
class DerivedCard:
    """A packaged card and the settings that make it the profiled one."""

    base: str
    settings: tuple[Setting, ...]
    origin: str

    def load(self, overrides: Overrides = ()) -> GpuConfig:
        """The checked configuration, with further overrides. Raises GpusimError where a value is not allowed."""
        own = [f"{s.key}={_text(s.value)}" for s in self.settings]
        return load_config(self.base, [*own, *override_texts(overrides)])

    def yaml(self) -> str:
        """A card file that names its base and the source of every number."""
        lines = [
            f"# Derived from {self.origin}.",
            "# device: device__attribute_* of the report; run: clocks while the kernel ran.",
            f"base: {self.base}.yaml",
        ]
        section: tuple[str, ...] = ()
        for setting in self.settings:
            *path, key = setting.key.split(".")
            shared = next((k for k, (a, b) in enumerate(zip(section, path)) if a != b), min(len(section), len(path)))
            lines += [f"{'  ' * depth}{path[depth]}:" for depth in range(shared, len(path))]
            lines.append(f"{'  ' * len(path)}{key}: {_text(setting.value)}  # {setting.source}")
            section = tuple(path)
        return "\n".join(lines) + "\n"


def derive_card(launch: ReportedLaunch, base: str | None = None) -> DerivedCard:
    """The card that a profiled launch ran on; `base` names the packaged card to start from, else the nearest one.

    Raises GpusimError where the report lacks what is needed, or no packaged card has its architecture.
    """
    name = str(launch.attribute("display_name"))
    architecture = 10 * int(launch.attribute("compute_capability_major")) + int(
        launch.attribute("compute_capability_minor")
    )
    base = base or _nearest_card(name, architecture, int(launch.attribute("multiprocessor_count")))
    card = load_config(base)
    settings = [Setting("name", name, "device"), *_sizes(launch, card), *_memory(launch, card)]
    kept = [s for s in settings if s.key == "name" or _current(card, s.key) != s.value]
    return DerivedCard(base, tuple(kept), f"{launch.label} ({launch.kernel})")


def _nearest_card(name: str, architecture: int, sms: int) -> str:
    """The packaged card of that name, else the one of that architecture with the nearest number of SMs and name."""
    cards = {each: load_config(each) for each in list_configs()}
    same = [each for each, card in cards.items() if card.architecture == architecture]
    if not same:
        known = ", ".join(sorted({f"sm_{card.architecture}" for card in cards.values()}))
        raise GpusimError(f"{name}: there is no packaged card of sm_{architecture} to start from; known: {known}")

    def distance(each: str) -> tuple[bool, int, float]:
        card = cards[each]
        return card.name != name, abs(card.sms - sms), -SequenceMatcher(None, name, card.name).ratio()

    return min(same, key=distance)


def _sizes(launch: ReportedLaunch, card: GpuConfig) -> Iterator[Setting]:
    yield Setting("sms", int(launch.attribute("multiprocessor_count")), "device: multiprocessor_count")
    core = _clock(launch, CORE_CLOCKS, "clock_rate")
    memory = _clock(launch, MEMORY_CLOCKS, "memory_clock_rate")
    yield Setting("clocks.core_mhz", *core)
    if (l2 := _measured_clock(launch, L2_CLOCKS)) is not None:
        yield Setting("clocks.l2_mhz", *l2)
    yield Setting("clocks.memory_mhz", *memory)
    for key, attribute in (
        ("warps", "max_warps_per_multiprocessor"),
        ("ctas", "max_blocks_per_multiprocessor"),
        ("registers", "max_registers_per_multiprocessor"),
    ):
        yield Setting(f"sm.{key}", int(launch.attribute(attribute)), f"device: {attribute}")
    shared_kb = int(launch.attribute("max_shared_memory_per_multiprocessor")) // 1024
    largest = max(card.sm.memory_unit.shared_memory.options_kb)
    if shared_kb != largest:
        raise GpusimError(
            f"{launch.label}: the device has {shared_kb} KB of shared memory per SM, packaged cards like it "
            f"{largest} KB; write a card file of its own and name it with --config"
        )


def _memory(launch: ReportedLaunch, card: GpuConfig) -> Iterator[Setting]:
    slices, bytes_ = int(launch.attribute("l2s_count")), int(launch.attribute("l2_cache_size"))
    yield Setting("l2.slices", slices, "device: l2s_count")
    sets = bytes_ // (slices * card.l2.ways * LINE_BYTES)
    yield Setting("l2.sets", sets, f"device: l2_cache_size {bytes_} / slices / {card.l2.ways} ways / {LINE_BYTES} B")
    bits = int(launch.attribute(BUS_BITS))
    # both edges of the data clock: a bus of n bits moves n / 4 bytes per clock
    channels = bits // (4 * card.dram.bytes_per_transfer)
    yield Setting("dram.channels", channels, f"device: {BUS_BITS} {bits}, {card.dram.bytes_per_transfer} B a transfer")
    enabled = launch.metrics.get(ECC)
    if enabled is not None and card.dram.ecc != "beside":
        yield Setting("dram.ecc", "inline" if int(enabled) else "none", "device: ecc_enabled")
    core, _ = _clock(launch, CORE_CLOCKS, "clock_rate")
    latency = round(card.dram.latency * core / card.clocks.core_mhz)
    source = f"{card.dram.latency} cycles at {card.clocks.core_mhz:g} MHz of {card.name}, the same time at this clock"
    yield Setting("dram.latency", latency, source)


def _clock(launch: ReportedLaunch, measured: tuple[str, ...], attribute: str) -> tuple[float, str]:
    """A clock in MHz and its source: measured while the kernel ran, else the device's highest."""
    highest = float(launch.attribute(attribute)) / KHZ_PER_MHZ, f"device: {attribute}"
    return _measured_clock(launch, measured) or highest


def _measured_clock(launch: ReportedLaunch, names: tuple[str, ...]) -> tuple[float, str] | None:
    value = launch.number(*names)
    if value is None:
        return None
    return round(value / HZ_PER_MHZ, 1), f"run: {next(name for name in names if name in launch.metrics)}"


def _current(card: GpuConfig, key: str) -> Any:
    value: Any = card
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
