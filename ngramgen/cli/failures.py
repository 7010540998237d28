"""What a person at a shell is told when a command fails, and the exit status that goes with it.

0 done (or the reader of our output left), 1 failed, 2 misused, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from click.exceptions import Exit

from ngramgen.errors import NgramgenError, OptionError

INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Misuse(click.ClickException):
    """An option that only the library could refuse: one line, and the status of a usage error."""

    exit_code = 2


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a command raises into one line on stderr and an exit status; our own bugs keep their traceback."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk can still be reported
    except OptionError as error:
        raise Misuse(str(error)) from error
    except NgramgenError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        _settle_output()
        raise Exit(0) from None
    except OSError as error:
        _settle_output()
        raise click.ClickException(_describe(error)) from error
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        raise click.ClickException(
            f"not enough memory{detail}; try less text, a lower order or stronger pruning."
        ) from error
    except KeyboardInterrupt:
        _settle_output()
        raise Exit(INTERRUPTED) from None


def _settle_output() -> None:
    """Flush stdout; where that fails, drop what it holds, for Python would try again at exit and complain."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # a stdout without a descriptor: a test's, a notebook's
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, sys.stdout.fileno())
            os.close(sink)


def _describe(error: OSError) -> str:
    """`file: reason`, as other tools print it; a failed write knows no file."""
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{error.filename}: {reason}"
