"""The timing model: compiled stages over one State, a file per stage of the hardware (docs/timing-model.md).

    gpu             CTA dispatch, and windows in which SMs run apart from each other
    threads         threads share the steps of a window
    sm              the order of the stages in a cycle; which cycles need none; the rules for authors of a stage
    fetch, l0_instructions, l1_instructions                instructions come
    issue, scoreboard, fl_constants, control               one of them leaves for the pipeline
    allocate, operands, execute, tensor, events            it reads, executes, writes
    address_unit, memory_unit, adu, coalesce, l1_data, held_stores, copies      the memory pipeline of an SM
    interconnect, l2, dram, ecc, memory_system             what SMs share
    barriers, stalls                                       who waits, and why
    unpacking       a piece of a warp's stream, from how it is stored to how the State has it
    state, params, types, rows, counters, kinds, cache, ticks, in_flight, hashing     what the stages share
    policies/       schedulers, prefetchers, replacement: one file each, users' own as well
    setup/          Python around it: `setup.simulate.simulate` is the entry

Everything here but `policies.loading` and setup/ is compiled, and runs uncompiled too (NUMBA_DISABLE_JIT=1).
docs/extending.md is the guide.
"""
