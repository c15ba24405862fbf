"""Whole CUDA programs: the host code runs as it is, its kernels on the functional machine.

    library      the runtime library of `runtime/`, built with the host's compiler and kept in the cache folder
    refusal      programs that the library cannot reach, told before they start
    building     CUDA sources that are built first
    properties   what a program is told of the card: attributes by number, name, memory
    memory       device memory that this process and the program share, and who has which part of it
    modules      machine code that a program brings: its kernels, variables and constants
    launches     one launch: executed, traced, simulated
    protocol     requests of the runtime library and their replies, as bytes
    client       what one process of the program asks for
    session      the program from its start to its end
    running      all of it as one call

`gpusim.cli.exec` is the command over it, `gpusim.api.execute` the function. The other side of the protocol is C:
`runtime/README.md`.
"""
