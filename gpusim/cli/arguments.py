"""Arguments that several commands take."""

from __future__ import annotations

import argparse

SAMPLE_PERCENT = 5.0
"""Error estimate at which sampling stops, unless another is asked for."""


def positive(text: str) -> int:
    """A whole number, at least 1."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def percentage(text: str) -> float:
    """A number above 0, at most 100."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a number") from None
    if not 0 < number <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 100")
    return number


def add_sample(parser: argparse.ArgumentParser) -> None:
    """`--sample` and `--sample-error`, which leave the percentage, or None, in `sample`."""
    parser.add_argument(
        "--sample",
        action="store_const",
        const=SAMPLE_PERCENT,
        help="simulate a part of long launches and of many like ones, and estimate the rest; the result says so",
    )
    parser.add_argument(
        "--sample-error",
        dest="sample",
        type=percentage,
        metavar="PERCENT",
        help=f"sample until the error estimate of the cycles is within PERCENT (--sample: {SAMPLE_PERCENT:g})",
    )


def add_compiling(parser: argparse.ArgumentParser) -> None:
    """`-I`, `-D` and `-std` of compilers, which `compile_options` puts together."""
    parser.add_argument(
        "-I", dest="include", action="append", default=[], metavar="DIR", help="folder of headers of a .cu file"
    )
    parser.add_argument(
        "-D", dest="define", action="append", default=[], metavar="NAME[=VALUE]", help="macro of a .cu file"
    )
    parser.add_argument("-std", metavar="c++17", help="C++ standard of a .cu file")


def compile_options(args: argparse.Namespace) -> tuple[str, ...]:
    """What `add_compiling` was given, as compilers take it."""
    standard = (f"-std={args.std}",) if args.std else ()
    return (*(f"-I{folder}" for folder in args.include), *(f"-D{name}" for name in args.define), *standard)


def add_cta_limit(parser: argparse.ArgumentParser) -> None:
    """`--cta-limit`: when the emulator gives up on a CTA."""
    parser.add_argument(
        "--cta-limit",
        type=positive,
        metavar="N",
        help="warp instructions after which a CTA of a kernel file is taken to have no end (default: 67108864)",
    )


def add_lenient(parser: argparse.ArgumentParser) -> None:
    """`--lenient`: what a kernel may read."""
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="let a kernel read global memory outside every buffer: it gets zero, and a warning says where",
    )
