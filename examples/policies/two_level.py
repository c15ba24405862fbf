"""A two-level scheduler: a few active warps take turns, the others wait until none of these can issue.

After Narasiman et al., Improving GPU performance via large warps and two-level warp scheduling (MICRO 2011): warps of
one group reach their long loads together, and another group has work meanwhile. `scheduler_parameters: [n]` sets the
size of the groups; 0 or nothing means 4.

    gpusim run --config a6000 ampere/sgemm --set issue.scheduler=./examples/policies/two_level.py \
        --set 'scheduler_parameters=[2]'
"""

from gpusim.model.rows import sub_core

GROUP = 0  # word: the group that takes turns
LOCAL_WARPS = 16


def first_of(ready, start, end, last):
    """The first ready warp of start .. end - 1 behind the one that issued last, cyclically; -1 if none."""
    size = end - start
    for step in range(1, size + 1):
        local = start + (last - start + step) % size
        if ready >> local & 1:
            return local
    return -1


def choose(S, P, sm, k, ready, now):
    core = sub_core(S, sm, k)
    size = P.card[0].sm.sub_core.issue.scheduler_parameters[0]
    size = size if size > 0 else 4
    groups = (LOCAL_WARPS + size - 1) // size
    for step in range(groups):
        group = (core.scheduler_words[GROUP] + step) % groups
        local = first_of(ready, group * size, min((group + 1) * size, LOCAL_WARPS), core.greedy)
        if local >= 0:
            core.scheduler_words[GROUP] = group
            return local
    return -1
