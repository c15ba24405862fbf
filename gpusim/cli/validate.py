"""`gpusim validate`: published measurements beside the simulator's values."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from functools import partial

from gpusim.cli.arguments import SAMPLE_PERCENT, percentage, positive
from gpusim.cli.deliver import deliver
from gpusim.cli.exits import EXIT_BAD_INPUT, EXIT_CHECK_FAILED
from gpusim.cli.sweep import SweepView
from gpusim.inputs import find_trace

RESULTS = "validation/results"


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
    add_memory(actions)
    add_ablations(actions)
    add_sampling(actions)


def add_memory(actions: argparse._SubParsersAction) -> None:
    memory = actions.add_parser(
        "memory",
        help="latency and bandwidth curves of the memory hierarchy",
        description="Simulate pointer chases, cache reads and streams on the cards on which they were measured, and "
        "compare plateaus, knees and bandwidths. Exits 1 if a row is out of its tolerance.",
    )
    memory.add_argument(
        "--config", action="append", default=[], metavar="NAME", help="only curves of this card; repeatable"
    )
    memory.add_argument("--only", metavar="REGEX", help="only curves whose name matches")
    memory.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one parameter")
    memory.add_argument(
        "--output",
        metavar="DIR",
        help=f"folder for memory.md, .csv and .png (default: {RESULTS}; none if only a part runs)",
    )
    memory.set_defaults(command=run_memory)


def add_ablations(actions: argparse._SubParsersAction) -> None:
    ablations = actions.add_parser(
        "ablations",
        help="the alternatives of arXiv 2503.20481, its Tables 5 to 7, on this project's kernels",
        description="Simulate instruction prefetch, register file and dependence mechanisms in all their variants, and "
        "write a table (CSV, Markdown) and a plot of each beside the paper's speed-ups.",
    )
    ablations.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes; same result")
    ablations.add_argument(
        "--output", default=RESULTS, metavar="DIR", help="folder of the results (default: %(default)s)"
    )
    ablations.set_defaults(command=run_ablations)


def add_sampling(actions: argparse._SubParsersAction) -> None:
    sampling = actions.add_parser(
        "sampling",
        help="sampled runs beside whole ones: error, error estimate and share of the work",
        description="Simulate long kernels, and kernels of many launches, whole and sampled (run --sample), and "
        "compare. Takes several CPU minutes. Exits 1 if the long kernels are out of their limits.",
    )
    sampling.add_argument("--only", metavar="REGEX", help="only kernels whose name matches")
    sampling.add_argument(
        "--sample-error",
        type=percentage,
        default=SAMPLE_PERCENT,
        metavar="PERCENT",
        help="error estimate at which sampling stops (default: %(default)g)",
    )
    sampling.add_argument("--threads", type=positive, default=1, metavar="N", help="as in run; same result")
    sampling.add_argument(
        "--output",
        metavar="DIR",
        help=f"folder for sampling.md and .csv (default: {RESULTS}; none with --only)",
    )
    sampling.set_defaults(command=run_sampling)


def run_paper(args: argparse.Namespace) -> int:
    """Print the comparison; returns 0, or 1 if a row is off."""
    from gpusim.report.text import console_for
    from gpusim.results.files import output_files
    from gpusim.validation.report import print_results, write_csv
    from gpusim.validation.runner import OFF, validate

    outputs = output_files({"--csv": args.csv})
    results = validate(args.config, args.only, args.set)
    writes = [partial(write_csv, output, results) for output in outputs.values()]
    if not deliver(lambda: print_results(console_for(sys.stdout), results, args.config), writes):
        return EXIT_BAD_INPUT
    return EXIT_CHECK_FAILED if any(result.status == OFF for result in results) else 0


def run_memory(args: argparse.Namespace) -> int:
    """Print and write the comparison; returns 0, or 1 if a row is off."""
    from gpusim.report.text import console_for
    from gpusim.results.files import output_folder
    from gpusim.validation.memory import choose, simulate_curves
    from gpusim.validation.memory_report import all_rows, print_memory, write_memory

    curves = choose(args.config, args.only)
    folder = args.output or (None if args.config or args.only or args.set else RESULTS)
    if folder:
        output_folder(folder, "--output")
    results = simulate_curves(curves, args.set, shown)
    writes = [partial(write_memory, folder, results)] if folder else []
    if not deliver(lambda: print_memory(console_for(sys.stdout), results), writes):
        return EXIT_BAD_INPUT
    return 0 if all(row.good for row in all_rows(results)) else EXIT_CHECK_FAILED


def shown(values: Iterator[float], total: int) -> Iterable[float]:
    """The values as they come, with a bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    terminal = sys.stderr.isatty()
    return track(values, "simulating", total, console=Console(stderr=True), transient=True, disable=not terminal)


def run_sampling(args: argparse.Namespace) -> int:
    """Print and write the comparison; returns 0, or 1 if the long kernels are out of their limits."""
    from gpusim.report.text import console_for
    from gpusim.results.files import output_folder
    from gpusim.validation.sampling import load_suite, measure, print_sampling, summary, write_sampling

    cases = load_suite(args.only)
    folder = args.output or (None if args.only else RESULTS)
    if folder:
        output_folder(folder, "--output")
    rows = []
    for row in measure(cases, args.sample_error, args.threads):
        rows.append(row)
        figures = f"error {row.error:+.2f} %, {row.share:.1f} % simulated"
        print(f"gpusim: {len(rows)} of {len(cases)}, {row.kernel}: {figures}", file=sys.stderr)
    writes = [partial(write_sampling, folder, rows, args.sample_error)] if folder else []
    if not deliver(lambda: print_sampling(console_for(sys.stdout), rows), writes):
        return EXIT_BAD_INPUT
    found = summary(rows)
    return 0 if found is None or found.good else EXIT_CHECK_FAILED


def run_ablations(args: argparse.Namespace) -> int:
    """Write the tables and plots and print the means; returns the exit code."""
    from gpusim.report.text import console_for
    from gpusim.results.files import output_folder
    from gpusim.validation.ablation_report import print_means, write_all
    from gpusim.validation.ablations import load_suite, measure

    suite = load_suite()
    traces = {name: find_trace(f"ampere/{name}") for name in suite.traces}
    folder = output_folder(args.output, "--output")
    with SweepView() as view:
        tables = measure(suite, traces, args.jobs, view)
    writes = [partial(write_all, folder, suite, tables)]
    delivered = deliver(lambda: print_means(console_for(sys.stdout), suite, tables), writes)
    return 0 if delivered else EXIT_BAD_INPUT
