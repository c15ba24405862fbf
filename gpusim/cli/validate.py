"""`gpusim validate`: published measurements beside the simulator's values."""

from __future__ import annotations

import argparse
import sys

EXIT_OFF = 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("validate", help="compare with published measurements of real cards")
    actions = parser.add_subparsers(metavar="WHAT", required=True)
    paper = actions.add_parser(
        "paper",
        help="the tables, listings and figures of arXiv 2503.20481",
        description="Run the paper's experiments on the SM core and compare every number. Exits 1 if a row is off.",
    )
    paper.add_argument("--config", default="a6000", metavar="NAME", help="card or YAML file (default: a6000)")
    paper.add_argument("--only", metavar="REGEX", help="only rows whose name matches")
    paper.add_argument("--csv", metavar="FILE", help="write all rows as CSV")
    paper.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    paper.set_defaults(command=run_paper)


def run_paper(args: argparse.Namespace) -> int:
    """Print the comparison; returns 0, or 1 if a row is off."""
    from gpusim.report.text import console_for
    from gpusim.validation.report import print_results, write_csv
    from gpusim.validation.runner import OFF, validate

    results = validate(args.config, args.only, args.set)
    print_results(console_for(sys.stdout), results, args.config)
    if args.csv:
        write_csv(args.csv, results)
    return EXIT_OFF if any(result.status == OFF for result in results) else 0
