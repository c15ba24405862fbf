"""What a simulation measured, and how it is kept: plain, immutable, light to import.

    result      Result and KernelResult: cycles, counters, tables per instruction; the fourth of the project's nouns
    stalls, counters, columns   stall reasons, counters, columns of frames: names, units, and what Nsight Compute says
    timeline    the cycle of each stage of each instruction; hazards: what the hazard checker finds
    sampled     the mark of what was estimated from a part
    frames      pandas frames
    saved       what a file of a Result must hold; files: outputs that are whole or not there

`stalls` is read by compiled code, so it imports nothing.
"""
