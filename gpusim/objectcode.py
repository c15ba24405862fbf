"""Object code of entries: loaded without Numba, called without Python's lock.

What an entry is to C, by Numba's convention for compiled functions: `int32 f(void *result, void **fault, void *words)`.
`words` is the table of `gpusim.jit.Arguments`. 0 is success. Of a fault the second argument gets a description, whose
first members are the address and size of a pickle of the exception's class, its arguments and where it was raised.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
CPU_NAME, CPU_FEATURES = "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"
"""Environment variables of Numba: the processor for which code is made, by default this machine's."""

SHIPPED_PROCESSOR = ("x86-64-v3", "")
"""Name and features of the processors for which a wheel brings code."""
SHIPPED_FEATURES = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
"""What they have beyond the oldest of their kind (psABI of x86-64), by LLVM's names."""

OBJECT_FILES = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\x64\x86", b"\x64\xaa")
"""What ELF, Mach-O and COFF files of 64-bit machines begin with: LLVM does not survive everything else."""


@dataclass(frozen=True)
class Code:
    """An object file, and the name of its entry."""

    symbol: str
    body: bytes

    def to_bytes(self) -> bytes:
        return json.dumps({"symbol": self.symbol}).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Code:
        """Raises ValueError for anything else."""
        head, _, body = data.partition(b"\n")
        known = json.loads(head)
        symbol = known.get("symbol") if isinstance(known, dict) else None
        if not isinstance(symbol, str) or not body.startswith(OBJECT_FILES):
            raise ValueError("is no object code")
        return cls(symbol, body)


class _Fault(ctypes.Structure):
    _fields_ = (("pickle", ctypes.c_void_p), ("size", ctypes.c_int32))


@cache
def _binding() -> Any:
    from llvmlite import binding

    with suppress(RuntimeError):  # of newer versions, which do without
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


@cache
def processor() -> tuple[str, str]:
    """Name and features of the processor for which code is made here."""
    name = os.environ.get(CPU_NAME) or _binding().get_host_cpu_name()
    features = os.environ.get(CPU_FEATURES)
    return name, _binding().get_host_cpu_features().flatten() if features is None else features


@cache
def runs_shipped() -> bool:
    """Whether this machine runs the code that a wheel brings, which is of ELF."""
    features = _binding().get_host_cpu_features()
    machine = _binding().get_process_triple()
    return machine.startswith("x86_64") and "linux" in machine and all(map(features.get, SHIPPED_FEATURES))


class Loaded:
    """An entry that can be called. Its memory is never given back."""

    def __init__(self, code: Code) -> None:
        """Raises RuntimeError or ValueError for what is no object code, or not for this kind of machine."""
        binding = _binding()
        target = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(jit=True)
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target)
        self._engine.add_object_file(binding.ObjectFileRef.from_data(code.body))
        self._engine.finalize_object()
        address = self._engine.get_function_address(code.symbol)
        if not address:
            raise ValueError(f"has no function {code.symbol}")
        self._call = PROTOTYPE(address)

    def call(self, words: Sequence[int]) -> int:
        """The entry's result. Raises what it raises."""
        result, fault = ctypes.c_int64(), ctypes.POINTER(_Fault)()
        table = (ctypes.c_int64 * len(words))(*words)
        if self._call(ctypes.byref(result), ctypes.byref(fault), table):
            kind, arguments, _ = pickle.loads(ctypes.string_at(fault.contents.pickle, fault.contents.size))
            raise kind(*arguments)
        return result.value
