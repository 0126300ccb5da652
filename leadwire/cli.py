"""The `leadwire` command. It alone, with `roles.py`, may import every package, and does so lazily."""

import argparse
import sys
from collections.abc import Sequence

from leadwire import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="leadwire", description="Real-time remote ECG monitoring.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(argv)
    parser.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
