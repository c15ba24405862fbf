"""Tag arrays. Small caches scan their ways; large sectored ones find a line by hash and keep LRU as a list.

A sectored cache is a slice of a LINE array, its sets' list ends and a hash table: `lines[base:]`, `sets[set_base:]`,
`heads[hash_base:]`. Entries are named by their place in `lines`.
"""

from __future__ import annotations

from gpusim.jit import inlined

NONE = -1


@inlined
def find_tag(tags, base, ways, line):
    """Place of `line` in the set that starts at `base`, or -1."""
    for way in range(ways):
        if tags[base + way].line == line:
            return base + way
    return NONE


@inlined
def fill_tag(tags, base, ways, line, now):
    """Put `line` in place of the set's least recently used entry (an empty one first); return its place."""
    oldest = base
    for way in range(ways):
        if tags[base + way].line == line:
            return base + way
        if tags[base + way].stamp < tags[oldest].stamp:
            oldest = base + way
    tags[oldest].line = line
    tags[oldest].stamp = now
    return oldest


@inlined
def hash_of(line, mask):
    """Bucket of a line: its bits folded, so that strides spread."""
    return (line ^ (line >> 11) ^ (line >> 22)) & mask


@inlined
def find_line(lines, heads, hash_base, mask, line):
    """Place of `line`, or -1."""
    place = heads[hash_base + hash_of(line, mask)]
    while place != NONE and lines[place].line != line:
        place = lines[place].hash_next
    return place


@inlined
def unlink(lines, sets, s, place):
    """Take an entry out of its set's LRU list."""
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
def append(lines, sets, s, place):
    """Make an entry its set's most recently used."""
    entry = lines[place]
    entry.newer = NONE
    entry.older = sets[s].newest
    if entry.older != NONE:
        lines[entry.older].newer = place
    else:
        sets[s].oldest = place
    sets[s].newest = place


@inlined
def touch(lines, sets, s, place):
    if sets[s].newest != place:
        unlink(lines, sets, s, place)
        append(lines, sets, s, place)


@inlined
def forget(lines, heads, hash_base, mask, place):
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
def oldest_idle(lines, sets, s):
    """The set's least recently used entry that awaits nothing, or -1."""
    place = sets[s].oldest
    while place != NONE and lines[place].pending:
        place = lines[place].newer
    return place


@inlined
def replace_line(lines, sets, s, heads, hash_base, mask, place, line):
    """Give an entry to another line, of which nothing is valid; it becomes its set's most recently used."""
    if lines[place].line >= 0:
        forget(lines, heads, hash_base, mask, place)
    entry = lines[place]
    entry.line = line
    entry.valid = 0
    bucket = hash_base + hash_of(line, mask)
    entry.hash_next = heads[bucket]
    heads[bucket] = place
    touch(lines, sets, s, place)
