"""The functional machine: SASS and a launch in, what every warp did and the final buffers out. It knows no cycle.

    launch, sources, buffers    the launch file, the kernel file, and memory with the buffers in it
    binding, opcodes*, decode   each instruction of the Program bound to an operation of compiled code, or refused
    machine, state              one launch as arrays: registers, predicates, shared and local memory, logs
    interpreter                 the compiled loop: CTAs, warps, groups of lanes; it calls the operations in
                                control, integer, float32, float64, half, convert, special, tensor,
                                memory, atomics, texture, warpwide
    device_calls, printf, heap  functions of the CUDA runtime that device code calls: printf, malloc, free, assert
    bits, rows, types           numbers as 32-bit words, operands as rows of 32 lanes, what numbers in signatures mean
    turns                       CTAs that wait for each other, one after another
    livelock                    CTAs that would never end
    trace_log, tracing          what was executed as chunks of a Trace; the entries: `trace_kernel`, `trace_in_memory`
    conditions                  what holds for all launches of a file: limits, where printed text goes
    check                       buffers against what a launch file expects

In that order. docs/emulator.md says in which order instructions of many warps and lanes happen.
"""
