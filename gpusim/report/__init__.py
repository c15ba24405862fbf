"""What people read: results, comparisons and traces as text for terminals of any width, Markdown, CSV and JSON.

    text      the report of a run: kernels, where the cycles went, the hottest instructions
    compare   measured beside simulated; per_pc: instruction by instruction; pipes: pipe by pipe
    counts    executed counts beside those of a profile
    trace     what a trace holds
    layout    tables that become blocks where they do not fit; plain: ASCII where there is no UTF-8

Everything takes results and prints; nothing here computes a number that a Result does not have.
"""
