"""What each opcode's text means: one small handler per opcode, in the table HANDLERS.

A handler takes the modifiers and operands that it understands (see binding.Instruction) and names the operation of
compiled code that does the work. To add an opcode, add a handler and a row, and an operation where none fits.
"""

from __future__ import annotations

from gpusim.emulator.binding import Handler
from gpusim.emulator.opcodes_control import CONTROL_HANDLERS
from gpusim.emulator.opcodes_float import FLOAT_HANDLERS
from gpusim.emulator.opcodes_integer import INTEGER_HANDLERS
from gpusim.emulator.opcodes_memory import MEMORY_HANDLERS
from gpusim.emulator.opcodes_tensor import TENSOR_HANDLERS
from gpusim.emulator.opcodes_texture import TEXTURE_HANDLERS

HANDLERS: dict[str, Handler] = {
    **INTEGER_HANDLERS,
    **FLOAT_HANDLERS,
    **CONTROL_HANDLERS,
    **MEMORY_HANDLERS,
    **TENSOR_HANDLERS,
    **TEXTURE_HANDLERS,
}
