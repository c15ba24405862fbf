"""Instruction prefetchers: which lines a sub-core asks its SM's L1 for before a warp demands them. One file per
prefetcher:

    def wanted(S, P, sm, k): ...                   # the line that it would ask for next, NONE if none
    def asked(S, P, sm, k, line, now): ...         # that line has been asked for
    def refused(S, P, sm, k, line, now): ...       # it was not: it is there or on its way, or behind the program's end
    def begun(S, P, sm, k, line, now): ...         # a warp begins a line that L0 has or that is on its way there
    def missed(S, P, sm, k, line, now): ...        # a warp's demand for a line goes to L1

Once a cycle, when the fetch has been done, the line that is `wanted` is asked for, if the sub-core's way to L1 is free.
It comes into L0 when it arrives, unless the prefetcher keeps its lines in a buffer of its own. For that there are

    def look_up(S, P, sm, k, line, now): ...       # HIT, COMING or ABSENT: its buffer, for a line that L0 has not
    def arrived(S, P, sm, k, line, number, ready): ...  # what was asked for by `number` is there in cycle `ready`
    def due(S, P, sm, k): ...                      # cycle in which `deliver` has something, FOREVER if never
    def deliver(S, P, sm, k, now): ...             # a line that warps wait for moves into L0: which, NONE if none
    def at_launch(fetch, cores, lines): ...        # Python: how many of a launch's first lines the buffer holds

and `asked` returns a number from 0 by which it will know what arrives, or INTO_L0. Only `wanted` must be there.
The sub-core (`gpusim.model.rows.sub_core`) has `prefetcher_words`, eight integers for whatever a prefetcher remembers,
0 at first, besides the `stream_*` fields of a buffer in the order of lines; `P.card[0].sm.sub_core.fetch` has
`prefetch_degree` and, for numbers of a prefetcher's own, `prefetcher_parameters`. `wanted` and `due` may change
nothing: from them follows which cycles may be skipped. A line counts in units of L0's lines from the program's start.
"""

from __future__ import annotations

from gpusim.model.params import Params
from gpusim.model.policies.dispatch import hook
from gpusim.model.state import FOREVER, State
from gpusim.model.types import Cycle, Line, Sm, SubCore

NONE = -1
INTO_L0 = -1
"""What `asked` returns of a line for which a prefetcher has no buffer of its own."""
ABSENT, COMING, HIT = 0, 1, 2
"""What `look_up` finds: nothing, a line on its way (then `deliver` has to bring it), a line that has moved into L0."""
NUMBER = "P.derived[0].prefetcher"


def nothing(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    pass


def into_l0(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    return INTO_L0


def absent(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    return ABSENT


def never(S: State, P: Params, sm: Sm, k: SubCore) -> Cycle:
    return FOREVER


def no_line(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> Line:
    return NONE


def not_kept(S: State, P: Params, sm: Sm, k: SubCore, line: Line, number: int, ready: Cycle) -> None:
    pass


@hook("prefetcher", number=NUMBER)
def wanted(S: State, P: Params, sm: Sm, k: SubCore) -> Line:
    """The line that sub-core k of an SM would ask L1 for now, NONE if none. Changes nothing."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, default=into_l0)
def asked(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    """The wanted line has been asked for. Returns a number from 0 if it comes into the own buffer, or INTO_L0."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, results=0, default=nothing)
def refused(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    """The wanted line is in L0 or on its way there already, or behind the end of the program."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, results=0, default=nothing)
def begun(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    """A warp demands a line that L0 has or that is on its way there, and its last demand was of another."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, results=0, default=nothing)
def missed(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> None:
    """A warp demands a line that neither L0 nor the prefetcher has: it has been asked for."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, default=absent)
def look_up(S: State, P: Params, sm: Sm, k: SubCore, line: Line, now: Cycle) -> int:
    """A warp demands a line that L0 has not: HIT if it has moved there from the own buffer, COMING if it will, or
    ABSENT."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, results=0, default=not_kept)
def arrived(S: State, P: Params, sm: Sm, k: SubCore, line: Line, number: int, ready: Cycle) -> None:
    """The line that was asked for by `number`, for the own buffer, will be there in cycle `ready`."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, default=never)
def due(S: State, P: Params, sm: Sm, k: SubCore) -> Cycle:
    """First cycle in which `deliver` will have a line for a waiting warp, FOREVER if none is known. Changes nothing."""
    raise NotImplementedError


@hook("prefetcher", number=NUMBER, default=no_line)
def deliver(S: State, P: Params, sm: Sm, k: SubCore, now: Cycle) -> Line:
    """Move a line that warps wait for into L0; returns it, NONE if there is none yet."""
    raise NotImplementedError
