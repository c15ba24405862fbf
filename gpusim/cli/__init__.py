"""The `gpusim` command. Every command is a module with `add_parser` and a function that returns an exit code.

    main            the entry; imports nothing before it has to
    command         one command from arguments to exit code: errors, Ctrl-C, SIGTERM, closed pipes, faults of our own
    run, exec, sweep, trace, compare, validate, config, doctor, nvcc, warm, bench     the commands
    bench_worker, bench_peer    the fresh process of each figure of `bench`; another simulator's command beside ours
    progress        bars on terminals and lines in pipes, on standard error
    deliver, exits  what happens at the end: outputs written, reports printed, exit codes
    crash           what a fault of our own leaves for a report

Commands read arguments and print; what they do is in the packages below, so Python users have all of it too
(`gpusim.api`). Imports that cost (NumPy, pydantic, Numba) stand inside the functions: `gpusim --help` must be quick.
"""
