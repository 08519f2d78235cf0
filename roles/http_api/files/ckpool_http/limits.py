# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request passes before it is looked at: the token, the sizes, and the number of requests that are worked on."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import os
import re
import typing as t

from .errors import HEADERS, JSON, ApiError
from .settings import BadSettings, Settings, read_trusted

if t.TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MOST_HEADER = 16384  #: bytes of the first line and all headers
MOST_TARGET = 8192  #: bytes of a path with its query
_WAITING = 16  #: requests that may wait, for each one that may be worked on
_HOST = re.compile(r"(\[(?P<address>[^\]]*)\]|(?P<name>[^:\[\]]*))(:[0-9]*)?")
_TOKEN = re.compile(rb"[\x21-\x7e]{16,512}")
_MOST_TOKEN_FILE = 4096
_log = logging.getLogger("ckpool_http")


class Token:
    """The token that readers need, read again when its file changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: t.Any = None
        self._digest: t.Optional[bytes] = None
        self._said = ""

    def read(self) -> bytes:
        """The token.

        :raises BadSettings: it cannot be read or trusted, or is too short to be one.
        """
        text = read_trusted(self._path, _MOST_TOKEN_FILE, is_secret=True).strip()
        if not _TOKEN.fullmatch(text):
            raise BadSettings(
                f"{self._path} has to hold a token of 16 to 512 visible ASCII characters, and nothing else"
            )
        return text

    def fits(self, header: bytes) -> bool:
        """Whether a header has the token. Without a token that can be read, none fits."""
        scheme, _space, given = header.partition(b" ")
        digest = self._known()
        is_same = hmac.compare_digest(_digest(given.strip()), digest or _digest(b""))
        return is_same and digest is not None and scheme.lower() == b"bearer"

    def _known(self) -> t.Optional[bytes]:
        try:
            info = os.stat(self._path)
            seen: t.Any = (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size, info.st_mode, info.st_uid)
        except OSError:
            seen = ()
        if seen != self._seen or self._digest is None:  # what could not be read once is tried again
            self._seen, self._digest = seen, self._digest_now()
        return self._digest

    def _digest_now(self) -> t.Optional[bytes]:
        problem, digest = "", None
        try:
            digest = _digest(self.read())
        except BadSettings as exc:
            problem = str(exc)
        if problem and problem != self._said:  # once, not with each request
            _log.error("nobody is let in: %s", problem)
        self._said = problem
        return digest


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


class Counting:
    """Counts answers by their status.

    :arg counts: status to number.
    """

    def __init__(self, app: ASGIApp, counts: t.Dict[int, int]) -> None:
        self._app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: t.Any) -> None:
            if message["type"] == "http.response.start":
                self._counts[message["status"]] = self._counts.get(message["status"], 0) + 1
            await send(message)

        await self._app(scope, receive, counted)


class Gate:
    """Lets requests in that have the token, a fitting size, and a place.

    :arg app: what answers them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._token = Token(settings.token_file) if settings.token_file else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ApiError as exc:
            await send_error(exc, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers: t.Dict[bytes, bytes] = dict(scope["headers"])
        if self._token is not None:
            self._check_token(self._token, scope, headers)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET:
            raise ApiError(414, "uri_too_long", f"path and query have more than {MOST_TARGET} bytes", headers=_CLOSE)
        if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MOST_HEADER:
            raise ApiError(431, "headers_too_large", f"the headers have more than {MOST_HEADER} bytes", headers=_CLOSE)
        if scope["http_version"] not in ("1.0", "1.1"):
            raise ApiError(505, "bad_version", "this service speaks HTTP/1.1", headers=_CLOSE)
        length = headers.get(b"content-length", b"0")
        most = self._settings.max_body
        if b"transfer-encoding" in headers or not length.isdigit() or int(length[:19]) > most:
            what = "no body" if not most else f"at most {most} bytes, with a Content-Length"
            raise ApiError(413, "body_too_large", f"a request may have {what}", headers=_CLOSE)
        if self._token is None:
            _check_host(headers.get(b"host"))

    def _check_token(self, token: Token, scope: Scope, headers: t.Mapping[bytes, bytes]) -> None:
        if self._settings.metrics_public and scope["path"] == "/metrics":
            return
        if not token.fits(headers.get(b"authorization", b"")):
            challenge = {"WWW-Authenticate": 'Bearer realm="ckpool"'}
            hint = "send the header Authorization: Bearer TOKEN, with the token of this service"
            raise ApiError(401, "unauthorized", "this needs the token of the service", hint, {**_CLOSE, **challenge})


_CLOSE = {"Connection": "close"}  #: what follows on the connection may be a body


def _check_host(header: t.Optional[bytes]) -> None:
    """Without a token, the service listens on loopback, and is asked by an address or name of it.

    Else a web page that has its own name point to 127.0.0.1 could read the pools by way of a browser on this host.

    :raises ApiError: it is asked by another name.
    """
    if header is None:  # a browser always sends one
        return
    found = _HOST.fullmatch(header.decode("latin-1"))
    name = (found["address"] or found["name"]).lower() if found else ""
    if name.rstrip(".") != "localhost" and not _is_loopback(name):
        hint = "ask for localhost or 127.0.0.1, or give the service a token"
        raise ApiError(421, "unknown_host", "this service has no token, and is not known by this name", hint, _CLOSE)


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


class Places:
    """The requests that are worked on. As many others may wait as can be served in time.

    :arg most: requests.
    :arg seconds: that others wait.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._free = asyncio.Semaphore(most)
        self._here = 0

    async def __aenter__(self) -> None:
        if self._here >= self._most * (1 + _WAITING):
            raise busy()
        self._here += 1
        try:
            await asyncio.wait_for(self._free.acquire(), self._seconds)
        except asyncio.TimeoutError:
            self._here -= 1
            raise busy() from None
        except BaseException:
            self._here -= 1
            raise

    async def __aexit__(self, *_exception: object) -> None:
        self._here -= 1
        self._free.release()


def busy() -> ApiError:
    """The error of a request for which there is no place."""
    return ApiError(503, "busy", "too many requests are being answered", "ask again later", {"Retry-After": "1"})


async def send_error(error: ApiError, send: Send) -> None:
    """Send an error as the whole answer."""
    body = error.body()
    headers = {**HEADERS, "Content-Type": JSON, "Content-Length": str(len(body)), **error.headers}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
