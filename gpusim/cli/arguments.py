"""Arguments that several commands take."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number, at least 1."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a whole number") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def add_cta_limit(parser: argparse.ArgumentParser) -> None:
    """`--cta-limit`: when the emulator gives up on a CTA."""
    parser.add_argument(
        "--cta-limit",
        type=positive,
        metavar="N",
        help="warp instructions after which a CTA of a kernel file is taken to have no end (default: 67108864)",
    )
