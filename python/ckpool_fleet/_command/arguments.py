# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of C(ckpool)."""

from __future__ import annotations

import argparse
import time
import typing as t

from ckpool_fleet._ask.selection import SORT_FIELDS, WORKER_SORT_FIELDS
from ckpool_fleet._errors import PoolError
from ckpool_fleet._health import CHECKS, FAIL_ON
from ckpool_fleet._options import COMMON_OPTIONS
from ckpool_fleet._sources.registry import AUTO, CHOICES
from ckpool_fleet._units import moment, parse_duration

SHELLS = ("bash", "zsh", "fish")
_DISTRIBUTION = "ckpool-fleet"
_MOST = 2**31 - 1
_EPILOG = """\
Without --socket-dir, --name or --pid it asks the only pool of this host; with several it names them.

exit status:
  0  it answered; health: it is healthy
  2  it is down or hung, or not there; health: it is unhealthy; or the call is wrong
  4  it could not be determined, such as by missing rights, or while it starts
"""


def parser_of(program: str) -> argparse.ArgumentParser:
    """The parser of the command line.

    :arg program: the name by which it was called.
    """
    # Options are taken whole, so that a new one never changes what an old call means.
    parser = argparse.ArgumentParser(
        program,
        description="Ask the ckpools of this host.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version, and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, description=f"{text[0].upper()}{text[1:]}.", help=text, allow_abbrev=False)

    health = add("health", "check the health, and say what is wrong")
    _add_reading(health)
    _add_health(health)
    _add_reading(add("stats", "show the statistics: hashrates, users, workers, shares"))
    users = add("users", "list users, with the highest hashrate first")
    _add_reading(users)
    users.add_argument("users", metavar="USER", nargs="*", help="these users only")
    _add_listing(users, SORT_FIELDS)
    workers = add("workers", "list workers, with the highest hashrate first")
    _add_reading(workers)
    workers.add_argument("workers", metavar="WORKER", nargs="*", help="these workers only")
    workers.add_argument(
        "--user", dest="users", metavar="USER", action="append", help="workers of this user; repeatable"
    )
    workers.add_argument("--state", choices=("active", "idle", "any"), default="any", help="only those (any)")
    _add_listing(workers, WORKER_SORT_FIELDS, active_within="10m")
    blocks = add("blocks", "list the blocks that it found, by its log, the newest first")
    _add_reading(blocks)
    blocks.add_argument(
        "--since", type=_moment, default=0.0, metavar="TIME", help="not older: epoch seconds, or an age such as 7d"
    )
    blocks.add_argument("--limit", type=_range(1, 10_000), default=20, metavar="N", help="at most this many (20)")
    _add_reading(add("summary", "show a pool in a few lines"))
    watch = add("watch", "show all pools of this host on one screen until q is typed")
    _add_selection(watch)
    watch.add_argument(
        "--interval", type=_range(2, 3600, float), default=5.0, metavar="S", help="seconds between two looks (5)"
    )
    completion = add("completion", "print the completion of this command for a shell")
    completion.add_argument("shell", choices=SHELLS)
    return parser


class _Version(argparse.Action):
    """Shows the version, which takes a look at what is installed."""

    def __call__(self, parser: argparse.ArgumentParser, *_unused: t.Any) -> t.NoReturn:
        from importlib import metadata  # which takes longer to load than all else here

        try:
            version = metadata.version(_DISTRIBUTION)
        except metadata.PackageNotFoundError:
            version = "from a checkout"
        print(_DISTRIBUTION, version)
        parser.exit()


def _add_selection(parser: argparse.ArgumentParser) -> None:
    """What says which pool is meant, and how to ask it."""
    which = parser.add_argument_group("which pool")
    which.add_argument("--socket-dir", type=_not_empty, metavar="DIR", help="the one with this socket directory")
    which.add_argument("--name", type=_not_empty, help="the one with this name")
    which.add_argument("--pid", type=_range(1, _MOST), help="the one with this process ID")
    which.add_argument("--log-dir", type=_not_empty, metavar="DIR", help="its log directory, if it cannot be found")
    how = parser.add_argument_group("how to ask")
    how.add_argument("--source", choices=CHOICES, default=AUTO, help=f"where to ask ({AUTO})")
    timeout = COMMON_OPTIONS["timeout"]["default"]
    how.add_argument(
        "--timeout",
        type=_range(0.01, 600, float),
        default=timeout,
        metavar="S",
        help=f"seconds of one exchange ({timeout:g})",
    )
    how.add_argument("--no-color", action="store_true", help="no colours, as with NO_COLOR in the environment")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """What all commands but watch have in common."""
    _add_selection(parser)
    parser.add_argument("--all", action="store_true", help="every pool of this host")
    parser.add_argument(
        "--json", action="store_true", help="the result as JSON, as the module of the collection returns it"
    )


def _add_health(parser: argparse.ArgumentParser) -> None:
    fail_on = [name for name, statuses in FAIL_ON.items() if statuses]
    parser.add_argument("--fail-on", choices=fail_on, default="critical", help="what counts as unhealthy (critical)")
    parser.add_argument(
        "--sample-seconds",
        type=_range(0, 600, float),
        default=0.0,
        metavar="S",
        help="also watch for so long whether new work comes",
    )
    parser.add_argument(
        "--skip-check", dest="skip", metavar="CHECK", choices=list(CHECKS), action="append", default=[],
        help=f"leave out a check; repeatable: {', '.join(CHECKS)}",
    )  # fmt: skip


def _add_listing(
    parser: argparse.ArgumentParser, fields: t.Sequence[str], active_within: t.Optional[str] = None
) -> None:
    parser.add_argument(
        "--sort-by", choices=fields, default="hashrate1m", help="names ascend, all else descends (hashrate1m)"
    )
    parser.add_argument("--limit", type=_range(1, _MOST), metavar="N", help="at most this many")
    default = f" ({active_within})" if active_within else ""
    parser.add_argument(
        "--active-within", type=_duration, default=active_within, metavar="AGE",
        help=f"the last share is at most this old, such as 1h{default}",
    )  # fmt: skip
    parser.add_argument("--include-stale", action="store_true", help="also those that left")


def _not_empty(text: str) -> str:
    """A word that names something: a variable of a shell that is not set must not select another pool."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _range(least: float, most: float, kind: t.Callable[[str], t.Any] = int) -> t.Callable[[str], t.Any]:
    """A type of a number within a range, both ends included."""

    def number(text: str) -> t.Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least:.15g} to {most:.15g}, not {text}")
        return value

    return number


def _duration(text: str) -> float:
    return _understood(parse_duration, text)


def _moment(text: str) -> float:
    return _understood(lambda text: moment(text, time.time()), text)


def _understood(read: t.Callable[[str], float], text: str) -> float:
    try:
        return read(text)
    except PoolError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
