"""Around the compiled model: one launch from its Trace and its card to a KernelResult. None of it is compiled.

    simulate     the entry: launches one after another, each a KernelRun: prepare, run windows, read the result
    code         the Program's instructions as CODE records of a card; dependence: what scoreboards need besides
    card         the configuration as records, and what follows from it for a launch
    footprint    refuses what would not fit into memory; build: the State as it is in cycle 0
    streams      the warps' streams, loaded chunk by chunk and piece by piece while dispatch goes on
    loading      a chunk or a piece as the State holds it; reading_ahead: before it is asked for
    sampling     waves of a long launch stand for all of it; launch_groups: launches that are alike for each other
    deadlock     the report of the watchdog

In that order.
"""
