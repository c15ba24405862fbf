"""A discontinuity prefetcher: the next lines, and where the last jumps out of a line have gone.

After Spracklen, Chou and Abraham, Effective instruction prefetching in chip multiprocessors for modern commercial
applications (HPCA 2005), with a table of three jumps per sub-core. `prefetcher_parameters: [n]` sets how many next
lines are asked for; 0 or nothing means 2.

    gpusim run --config a6000 ampere/bigcode --set fetch.prefetcher=./examples/policies/discontinuity.py
"""

from gpusim.model.policies.prefetcher import INTO_L0, NONE
from gpusim.model.rows import sub_core

FROM, TO, ENTRIES = 0, 3, 3  # words 0 to 2: lines left by jumps; 3 to 5: lines where these went
NEXT, BEHIND = 6, 7  # words: line to ask for next, and the line demanded last


def ahead(P):
    lines = P.card[0].sm.sub_core.fetch.prefetcher_parameters[0]
    return lines if lines > 0 else 2


def begin(S, P, sm, k, line):
    """A warp begins a line: remember how it came there, and ask for what follows."""
    words = sub_core(S, sm, k).prefetcher_words
    before = words[BEHIND]
    if line != before and line != before + 1:
        words[FROM + before % ENTRIES] = before
        words[TO + before % ENTRIES] = line
    words[BEHIND] = line
    words[NEXT] = line + 1


def begun(S, P, sm, k, line, now):
    begin(S, P, sm, k, line)


def missed(S, P, sm, k, line, now):
    begin(S, P, sm, k, line)


def wanted(S, P, sm, k):
    words = sub_core(S, sm, k).prefetcher_words
    line = words[BEHIND]
    behind = words[NEXT] - line  # 1 and on: a next line; one more than these: where the last jump went
    if words[NEXT] == 0 or behind > ahead(P) + 1:
        return NONE
    if behind <= ahead(P):
        return words[NEXT]
    known = words[FROM + line % ENTRIES] == line and words[TO + line % ENTRIES] > 0
    return words[TO + line % ENTRIES] if known else NONE


def go_on(S, sm, k):
    sub_core(S, sm, k).prefetcher_words[NEXT] += 1


def asked(S, P, sm, k, line, now):
    go_on(S, sm, k)
    return INTO_L0


def refused(S, P, sm, k, line, now):
    go_on(S, sm, k)
