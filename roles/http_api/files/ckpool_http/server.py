# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: its command line, its life, and its end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import sys
import threading
import typing as t

import uvicorn

from . import VERSION
from .app import Service
from .limits import Token
from .listener import Handshakes, listener
from .protocol import Connections, connection_class
from .settings import BadSettings, Settings, load
from .tls import Certificate

_KEEP_ALIVE = 5  #: seconds
_OTHER_FILES = 256  #: open files besides connections
_ARENA_MAX = -8  #: of mallopt of glibc
_BACKLOG = 1024
_TICKS = 10  #: of a tenth of a second, between looks at the files of the certificate
_log = logging.getLogger("ckpool_http")


def main(argv: t.Optional[t.Sequence[str]] = None) -> int:
    """Serve until a signal. The exit status is 2 if the configuration cannot be used."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.ERROR)  # anybody can send what it warns of, and fill the journal
    try:
        settings = load(arguments.config)
        certificate = Certificate(settings) if settings.tls_certificate else None
        if settings.token_file:
            Token(settings.token_file).read()
    except BadSettings as exc:
        print(f"{arguments.config}: {exc}", file=sys.stderr)
        return 2
    if not arguments.check:
        _serve(settings, certificate)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ckpool-http", description="The ckpools of this host over HTTP, read-only.")
    parser.add_argument("--config", required=True, metavar="FILE", help="the configuration, as JSON")
    parser.add_argument(
        "--check", action="store_true", help="read the configuration, and end with 0, or with 2 if it is wrong"
    )
    parser.add_argument("--version", action="version", version=VERSION)
    return parser


def _serve(settings: Settings, certificate: t.Optional[Certificate]) -> t.NoReturn:
    def app(connections: Connections) -> t.Any:
        return Service(settings, connections, lambda: certificate.expires if certificate else None).app()

    serve(app, settings, certificate)


def serve(
    app: t.Callable[[Connections], t.Any], settings: Settings, certificate: t.Optional[Certificate] = None
) -> t.NoReturn:
    """Serve an application until a signal, and end.

    :arg app: makes it.
    """
    _share_memory()
    most, most_new = _raise_limit(settings.max_connections, certificate is not None)
    connections = Connections(most, settings.header_seconds, Handshakes(most_new))
    config = uvicorn.Config(
        app(connections),
        host=settings.listen,
        port=settings.port,
        http=connection_class(connections),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    server = Server(config, settings, certificate, connections)
    server.run()
    sys.stderr.flush()
    # A look may still hang, and nothing is to be lost: not to wait for its thread.
    os._exit(0 if server.started else 1)


def _share_memory() -> None:
    """Let all threads get their memory from one place: what one has freed, another takes, and the process stays small."""
    # A C library may have no such setting, and a hardened unit may not allow ctypes what it needs.
    with contextlib.suppress(ImportError, MemoryError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def _raise_limit(connections: int, with_tls: bool) -> t.Tuple[int, int]:
    """Raise the limit of open files as far as it is needed and possible.

    Returns for how many connections it leaves room, and for how many more that are in the handshake of TLS.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * (2 if with_tls else 1) + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # a unit may not let us
            wanted = soft
    room = max(wanted - _OTHER_FILES, 2)
    most = min(connections, max(room // 2, room - connections) if with_tls else room)
    if most < connections:
        _log.warning("only %d connections: no more than %d files may be open", most, wanted)
    return most, room - most if with_tls else sys.maxsize


class Server(uvicorn.Server):
    """Uvicorn's server, with a time for handshakes of TLS, and for its own end."""

    def __init__(
        self,
        config: uvicorn.Config,
        settings: Settings,
        certificate: t.Optional[Certificate],
        connections: Connections,
    ) -> None:
        super().__init__(config)
        self._settings, self._certificate, self._connections = settings, certificate, connections
        config.ssl = certificate.context if certificate else None

    async def startup(self, sockets: t.Any = None) -> None:
        loop = asyncio.get_running_loop()
        if self.config.ssl:
            loop.create_server = self._listening(loop.create_server)  # type: ignore[assignment]
        await super().startup(sockets)
        if self.started:
            scheme = "https" if self.config.ssl else "http"
            _log.info("ckpool-http %s serves %s on %s port %d", VERSION, scheme, self.config.host, self.config.port)

    def _listening(self, create_server: t.Any) -> t.Any:
        """What uvicorn calls to listen: handshakes have a time, and are counted."""

        async def create(protocol: t.Any, host: str, port: int, **options: t.Any) -> asyncio.AbstractServer:
            options["sock"] = listener(host, port, self._connections.handshakes)
            options["ssl_handshake_timeout"] = self._settings.header_seconds
            return t.cast(asyncio.AbstractServer, await create_server(protocol, **options))

        return create

    async def on_tick(self, counter: int) -> bool:
        if self._certificate and not counter % _TICKS:
            self._certificate.renew()
        return bool(await super().on_tick(counter))

    def handle_exit(self, sig: int, frame: t.Any) -> None:
        super().handle_exit(sig, frame)
        ending = threading.Timer(self._settings.deadline + 2, os._exit, (0,))
        ending.daemon = True
        ending.start()
