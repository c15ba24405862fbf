"""Tag arrays. Small caches scan their ways; large sectored ones find a line by hash and keep each set's ways in a list.

Both keep the ways of a set by age, as the cache's replacement policy decides who becomes the youngest; the policy also
has a word per set (`gpusim.model.policies.replacement`). `replacement`: the policy's number. A sectored cache is a
slice of a LINE array, its sets and a hash table: `lines[base:]`, `sets[set_base:]`, `heads[hash_base:]`. Entries are
named by their place in the array.
"""

from __future__ import annotations

import numpy as np

from gpusim.jit import inlined
from gpusim.model.params import Params
from gpusim.model.policies.replacement import filled, used, victim
from gpusim.model.types import Cycle, Flag, Line, Place, Records

NONE = -1
NO_WAY = -2
"""In place of an entry: the policy has chosen a way that the set does not have."""


# ---- small caches


@inlined
def find_tag(tags: Records, base: Place, ways: int, line: Line) -> Place:
    """Place of `line` in the set that starts at `base`, or -1."""
    for way in range(ways):
        if tags[base + way].line == line:
            return base + way
    return NONE


@inlined
def note_age(tags: Records, base: Place, place: Place, word: int, youngest: Flag, now: Cycle) -> None:
    """What a policy has decided: the set's word, and whether an entry becomes its youngest."""
    if word != tags[base].word:
        tags[base].word = word
    if youngest:
        tags[place].stamp = now


@inlined
def use_tag(P: Params, replacement: int, tags: Records, ways: int, place: Place, now: Cycle) -> None:
    """An access hits the entry at `place`."""
    base = tags[place].first
    word, youngest = used(P, replacement, tags[base].word, place - base, ways)
    note_age(tags, base, place, word, youngest, now)


@inlined
def fill_tag(P: Params, replacement: int, tags: Records, base: Place, ways: int, line: Line, now: Cycle) -> Place:
    """Put `line` into the set that starts at `base`, unless it is there; returns its place, or NO_WAY."""
    oldest, empty = base, NONE
    for way in range(ways):
        entry = tags[base + way]
        if entry.line == line:
            return base + way
        if entry.line < 0 and empty == NONE:
            empty = base + way
        if entry.stamp < tags[oldest].stamp:
            oldest = base + way
    place = empty
    if empty == NONE:
        way = victim(P, replacement, tags[base].word, oldest - base, ways, line)
        if way < 0 or way >= ways:
            return NO_WAY
        place = base + way
    tags[place].line = line
    word, youngest = filled(P, replacement, tags[base].word, place - base, ways)
    note_age(tags, base, place, word, youngest, now)
    return place


# ---- sectored caches


@inlined
def hash_of(line: Line, mask: int) -> int:
    """Bucket of a line: its bits folded, so that strides spread."""
    return (line ^ (line >> 11) ^ (line >> 22)) & mask


@inlined
def find_line(lines: Records, heads: np.ndarray, hash_base: int, mask: int, line: Line) -> Place:
    """Place of `line`, or -1."""
    place = heads[hash_base + hash_of(line, mask)]
    while place != NONE and lines[place].line != line:
        place = lines[place].hash_next
    return place


@inlined
def unlink(lines: Records, sets: Records, s: Place, place: Place) -> None:
    """Take an entry out of its set's list by age."""
    entry = lines[place]
    if entry.older != NONE:
        lines[entry.older].newer = entry.newer
    else:
        sets[s].oldest = entry.newer
    if entry.newer != NONE:
        lines[entry.newer].older = entry.older
    else:
        sets[s].newest = entry.older


@inlined
def append(lines: Records, sets: Records, s: Place, place: Place) -> None:
    """Put an entry behind its set's youngest."""
    entry = lines[place]
    entry.newer = NONE
    entry.older = sets[s].newest
    if entry.older != NONE:
        lines[entry.older].newer = place
    else:
        sets[s].oldest = place
    sets[s].newest = place


@inlined
def set_age(lines: Records, sets: Records, s: Place, place: Place, word: int, youngest: Flag) -> None:
    """What a policy has decided: the set's word, and whether an entry becomes its youngest."""
    if word != sets[s].word:
        sets[s].word = word
    if youngest and sets[s].newest != place:
        unlink(lines, sets, s, place)
        append(lines, sets, s, place)


@inlined
def use_line(P: Params, replacement: int, lines: Records, sets: Records, s: Place, ways: int, place: Place) -> None:
    """An access hits an entry of set s."""
    word, youngest = used(P, replacement, sets[s].word, place - s * ways, ways)
    set_age(lines, sets, s, place, word, youngest)


@inlined
def forget(lines: Records, heads: np.ndarray, hash_base: int, mask: int, place: Place) -> None:
    """Take an entry out of the hash table."""
    bucket = hash_base + hash_of(lines[place].line, mask)
    at = heads[bucket]
    if at == place:
        heads[bucket] = lines[place].hash_next
        return
    while lines[at].hash_next != place:
        at = lines[at].hash_next
    lines[at].hash_next = lines[place].hash_next


@inlined
def oldest_idle(lines: Records, sets: Records, s: Place) -> Place:
    """The oldest entry of a set that awaits nothing, or -1."""
    place = sets[s].oldest
    while place != NONE and lines[place].pending:
        place = lines[place].newer
    return place


@inlined
def place_for(P: Params, replacement: int, lines: Records, sets: Records, s: Place, ways: int, line: Line) -> Place:
    """Entry of set s for a line that is not there: an empty one, else the policy's choice; -1 if all await data.

    Changes nothing. NO_WAY if the policy's choice is no way of the set.
    """
    if sets[s].filled < ways:
        return s * ways + sets[s].filled
    oldest = oldest_idle(lines, sets, s)
    if oldest == NONE:
        return NONE
    way = victim(P, replacement, sets[s].word, oldest - s * ways, ways, line)
    if way < 0 or way >= ways:
        return NO_WAY
    while lines[s * ways + way].pending:
        way = way + 1 if way + 1 < ways else 0
    return s * ways + way


@inlined
def replace_line(
    P: Params,
    replacement: int,
    lines: Records,
    sets: Records,
    s: Place,
    ways: int,
    heads: np.ndarray,
    hash_base: int,
    mask: int,
    place: Place,
    line: Line,
) -> None:
    """Give the entry that `place_for` named to a line, of which nothing is valid."""
    if lines[place].line >= 0:
        forget(lines, heads, hash_base, mask, place)
    else:
        sets[s].filled += 1
    entry = lines[place]
    entry.line = line
    entry.valid = 0
    bucket = hash_base + hash_of(line, mask)
    entry.hash_next = heads[bucket]
    heads[bucket] = place
    word, youngest = filled(P, replacement, sets[s].word, place - s * ways, ways)
    set_age(lines, sets, s, place, word, youngest)
