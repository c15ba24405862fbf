"""Machine code in whatever a user has -> Program: the static instructions of a kernel as two plain tables.

    assembler                         .sass text, written by hand
    compilers, nvrtc, nvcc            .cu source -> cubin, through NVIDIA's library or its compiler
    fatbin, reports                   executables, fat binaries and Nsight Compute reports -> the cubins in them
    elf, cubin, relocations           a cubin's sections, kernels, constants and variables
    disassembly, decoder              nvdisasm's text with the 128-bit encodings beside it
    instructions, operands, control_bits    one line, one operand, one control field
    isa, isa_file                     the opcode tables, isa/*.yaml
    builder, program                  the tables, and Program around them: the first of the project's nouns
    toolchain                         where NVIDIA's tools lie

In that order from file to Program.
"""
