"""Next line: whenever a warp begins a line, the `fetch.prefetch_degree` lines behind it are asked for, into L0
(A. J. Smith, Cache memories, ACM Computing Surveys 1982, prefetch on every reference)."""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.prefetcher import INTO_L0, NONE
from gpusim.model.rows import sub_core
from gpusim.model.state import State
from gpusim.model.types import Cycle, Line, Sm, SubCore

NEXT, LAST = 0, 1
"""Words: next line to ask for, and the line before which to stop."""


def begin(S: State, P: Params, sm: Sm, k: SubCore, line: Line) -> None:
    """Ask for the lines behind `line`; those that are asked for already stay so."""
    words = sub_core(S, sm, k).prefetcher_words
    words[NEXT] = line + 1
    words[LAST] = line + 1 + P.card[0].sm.sub_core.fetch.prefetch_degree


def go_on(S: State, sm: Sm, k: SubCore) -> None:
    sub_core(S, sm, k).prefetcher_words[NEXT] += 1


def begun(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    begin(S, P, sm, k, line)


def missed(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    begin(S, P, sm, k, line)


def wanted(S: State, P: Params, sm: Sm, k: SubCore) -> Line:
    words = sub_core(S, sm, k).prefetcher_words
    return words[NEXT] if words[NEXT] < words[LAST] else NONE


def asked(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    go_on(S, sm, k)
    return INTO_L0


def refused(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    go_on(S, sm, k)
