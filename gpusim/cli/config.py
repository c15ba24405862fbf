"""`gpusim config`: show a card's full parameters, list the cards, check a file, derive a card from a profile."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("config", help="show, list or check configurations")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("show", help="print a configuration in full, every inherited value included")
    show.add_argument("name", metavar="NAME", help="card (a6000) or YAML file")
    show.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    show.set_defaults(command=run_show)

    listing = actions.add_parser("list", help="list the cards that come with gpusim")
    listing.set_defaults(command=run_list)

    check = actions.add_parser("check", help="check a file and report all problems at once")
    check.add_argument("file", metavar="FILE", help="YAML file or card")
    check.set_defaults(command=run_check)

    derive = actions.add_parser(
        "from-report",
        help="the card that an Nsight Compute report describes, as YAML",
        description="Print a card file for the device in an Nsight Compute report at the clocks the kernel ran at: a "
        "packaged card that is near as its base, and what differs, each value with its source.",
    )
    derive.add_argument("report", metavar="REPORT", help=".ncu-rep file")
    derive.add_argument("--index", type=int, default=0, metavar="N", help="launch whose clocks count (default: 0)")
    derive.add_argument("--base", metavar="NAME", help="packaged card to start from (default: the nearest)")
    derive.set_defaults(command=run_from_report)


def run_show(args: argparse.Namespace) -> int:
    """Print the expanded YAML; returns the exit code."""
    from gpusim.config import expand

    print(expand(args.name, args.set), end="")
    return 0


def run_list(_: argparse.Namespace) -> int:
    """One line per card: name, architecture, SMs; returns the exit code."""
    from gpusim.config import list_configs, load_config

    for name in list_configs():
        config = load_config(name)
        note = "  (experimental)" if config.experimental else ""
        print(f"{name:<14} sm_{config.architecture:<4} {config.sms:>3} SMs  {config.clocks.core_mhz:>6.0f} MHz{note}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Say that a file is valid, and whether it is a card or a family; invalid ones raise. Returns the exit code."""
    from gpusim.config import check_file, list_configs

    config = check_file(args.file)
    if config is None:
        print(f"{args.file}: a family: it has no name, so cards name it as their base; what it says is valid")
        print(f"cards: {', '.join(list_configs())}")
        return 0
    print(f"{args.file}: valid: {config.name}, sm_{config.architecture}, {config.sms} SMs")
    return 0


def run_from_report(args: argparse.Namespace) -> int:
    """Print the derived card; returns the exit code."""
    from gpusim.hardware.card import derive_card
    from gpusim.sass.reports import Report

    card = derive_card(Report(args.report).launch(args.index), args.base)
    card.load()
    print(card.yaml(), end="")
    return 0
