"""gpusim: cycle-level simulation of the SMs of modern NVIDIA GPUs from real machine code, without a GPU."""

__version__ = "0.1.0"
