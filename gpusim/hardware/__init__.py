"""Real cards beside the model.

    card      the card that an Nsight Compute report describes, as a configuration
    counts    how often the profiled kernel executed each instruction, against the functional run
    compare   profiled or measured launches, traced, simulated, side by side
    programs  profiles whose launches are taken from the program that was profiled
    pipes     executed warp instructions by pipe: a report's counters beside those that the opcode tables give
    per_pc    where warps stood, instruction by instruction: a profile's samples against the model's warp-cycles

Reports are read by `gpusim.sass.reports`, for they are one more place in which machine code comes.
"""
