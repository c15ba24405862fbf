"""No cycle of a bundled trace on any card changes unnoticed."""

from __future__ import annotations

import pytest
from cycle_table import Row, cards, simulated, stored, traces

SMALL = ("histogram", "transpose", "pointer_chase", "saxpy")
"""Traces that every run of the tests simulates on every card; the slow tests take the others too."""
REMEDY = "if that is meant, add a line to CHANGELOG.md and renew the table: python tests/support/cycle_table.py"


def differences(found: list[Row], known: list[Row]) -> list[str]:
    """What the table says otherwise, a line each."""
    table = {row[:4]: row.cycles for row in known}
    return [
        f"{row.trace} launch {row.launch} ({row.kernel}) on {row.card}: {row.cycles:,} cycles, the table has "
        f"{table.get(row[:4], 'no such row')}; {REMEDY}"
        for row in found
        if table.get(row[:4]) != row.cycles
    ]


def check(trace: str) -> None:
    found = [row for card in cards(trace) for row in simulated(trace, card)]
    assert not (changed := differences(found, stored())), "\n".join(changed)


def small(trace: str) -> bool:
    return trace.split("/")[1] in SMALL


@pytest.mark.parametrize("trace", [name for name in traces() if small(name)])
def test_cycles_of_small_traces_on_every_card(trace: str) -> None:
    check(trace)


@pytest.mark.slow
@pytest.mark.parametrize("trace", [name for name in traces() if not small(name)])
def test_cycles_of_all_other_traces_on_every_card(trace: str) -> None:
    check(trace)


def test_the_table_has_every_trace_and_card_once() -> None:
    rows = stored()
    pairs = [(trace, card) for trace in traces() for card in cards(trace)]
    assert {(row.trace, row.card) for row in rows} == set(pairs)
    assert len({row[:4] for row in rows}) == len(rows)


def test_a_drift_is_told_with_the_remedy() -> None:
    row = stored()[0]
    (told,) = differences([row._replace(cycles=row.cycles + 1)], stored())
    assert f"{row.cycles + 1:,} cycles, the table has {row.cycles}; {REMEDY}" in told
    assert "no such row" in differences([row._replace(card="other")], stored())[0]
