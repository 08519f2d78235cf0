# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command C(ckpool): its start, its output, its end."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import typing as t

from ckpool_fleet._discovery import Several
from ckpool_fleet._errors import BadInput, NotFound, PoolError
from ckpool_fleet._host.terminal import coloured, wants_colour
from ckpool_fleet._instance import Instance
from ckpool_fleet._results import failure, presentable
from ckpool_fleet._text import printable

from .arguments import parser_of
from .questions import INVALID, UNDETERMINED, UNHEALTHY, asked
from .tables import for_shell, lines_of

_INTERRUPTED = 130  #: the exit status after Ctrl-C, as of shells
_NAMES = ("ckpool", "ckpool-fleet")
_USUAL_COLUMNS = 80  #: of a terminal that does not know its size


def main(words: t.Optional[t.Sequence[str]] = None) -> int:
    """Run the command.

    :arg words: its arguments; those of this process by default.
    :return: the exit status.
    """
    try:
        return _run(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as exc:  # pylint: disable=broad-except
        return _say(f"{type(exc).__name__}: {exc} (this is a fault of {_NAMES[1]})", UNDETERMINED)


def _run(words: t.Sequence[str]) -> int:
    program = os.path.basename(sys.argv[0])
    parser = parser_of(program if program in _NAMES else _NAMES[0])
    try:
        options = parser.parse_args(words)
    except OSError as exc:  # of the help or of a mistake, which it shows itself
        return _not_written(exc, 0)
    if options.command == "completion":
        from .completion import script  # few calls need it

        return _print(script(parser, options.shell, _NAMES), 0)
    try:
        if options.command == "watch":
            from .watch import watch

            return watch(options)
        result, status = asked(options)
    except PoolError as exc:
        return _fail(exc, options)
    return _print(_shown(presentable(result), options), status)


def _shown(result: t.Dict[str, t.Any], options: argparse.Namespace) -> t.List[str]:
    """The lines of a result: cut to a terminal, and whole for a program."""
    if options.json:
        return [_as_json(result)]
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    # Not by COLUMNS, which shells export and leave behind when the window changes.
    columns = os.get_terminal_size(sys.stdout.fileno()).columns or _USUAL_COLUMNS if is_terminal else None
    lines = lines_of(options.command, result, columns)
    is_coloured = is_terminal and not options.no_color and wants_colour(os.environ)
    return [coloured(text, colour) if is_coloured else text for text, colour in lines]


def _as_json(result: t.Dict[str, t.Any]) -> str:
    return json.dumps(result, indent=2, allow_nan=False)


def _fail(exc: PoolError, options: argparse.Namespace) -> int:
    """Say what has failed, and what to type next; the exit status."""
    status = UNHEALTHY if isinstance(exc, NotFound) else INVALID if isinstance(exc, BadInput) else UNDETERMINED
    if isinstance(exc, Several) and not getattr(options, "json", False):
        choices = ["several ckpools run here; name one of them, or all:", *map(_choice, exc.instances), "  --all"]
        return _say("\n".join(choices), status)
    result = presentable(failure(exc, options.log_dir))
    if getattr(options, "json", False):
        return _print([_as_json({"failed": True, **result})], status)
    return _say(for_shell(result["msg"].partition(": ")[2]), status)


def _choice(instance: Instance) -> str:
    """The option that selects an instance, and what it is."""
    folder = instance.root + instance.socket_dir
    is_alive = instance.pid_state == "alive"
    option = f"--pid {instance.pid}" if is_alive else f"--socket-dir {shlex.quote(folder)}"
    what = f"{instance.name} of {instance.user} in {folder}" if is_alive else f"{instance.name}, ended"
    return printable(f"  {option:<16} {what}")


def _print(lines: t.Iterable[str], status: int) -> int:
    """Print lines; the status, or another if they could not be written. A reader that left has what it wanted."""
    try:
        if sys.stdout is not None:
            _write_anything(sys.stdout)
            for line in lines:
                print(line)
            sys.stdout.flush()
    except OSError as exc:
        return _not_written(exc, status)
    return status


def _not_written(exc: OSError, status: int) -> int:
    if sys.stdout is not None:  # nothing may be tried again at the end of the process
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(exc, BrokenPipeError):
        return status
    return _say(f"cannot write: {exc.strerror}", status or UNDETERMINED)


def _say(text: str, status: int) -> int:
    """Print a failure; the status."""
    lines = [printable(line) for line in text.split("\n")]
    try:
        if sys.stderr is not None:
            print(f"{_NAMES[0]}: " + "\n".join(lines), file=sys.stderr, flush=True)
    except OSError:
        pass
    return status


def _write_anything(stream: t.Any) -> None:
    """Let characters that the terminal's encoding does not have be escaped."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
