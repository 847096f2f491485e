"""The application: its commands, and the handling of their errors.

Every failure ends as one line on standard error and an exit code that `_exit_codes` explains.
"""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from .._clock import check_time
from .._extras import missing
from .._spelling import spelled_as_options
from .._text import printable, quoted, shortened
from .._version import __version__
from ..errors import SoftmaxlibError, SoftmaxlibWarning
from ._exit_codes import DONE, MEANINGS, NOT_DONE, UNEXPECTED
from ._parts import with_parts
from ._signals import Ended, ended_by_signals
from ._streams import patient_streams
from ._table import with_table
from .audit import audit
from .decide import decide
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .explore import explore
from .export import export
from .fit import fit

_NO_END_OF_LINE = 1_000_000
_LONGEST = 2_000  # characters of a message: cells, names and damaged headers can be of any length
_INTERRUPTED = 130


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softmaxlib {__version__}")
        raise typer.Exit


def softmaxlib(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """From a model's logits to probabilities, calibrated confidence, decisions and a report."""
    check_time()


def make_app() -> typer.Typer:
    """Build the app; help is framed and wrapped in a terminal, and has one line per option elsewhere."""
    terminal = sys.stdout.isatty()
    width = {} if terminal else {"terminal_width": _NO_END_OF_LINE, "max_content_width": _NO_END_OF_LINE}
    app = typer.Typer(
        name="softmaxlib",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if terminal else None,
        context_settings=width,
    )
    codes = "\n\n".join(f"{code}: {meaning}" for code, meaning in MEANINGS.items())
    app.callback(epilog=f"Exit codes:\n\n{codes}")(softmaxlib)
    # a negative logit (-1.5) is no option
    app.command(context_settings={"ignore_unknown_options": True, **width})(explain)
    for command in (
        explore,
        with_table(with_parts(fit)),
        *map(with_table, (decide, evaluate, audit)),
        export,
        demo,
    ):
        app.command(context_settings=width)(command)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is printed as one line."""
    with patient_streams(), spelled_as_options():
        try:
            return _run(arguments)
        except OSError as error:  # standard output is full
            return _fail_system(error)


def _run(arguments: Sequence[str]) -> int:
    shown: set[str] = set()

    def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, SoftmaxlibWarning) and str(message) not in shown:
            shown.add(str(message))  # files are read in batches, each of which would warn
            _say("warning", str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", SoftmaxlibWarning)
        warnings.showwarning = show_warning
        try:
            with ended_by_signals():
                given = list(arguments) or ["--help"]
                code = make_app()(args=given, standalone_mode=False, prog_name="softmaxlib")
                sys.stdout.flush()
            if code == _INTERRUPTED:  # newer typer raises this for Ctrl-C
                raise KeyboardInterrupt
            if not arguments:  # the help is shown, and no command was given
                return NOT_DONE
            return code if isinstance(code, int) else DONE
        except Ended as error:
            return _fail(str(error), 128 + error.number)
        except (KeyboardInterrupt, typer.Abort):
            return _fail("interrupted; no half-written file is left", _INTERRUPTED)
        except SoftmaxlibError as error:
            return _fail(str(error))
        except MemoryError as error:
            return _fail(f"not enough memory ({error}); pass fewer rows or classes at a time")
        except OSError as error:
            return _fail_system(error)
        except ModuleNotFoundError as error:
            return _fail(missing(error.name or "", "this command"))
        except Exception as error:
            # typer contains click or imports it, by version: usage errors are recognized by their attributes
            if not hasattr(error, "format_message"):
                return _fail_unexpected(error)
            command = getattr(getattr(error, "ctx", None), "command_path", "softmaxlib")
            return _fail(f"{_usage_message(error)} See: {command} --help")


def _usage_message(error: Any) -> str:
    message = str(error.format_message()).rstrip(".")
    # Newer typer has values checked by pydantic, whose messages begin with a kind or leave out the value.
    for checked in getattr(error.__cause__, "errors", list)():
        message = message.replace("Value error, ", "", 1)
        received = quoted([checked["input"]])
        if received not in message:
            message = f"{message}, got {received}"
    return message if message.endswith("?") else f"{message}."


def _fail(message: str, code: int = NOT_DONE) -> int:
    _say("error", message)
    return code


def _fail_system(error: OSError) -> int:
    where = f"{error.filename}: " if error.filename else ""
    full = "; free some space or write elsewhere" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return _fail(f"{where}{error.strerror or error}{full}")


def _fail_unexpected(error: Exception) -> int:
    if os.environ.get("SOFTMAXLIB_TRACEBACK"):
        traceback.print_exception(error)
    return _fail(
        f"unexpected {type(error).__name__}: {error}; this is a fault of softmaxlib: please report it, with "
        "what the same command says after SOFTMAXLIB_TRACEBACK=1",
        UNEXPECTED,
    )


def _say(kind: str, message: str) -> None:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    style = "bold red" if kind == "error" else "yellow"
    console.print(f"softmaxlib: {kind}:", style=style, end=" ")
    console.print(shortened(printable(" ".join(message.split())), _LONGEST), markup=False)
