"""Write the tables of columns into docs/python.md; run after a column, counter or stall reason has changed."""

from __future__ import annotations

import re
from pathlib import Path

from gpusim.results import columns

PAGE = Path(__file__).resolve().parent / "python.md"
TABLES = {
    "launches": (*columns.LAUNCH, *columns.NUMBERS),
    "stalls": columns.STALLS,
    "counters": columns.KERNEL_FRAME[len((*columns.LAUNCH, *columns.NUMBERS, *columns.STALLS)) :],
    "sampling": columns.SAMPLING_FRAME,
    "instructions": columns.INSTRUCTION_FRAME[: -len(columns.STALLS)],
    "timeline": columns.TIMELINE_FRAME,
    "sweeps": (*columns.SWEEP_FRAME, columns.ERROR_COLUMN),
    "comparisons": columns.COMPARISON_FRAME[: -2 * len((*columns.PIPE_COUNTERS, *columns.STALLS))],
    "compared instructions": columns.PC_COMPARISON_FRAME[: -2 * len(columns.STALLS)],
}
"""What stands between `<!-- columns: NAME -->` and `<!-- end -->`."""


def with_tables(page: str) -> str:
    """The page with every table as it should be. Raises KeyError where a marker names none."""

    def table(marker: re.Match[str]) -> str:
        lines = "\n".join(columns.markdown(TABLES[marker[1]]))
        return f"<!-- columns: {marker[1]} -->\n{lines}\n<!-- end -->"

    return re.sub(r"<!-- columns: ([\w ]+) -->\n.*?<!-- end -->", table, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
