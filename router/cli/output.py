"""How commands speak: results on stdout (text or `--json`), everything else on stderr, and one meaning per exit code.

0: done. 1: done, and something was found that needs a look (a check failed, a gate said no). 2: bad input or
configuration; nothing was changed. 3: something we depend on is out of reach.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import orjson
import typer

OK, FOUND, BAD_INPUT, OUT_OF_REACH = 0, 1, 2, 3

JSON_OPTION = typer.Option(False, "--json", help="Print the result as JSON.")


def print_json(value: Any) -> None:
    """Prints a value as indented JSON on stdout."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n")


def note(text: str) -> None:
    """Says something that is not the result."""
    sys.stderr.write(text + "\n")


def refuse(text: str, code: int = BAD_INPUT) -> NoReturn:
    """Ends the command with a message on stderr."""
    note(f"signalbox: {text}")
    raise typer.Exit(code)


@contextmanager
def errors_as_exit(*kinds: type[Exception], code: int = BAD_INPUT) -> Iterator[None]:
    """Turns errors an operator can mend into one line and an exit code, without a traceback."""
    try:
        yield
    except kinds as error:
        refuse(str(error), code)


Progress = Callable[[str], None]


def progress() -> Progress:
    """Prints progress on a terminal's stderr, and nowhere else."""
    return note if sys.stderr.isatty() else (lambda _text: None)
