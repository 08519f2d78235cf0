# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of many hosts, in one process. Each path is a host, with the pool of a file.

    python -m benchmarks.services BODY PORT_FILE

It costs less than the real service: in a fleet, the processors of other machines do its work.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

_HOST, _NOW = "@host@", 1234567890.125


async def serve(body: str, port_file: Path) -> None:
    """Answer on a free port, whose number is written to the file."""
    known = json.loads(Path(body).read_text(encoding="utf-8"))
    template = json.dumps({**known, "host": _HOST, "now": _NOW, "version": "0"})

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
        content = template.replace(_HOST, path).replace(str(_NOW), str(time.time())).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    written = port_file.with_suffix(".part")
    written.write_text(str(server.sockets[0].getsockname()[1]), encoding="ascii")
    written.rename(port_file)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
