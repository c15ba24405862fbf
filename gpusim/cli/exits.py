"""Exit codes that every command shares; 0 is a command that did what it was asked for."""

EXIT_CHECK_FAILED = 1
"""A comparison, a check or a search for hazards that ran to its end and found something."""
EXIT_BAD_INPUT = 2
"""Something to mend outside gpusim (input, option, disk), or a simulated deadlock."""
EXIT_INTERNAL = 3
"""A fault of gpusim itself."""
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
EXIT_TERMINATED = 143
"""128 + SIGTERM."""
