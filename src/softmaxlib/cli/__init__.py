"""The command line: ``softmaxlib explain | fit | decide | evaluate | audit | export | demo``."""

import sys

from .._extras import missing as _missing

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv`` and exit with its code."""
    try:
        from ._app import run
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("typer", "rich"):
            raise
        print(f"softmaxlib: error: {_missing(error.name or '', 'the command line')}", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(sys.argv[1:]))
