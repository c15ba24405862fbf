"""Which machine code runs on which card: binary compatibility (CUDA C++ Programming Guide, section of that name).

Code of compute capability X.y runs on devices of X.z with z >= y, and on no other. A card whose own machine code cannot
be read here (Blackwell) takes that of the opcode table that stands in for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpusim.errors import GpusimError
from gpusim.sass.isa import SUPPORTED_ARCHITECTURES

if TYPE_CHECKING:
    from gpusim.config.models import GpuConfig
    from gpusim.trace.trace import Trace


def code_for(config: GpuConfig) -> int:
    """Architecture to compile for a card."""
    return config.architecture if config.architecture in SUPPORTED_ARCHITECTURES else int(config.isa[3:])


def runs_on(architecture: int, config: GpuConfig) -> bool:
    """Whether machine code of an architecture runs on a card."""
    major, minor = divmod(code_for(config), 10)
    return architecture // 10 == major and architecture % 10 <= minor


def foreign_code(trace: Trace, config: GpuConfig) -> str:
    """What of a trace's machine code does not run on a card, in words; empty if all of it does."""
    kernels = {launch.program.architecture: launch.program.name for launch in trace.launches}
    foreign = sorted(architecture for architecture in kernels if not runs_on(architecture, config))
    if not foreign:
        return ""
    code = ", ".join(f"sm_{architecture}" for architecture in foreign)
    return f"machine code of {code} (kernel {kernels[foreign[0]]}) on {config.name}, which runs sm_{code_for(config)}"


def check_compatible(trace: Trace, config: GpuConfig, any_architecture: bool) -> str:
    """`foreign_code`, where that is allowed. Raises GpusimError where it is not."""
    foreign = foreign_code(trace, config)
    if foreign and not any_architecture:
        raise GpusimError(
            f"{foreign}: no such card would run it; trace the kernel for it (--arch sm_{code_for(config)}), choose a "
            "card of the code's architecture (`gpusim config list`), or simulate it all the same with --any-arch"
        )
    return foreign
