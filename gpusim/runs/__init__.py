"""Work that outlives a process, or is shared by several.

    fingerprint   what a result depends on: trace, configuration, sources of the model
    checkpoint    a run's result file while it runs: finished kernels survive, a later run goes on
    sweep         configurations times traces, each recorded when it ends
    journal       the file that a sweep goes on from
    workers       processes that may die without taking anything else along

`gpusim.cli.run` and `gpusim.cli.sweep` are the commands over it, `gpusim.api.sweep` the function.
"""
