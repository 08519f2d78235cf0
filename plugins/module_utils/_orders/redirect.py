# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether another pool is there to which miners are to be redirected.

The daemon sends its miners wherever it is told. They leave at once, and where nothing listens they are lost.
"""

from __future__ import annotations

import functools
import socket

from .._errors import PoolError
from .._names import parse_address
from .._parallel import in_parallel

_SECONDS = 3.0  #: to find out the addresses of a name, and to connect
_HINT = (
    "is the address right, does the pool there run, and may this host connect to it? if only the miners can,"
    " redirect_check: false redirects them without this check"
)


def require_reachable(redirect_to: str, seconds: float = _SECONDS) -> None:
    """Raise unless something accepts TCP connections from this host at C(HOST:PORT).

    :arg seconds: to find that out.
    :raises BadInput: it is no address.
    :raises PoolError: nothing does.
    """
    host, port = parse_address(redirect_to)
    # A resolver has no deadline of its own.
    (problem,) = in_parallel(
        [functools.partial(_connect, host, int(port), seconds)],
        seconds,
        lambda _number: f"no connection within {seconds:g} s",
    )
    if problem:
        raise PoolError(
            f"nothing accepts connections at {redirect_to}: {problem}",
            hint=_HINT,
            phase="connect",
            reason="redirect_unreachable",
        )


def _connect(host: str, port: int, seconds: float) -> str:
    """Connect, and close again; the problem, empty if there is none."""
    try:
        socket.create_connection((host, port), seconds).close()
    except socket.timeout:
        return f"no connection within {seconds:g} s"
    except (OSError, UnicodeError) as exc:
        return getattr(exc, "strerror", None) or str(exc)
    return ""
