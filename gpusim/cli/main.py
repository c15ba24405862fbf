"""`gpusim`: the entry. It imports nothing at the top, so that Ctrl-C finds it ready even while the rest is imported."""

from __future__ import annotations


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code, one of gpusim.cli.exits."""
    try:
        from gpusim.cli.command import run_command

        return run_command(argv)
    except KeyboardInterrupt:
        import sys

        print("gpusim: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    import sys

    sys.exit(main())
