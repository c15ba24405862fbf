"""What device code asks of the CUDA runtime: printf, malloc, free, new, assert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpusim.cli.main import main
from gpusim.emulator.conditions import Conditions
from gpusim.emulator.heap import HEAP_BYTES, DeviceHeap
from gpusim.emulator.printf import Arguments, formatted
from gpusim.emulator.tracing import TraceSummary, run_in_memory
from gpusim.errors import CudaError, LaunchFault
from gpusim.sass.relocations import NOWHERE, RUNTIME_FUNCTIONS, runtime_address

ARCHITECTURES = [75, 80, 86, 90]


def files(folder: Path, code: str, dtype: str = "int32", block: int = 32, count: int = 64) -> tuple[Path, Path]:
    """A kernel file, and a launch file that gives it one buffer, x."""
    source, launch = folder / "calls.cu", folder / "calls.yaml"
    source.write_text(code)
    launch.write_text(
        f"buffers:\n  x: {{dtype: {dtype}, shape: [{count}], fill: arange}}\n"
        f"launches:\n  - {{grid: [1], block: [{block}], arguments: [{{buffer: x}}]}}\n"
    )
    return source, launch


def run(
    folder: Path, code: str, architecture: int = 86, block: int = 32, count: int = 64
) -> tuple[str, TraceSummary, int]:
    """Runs a kernel of one int buffer x; returns what it prints, its summary, and its warp instructions."""
    printed: list[str] = []
    pair = files(folder, code, block=block, count=count)
    trace, summary = run_in_memory(*pair, architecture, conditions=Conditions(write=printed.append))
    return "".join(printed), summary, trace.launches[0].warp_instructions


def put_together(text: str, *values: int | float | str) -> str:
    """printf of values as they would be handed over; strings lie at addresses of their own."""
    data, strings = bytearray(), {}
    for value in values:
        if isinstance(value, str):
            strings[0x1000 * (len(strings) + 1)] = value.encode()
            value = 0x1000 * len(strings)
            piece = value.to_bytes(8, "little")
        elif isinstance(value, float):
            piece = np.float64(value).tobytes()
        else:
            wide = not -(1 << 31) <= value < 1 << 32
            piece = (value & ((1 << 64 if wide else 1 << 32) - 1)).to_bytes(8 if wide else 4, "little")
        data += bytes(-len(data) % len(piece)) + piece
    read = bytes(data)
    return formatted(text.encode(), Arguments(lambda at, size: read[at : at + size]), strings.__getitem__).decode()


# Texts as glibc's printf gives them.
@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("%d|%5d|%-5d|%05d|%+d|% d", (-7, 42, 42, -42, 3, 3), "-7|   42|42   |-0042|+3| 3"),
        ("%u %x %X %#x %#o %o", (0xFFFFFFFF, 255, 255, 255, 8, 8), "4294967295 ff FF 0xff 010 10"),
        ("%lld %llu %lx", (-(1 << 40), 1 << 63, 1 << 36), "-1099511627776 9223372036854775808 1000000000"),
        ("%d %lld", (1, 1 << 40), "1 1099511627776"),
        ("%hhd %hu", (0x1FF, 0x12345), "-1 9029"),
        ("%.3d %8.3d %08.3d %.0d|", (5, 5, 5, 0), "005      005      005 |"),
        ("%#x %#X", (0, 0), "0 0"),
        ("%f %.2f %8.3f %-8.1f| %08.2f %+.1f", (1.5, 2.345, -1.0, 2.0, -1.5, 2.0), "1.500000 2.35   -1.000 2.0     | -0001.50 +2.0"),
        ("%e %.1E %g %g %G %#g", (12345.678, 0.00012, 1e-5, 100000.0, 1e20, 1.0), "1.234568e+04 1.2E-04 1e-05 100000 1E+20 1.00000"),
        ("%f %5.1f %05f %F", (float("inf"), float("nan"), float("-inf"), float("inf")), "inf   nan  -inf INF"),
        ("%a %.1a %.1a %A %a", (1.5, 1.96875, 1.90625, 0.5, 0.0), "0x1.8p+0 0x2.0p+0 0x1.ep+0 0X1P-1 0x0p+0"),
        ("%s|%5s|%-5s|%.2s", ("abc", "ab", "ab", "abcdef"), "abc|   ab|ab   |ab"),
        ("%c%3c%-3c|", (65, 66, 67), "A  BC  |"),
        ("%*d|%-*d|%.*f", (5, 1, 3, 2, 1, 2.25), "    1|2  |2.2"),
        ("100%% %", (), "100% %"),
        ("%y %d", (1,), "%y 1"),
    ],
)  # fmt: skip
def test_text_is_what_c_prints(text: str, values: tuple[int | float | str, ...], expected: str) -> None:
    assert put_together(text, *values) == expected


def test_pointers_and_strings_may_be_null() -> None:
    zeros = Arguments(lambda at, size: bytes(size))
    assert formatted(b"%p %s", zeros, lambda address: b"") == b"(nil) (null)"
    assert zeros.taken == 2
    given = Arguments(lambda at, size: (0x7F0000001000).to_bytes(size, "little"))
    assert formatted(b"%16p", given, lambda address: b"") == b"  0x7f0000001000"


def test_a_width_from_a_kernel_takes_no_more_than_it_may() -> None:
    assert len(put_together("%2000000000d", 1)) == 1 << 16


def test_the_heap_is_used_again() -> None:
    heap = DeviceHeap(0x1000, 256)
    first, second, third = (heap.allocate(size) for size in (1, 100, 112))
    assert [first, second, third] == [0x1000, 0x1010, 0x1080]
    assert [heap.allocate(17), heap.allocate(16)] == [0, 0x10F0]
    assert [heap.release(second), heap.release(first)] == [True, True]
    assert not heap.release(first)
    assert heap.allocate(128) == first


def test_the_heap_keeps_what_lies_before_an_aligned_part() -> None:
    heap = DeviceHeap(0x1010, 256)
    assert [heap.allocate(16, 64), heap.allocate(48), heap.allocate(16)] == [0x1040, 0x1010, 0x1050]
    assert heap.allocate(16, 4096) == 0


def test_functions_have_addresses_of_their_own() -> None:
    addresses = [runtime_address(name) for name in (*RUNTIME_FUNCTIONS, "cudaDeviceSynchronize")]
    assert addresses == [NOWHERE - 16 * k for k in (1, 2, 3, 4, 5, 0)]


PRINTS = """
extern "C" __global__ void prints(int* x) {
    int i = threadIdx.x;
    const char* kinds[2] = {"even", "odd"};
    if (i < 3) printf("x[%d] = %d, %.2f, %s, %lld\\n", i, x[i], x[i] * 0.5f, kinds[i & 1], (long long)x[i] << 40);
    if (i == 40) printf("second warp\\n");
    x[i] = printf("%s%c", "", i < 2 ? 'a' + i : ' ');
}
"""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_printf_prints_lane_by_lane(tmp_path: Path, architecture: int) -> None:
    printed, summary, _ = run(tmp_path, PRINTS, architecture, block=64)
    expected = "".join(f"x[{i}] = {i}, {i / 2:.2f}, {('even', 'odd')[i & 1]}, {i << 40}\n" for i in range(3))
    assert printed == expected + "ab" + 30 * " " + "second warp\n" + 32 * " "
    assert summary.buffers["x"].tolist() == [2] * 64


def test_calls_go_through_pointers_and_end_where_they_began(tmp_path: Path) -> None:
    code = """
    __device__ __noinline__ void speak(int i) { printf("<%d>", i); }
    __device__ __noinline__ void count(int i) { }
    extern "C" __global__ void loops(int* x) {
        void (*choose[2])(int) = {count, speak};
        for (int k = 0; k < 3; k++) { choose[threadIdx.x == k](k); x[threadIdx.x] += 1; }
    }
    """
    printed, summary, _ = run(tmp_path, code)
    assert printed == "<0><1><2>"
    assert summary.buffers["x"][:32].tolist() == [i + 3 for i in range(32)]


HEAP = """
struct Node { int value; Node* next; };
extern "C" __global__ void builds(int* x) {
    Node* head = nullptr;
    for (int k = 0; k < 4; k++) { Node* node = new Node; node->value = x[threadIdx.x] + k; node->next = head; head = node; }
    int sum = 0;
    while (head) { Node* next = head->next; sum += head->value; delete head; head = next; }
    char* large = (char*)malloc(3 << 20);
    x[threadIdx.x] = sum;
    x[threadIdx.x + 32] = large != nullptr;
    __syncwarp();
    free(large);
}
"""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_device_code_allocates_and_frees(tmp_path: Path, architecture: int) -> None:
    _, summary, _ = run(tmp_path, HEAP, architecture)
    x = summary.buffers["x"]
    assert x[:32].tolist() == [4 * i + 6 for i in range(32)]
    assert int(x[32:].sum()) == HEAP_BYTES // (3 << 20)


def test_types_keep_their_alignment_on_the_heap(tmp_path: Path) -> None:
    code = """
    struct alignas(64) Wide { int value[20]; };
    extern "C" __global__ void wide(int* x) {
        Wide* one = new Wide;
        one->value[19] = threadIdx.x;
        x[threadIdx.x] = (unsigned long long)one % 64 + one->value[19];
        delete one;
    }
    """
    _, summary, _ = run(tmp_path, code)
    assert summary.buffers["x"][:32].tolist() == list(range(32))


def test_what_is_freed_twice_is_named(tmp_path: Path) -> None:
    code = 'extern "C" __global__ void twice(int* x) { int* p = new int; *p = x[0]; delete p; delete p; }'
    with pytest.raises(LaunchFault, match=r"twice, pc .*CALL.*lane 0: frees address .* free already") as error:
        run(tmp_path, code)
    assert error.value.cuda_error == CudaError.ILLEGAL_ADDRESS


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_failed_assertion_says_what_cuda_says(tmp_path: Path, architecture: int) -> None:
    code = 'extern "C" __global__ void checks(int* x) { assert(x[threadIdx.x] != 35); x[threadIdx.x] = 5; }'
    with pytest.raises(LaunchFault) as error:
        run(tmp_path, code, architecture, block=64)
    assert error.value.cuda_error == CudaError.ASSERT
    name, line = str(error.value).splitlines()
    assert "checks" in name
    assert line.endswith(
        "calls.cu:1: void checks(int *): block: [0,0,0], thread: [35,0,0] Assertion `x[threadIdx.x] != 35` failed."
    )


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("__trap();", CudaError.LAUNCH_FAILURE),
        ("x[1 << 20] = 1;", CudaError.ILLEGAL_ADDRESS),
        ("*(int*)((char*)x + 1) = 1;", CudaError.MISALIGNED_ADDRESS),
        ('printf("%s", (char*)16);', CudaError.ILLEGAL_ADDRESS),
    ],
)
def test_faults_know_what_cuda_calls_them(tmp_path: Path, code: str, number: CudaError) -> None:
    with pytest.raises(LaunchFault) as error:
        run(tmp_path, f'extern "C" __global__ void fails(int* x) {{ {code} }}')
    assert error.value.cuda_error == number


def test_the_trace_holds_the_call_alone(tmp_path: Path) -> None:
    silent = 'extern "C" __global__ void f(int* x) { x[threadIdx.x] = 1; }'
    speaks = 'extern "C" __global__ void f(int* x) { printf("plain"); x[threadIdx.x] = 1; }'
    printed, _, few = run(tmp_path, silent)
    assert printed == ""
    printed, _, more = run(tmp_path, speaks)
    assert printed == 32 * "plain"
    assert few < more < few + 20


def test_commands_print_what_kernels_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, launch = files(tmp_path, 'extern "C" __global__ void f(int* x) { if (threadIdx.x == 3) printf("hi\\n"); }')
    assert main(["trace", str(source), "--launch", str(launch), "-o", str(tmp_path / "t")]) == 0
    assert capsys.readouterr().out.startswith("hi\n")
