# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of the HTTP service, with nothing behind it but one text of a size: what its answers are compared with."""

from __future__ import annotations

import sys

from ckpool_http.app import Whole
from ckpool_http.errors import HEADERS
from ckpool_http.limits import Gate
from ckpool_http.server import serve
from ckpool_http.settings import load
from starlette.applications import Starlette
from starlette.routing import Route

if __name__ == "__main__":
    settings = load(sys.argv[sys.argv.index("--config") + 1])
    text = b"x" * int(sys.argv[1])

    async def answer(_request: object) -> Whole:
        return Whole(text, headers={**HEADERS, "Content-Type": "text/plain", "Content-Length": str(len(text))})

    serve(lambda _connections: Gate(Starlette(routes=[Route("/metrics", answer)]), settings), settings)
