"""The application: its commands, and what becomes of whatever goes wrong in them.

Every failure ends as one line on standard error and exit code 2 (130 for Ctrl-C); a traceback means a
defect of softmaxlib.
"""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from .._version import __version__
from ..errors import SoftmaxlibError, SoftmaxlibWarning
from ._text import printable
from .audit import audit
from .decide import decide
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .fit import fit

app = typer.Typer(
    name="softmaxlib",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softmaxlib {__version__}")
        raise typer.Exit


@app.callback()
def softmaxlib(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """From a model's logits to probabilities, calibrated confidence, decisions and a report."""


# a negative logit (-1.5) is no option
app.command(context_settings={"ignore_unknown_options": True})(explain)
for command in (fit, decide, evaluate, audit, demo):
    app.command()(command)

BAD_INPUT = 2
INTERRUPTED = 130


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever goes wrong becomes one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", SoftmaxlibWarning)
        warnings.showwarning = _show_warning
        try:
            code = app(args=list(arguments), standalone_mode=False, prog_name="softmaxlib")
            sys.stdout.flush()
            if code == INTERRUPTED:  # what newer typer makes of Ctrl-C
                raise KeyboardInterrupt
            return code if isinstance(code, int) else 0
        except (KeyboardInterrupt, typer.Abort):
            return _fail("interrupted; no output was written", INTERRUPTED)
        except SoftmaxlibError as error:
            return _fail(str(error))
        except MemoryError as error:
            return _fail(f"not enough memory ({error}); pass fewer rows or classes at a time")
        except OSError as error:
            return _fail_system(error)
        except ModuleNotFoundError as error:
            return _fail(f"this command needs {error.name}; install it with: pip install 'softmaxlib[all]'")
        except Exception as error:
            # typer vendors click or not, by version: its usage errors are told by what they can do
            format_message = getattr(error, "format_message", None)
            if format_message is None:
                raise
            message = format_message()
            return _fail(f"{message.rstrip('.')}. See: softmaxlib --help") if message else BAD_INPUT


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if issubclass(category, SoftmaxlibWarning):
        _say("warning", str(message))


def _fail(message: str, code: int = BAD_INPUT) -> int:
    _say("error", message)
    return code


def _fail_system(error: OSError) -> int:
    if error.errno == errno.EPIPE:  # the reader (head, less) has gone: nothing more to say to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    where = f"{error.filename}: " if error.filename else ""
    full = "; free some space or write elsewhere" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return _fail(f"{where}{error.strerror or error}{full}")


def _say(kind: str, message: str) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    style = "bold red" if kind == "error" else "yellow"
    console.print(f"softmaxlib: {kind}:", style=style, end=" ")
    console.print(printable(" ".join(message.split())), markup=False)
