"""gpusim: cycle-level simulation of the SMs of modern NVIDIA GPUs from real machine code, without a GPU.

    import gpusim

    card = gpusim.load_config("a6000", ["register_file.read_ports=2"])
    trace = gpusim.open_trace("ampere/sgemm")
    result = gpusim.simulate(trace, card)
    result.to_frame()

docs/python.md is the guide; gpusim.api holds the functions, which are imported when they are first named.
"""

from __future__ import annotations

TYPE_CHECKING = False  # checkers of types take it for true by its name; typing itself would be the slowest import here
if TYPE_CHECKING:
    from typing import Any

    from gpusim.api import (
        GpusimError,
        Result,
        compare,
        execute,
        list_configs,
        load_config,
        open_trace,
        simulate,
        sweep,
        trace,
    )

__version__ = "0.1.0"

__all__ = [
    "GpusimError",
    "Result",
    "compare",
    "execute",
    "list_configs",
    "load_config",
    "open_trace",
    "simulate",
    "sweep",
    "trace",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "trace":  # a package by that name, which is itself callable
        return import_module("gpusim.trace")
    if name in __all__:
        return getattr(import_module("gpusim.api"), name)
    from gpusim.errors import nearest

    raise AttributeError(f"module 'gpusim' has no attribute '{name}'{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
