# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GET by HTTP/1.1, with a bound for its size and its time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import ipaddress
import os
import socket
import ssl
import threading
import typing as t

from ...module_utils._errors import PoolError
from ...module_utils._text import printable
from ...module_utils._wording import one_line
from .service import NoAnswer, Service

MOST = 4 << 20  #: bytes of a body
_MOST_HEAD = 32 << 10  #: bytes of the status line and the headers
_MOST_ADDRESSES = 4  #: of one name that are tried
_NEVER = -1  #: a length that a body has not
_LISTENS = "does the service run there, and listen on this address? its role http_api tells how"

_Address = t.Tuple[socket.AddressFamily, t.Any]  #: and what the family has for an address


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer as it came.

    :ivar headers: by their names in lower case; of several of one name, the last.
    """

    status: int
    headers: t.Mapping[str, str]
    body: bytes


class Contexts:
    """The settings of TLS: loaded once for all hosts that share them, as reading all certificates of a system takes long."""

    def __init__(self) -> None:
        self._known: t.Dict[t.Tuple[t.Optional[str], bool], t.Union[ssl.SSLContext, PoolError]] = {}

    def of(self, service: Service) -> t.Optional[ssl.SSLContext]:
        """Those of a service; None without TLS.

        :raises PoolError: its C(ca_file) cannot be used.
        """
        if not service.is_tls:
            return None
        key = (service.ca_file, service.verifies)
        if key not in self._known:
            try:
                self._known[key] = _context(service)
            except PoolError as exc:
                self._known[key] = exc
        found = self._known[key]
        if isinstance(found, PoolError):
            raise found
        return found


def _context(service: Service) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=service.ca_file if service.verifies else None)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise NoAnswer(
            f"{service.settings}ca_file {service.ca_file} cannot be used: {_why(exc)}",
            "give a file of certificates in PEM form",
        ) from None
    if not service.verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def get(service: Service, path: str, context: t.Optional[ssl.SSLContext], most: int = MOST) -> Answer:
    """The answer of a service, whatever its status. Redirects are not followed.

    :arg context: the settings of TLS; None without it.
    :arg most: bytes that the body may have.
    :raises NoAnswer: there was none in time, or it is too large, or no HTTP.
    """
    exchange = _Exchange(service, path, context, most)
    try:
        return await asyncio.wait_for(exchange.run(), service.timeout)
    except asyncio.TimeoutError:
        raise exchange.late() from None
    finally:
        exchange.end()


class _Exchange:
    """One connection, which serves one request."""

    def __init__(self, service: Service, path: str, context: t.Optional[ssl.SSLContext], most: int) -> None:
        self._service, self._path, self._context, self._most = service, path, context, most
        self._phase = "resolve"
        self._received = 0
        self._socket: t.Optional[socket.socket] = None
        self._writer: t.Optional[asyncio.StreamWriter] = None

    async def run(self) -> Answer:
        """Connect, ask and read the answer."""
        reader, self._writer = await self._connected()
        self._writer.write(self._request())
        return await self.read(reader)

    async def read(self, reader: asyncio.StreamReader) -> Answer:
        """The answer in a stream."""
        try:
            self._phase = "answer"
            status, headers = _head(self._service, await self._read_head(reader))
            self._phase = "body"
            return Answer(status, headers, await self._read_body(reader, status, headers))
        except OSError as exc:
            raise self._broken(f": {_why(exc)}") from None

    def end(self) -> None:
        """Close the connection without waiting for the other side."""
        if self._writer is not None:
            self._writer.transport.abort()
        elif self._socket is not None:
            self._socket.close()

    def late(self) -> NoAnswer:
        """The failure that a timeout in the present phase is."""
        within = f"within {self._service.timeout:g} s"
        at = self._service.authority
        if self._phase == "resolve":
            return NoAnswer(
                f"the name {self._service.address} was not resolved {within}",
                "check the name service of this machine",
                True,
            )
        if self._phase == "connect":
            return NoAnswer(f"no connection to {at} {within}", "is a firewall in between? is the host up?", True)
        if self._phase == "tls":
            return NoAnswer(
                f"{at} accepts the connection, and no TLS {within}", "does the service hang, or expect http?"
            )
        if self._phase == "answer":
            return NoAnswer(
                f"{at} accepts the connection, and answers nothing {within}",
                "look at the service on the host: it hangs",
            )
        return NoAnswer(
            f"the answer of {at} was not complete {within}: {self._received} bytes came",
            f"look at the service and the network; for a slow host, raise {self._service.settings}timeout",
        )

    async def _connected(self) -> t.Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: t.Optional[OSError] = None
        for family, address in await _resolved(self._service):
            self._phase = "connect"
            try:
                self._socket = await _connect(family, address)
            except OSError as exc:
                failure = failure or exc
                continue
            self._phase = "tls"
            return await self._streams(self._socket)
        raise _no_connection(self._service, failure or OSError(errno.EADDRNOTAVAIL, "it has no address"))

    async def _streams(self, connected: socket.socket) -> t.Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._service.address if self._context else None
        at = self._service.authority
        try:
            return await asyncio.open_connection(
                sock=connected, ssl=self._context, server_hostname=name, limit=_MOST_HEAD
            )
        except ssl.SSLCertVerificationError as exc:
            raise _bad_certificate(self._service, exc) from None
        except (OSError, EOFError, ValueError) as exc:
            hint = f"does the service expect http? then {self._service.settings}url must say so"
            raise NoAnswer(f"no TLS with {at}: {_why(exc)}", hint) from None

    def _request(self) -> bytes:
        lines = [
            f"GET {self._service.path}{self._path} HTTP/1.1",
            f"Host: {self._service.authority}",
            "User-Agent: ckpool.fleet",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "Cache-Control: no-cache",
            "Connection: close",
        ]
        if self._service.token:
            lines.append(f"Authorization: Bearer {self._service.token}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    async def _read_head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise _no_http(self._service, f"headers of more than {_MOST_HEAD >> 10} KiB") from None
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                raise _no_http(self._service, "an answer without headers, or cut off in them") from None
            hint = f"does it expect {'http' if self._service.is_tls else 'https'}? see {self._service.settings}url, and the service's log"
            raise NoAnswer(f"{self._service.authority} closes the connection without an answer", hint) from None

    async def _read_body(self, reader: asyncio.StreamReader, status: int, headers: t.Mapping[str, str]) -> bytes:
        if status in (204, 304) or 100 <= status < 200:
            return b""
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise _no_http(self._service, "a transfer encoding that was not asked for")
            return await self._read_chunks(reader)
        if "content-length" in headers:
            length = _number(headers["content-length"], 10)
            if length == _NEVER:
                raise _no_http(self._service, "an odd Content-Length")
            return await self._read_exactly(reader, length)
        return await self._read_to_end(reader)

    async def _read_exactly(self, reader: asyncio.StreamReader, length: int) -> bytes:
        """That many bytes. They are counted as they come, for a message."""
        self._allow(length)
        parts: t.List[bytes] = []
        while length:
            part = await reader.read(min(length, 1 << 16))
            if not part:
                raise self._broken("")
            parts.append(part)
            length -= len(part)
            self._received += len(part)
        return b"".join(parts)

    async def _read_to_end(self, reader: asyncio.StreamReader) -> bytes:
        parts: t.List[bytes] = []
        while True:
            part = await reader.read(1 << 16)
            if not part:
                return b"".join(parts)
            self._allow(len(part))
            parts.append(part)
            self._received += len(part)

    async def _read_chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts: t.List[bytes] = []
        while True:
            length = _number((await self._line(reader)).split(";")[0].strip(), 16)
            if length == _NEVER:
                raise _no_http(self._service, "an odd chunk")
            if not length:
                break
            parts.append(await self._read_exactly(reader, length))
            if await self._line(reader):
                raise _no_http(self._service, "an odd chunk")
        return b"".join(parts)

    async def _line(self, reader: asyncio.StreamReader) -> str:
        try:
            return (await reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n")
        except asyncio.LimitOverrunError:
            raise _no_http(self._service, "an odd chunk") from None
        except asyncio.IncompleteReadError:
            raise self._broken("") from None

    def _allow(self, more: int) -> None:
        if self._received + more > self._most:
            raise NoAnswer(
                f"the answer of {self._service.authority} is larger than {self._most} bytes",
                f"is {self._service.settings}url that of the service?",
            )

    def _broken(self, why: str) -> NoAnswer:
        return NoAnswer(
            f"the answer of {self._service.authority} broke off after {self._received} bytes{why}",
            "look at the service's log, and for a proxy in between",
        )


def _head(service: Service, head: bytes) -> t.Tuple[int, t.Mapping[str, str]]:
    """The status and the headers."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    version, _space, rest = first.partition(" ")
    status = _number(rest[:3], 10)
    if not version.startswith("HTTP/1.") or not 100 <= status <= 599 or rest[3:4] not in ("", " "):
        raise NoAnswer(
            f"what answers speaks no HTTP: {printable(first)[:80]!r}", f"is {service.settings}url that of the service?"
        )
    headers: t.Dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return status, headers


def _number(text: str, base: int) -> int:
    """A whole number from 0 up with digits alone, and of a length that needs no time; else _NEVER."""
    digits = "0123456789abcdef"[:base]
    if not text or len(text) > 16 or any(character not in digits for character in text.lower()):
        return _NEVER
    return int(text, base)


async def _connect(family: socket.AddressFamily, address: t.Any) -> socket.socket:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting


async def _resolved(service: Service) -> t.List[_Address]:
    """The addresses of a service. A name is resolved in a thread, for which nothing waits after the timeout."""
    if _is_numeric(service.address):
        return _lookup(service)
    loop = asyncio.get_running_loop()
    future: asyncio.Future[t.List[_Address]] = loop.create_future()

    def settle(found: t.List[_Address], failure: t.Optional[NoAnswer]) -> None:
        if future.done():
            return
        if failure:
            future.set_exception(failure)
        else:
            future.set_result(found)

    def resolve() -> None:
        found: t.List[_Address] = []
        failure: t.Optional[NoAnswer] = None
        try:
            found = _lookup(service)
        except NoAnswer as exc:
            failure = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=resolve, daemon=True, name=f"resolve {service.address}").start()
    return await future


def _is_numeric(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _lookup(service: Service) -> t.List[_Address]:
    try:
        infos = socket.getaddrinfo(service.address, service.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        hint = f"set {'ansible_host or ' if service.settings else ''}{service.settings}url for this host"
        raise NoAnswer(f"the name {service.address} cannot be resolved: {_why(exc)}", hint, True) from None
    return [(info[0], info[4]) for info in infos[:_MOST_ADDRESSES]]


def _no_connection(service: Service, exc: OSError) -> NoAnswer:
    refused = exc.errno == errno.ECONNREFUSED
    hint = _LISTENS if refused else "is the host up, and the address right?"
    return NoAnswer(f"no connection to {service.authority}: {_why(exc)}", hint, True)


def _bad_certificate(service: Service, exc: ssl.SSLCertVerificationError) -> NoAnswer:
    """By OpenSSL's number of what is wrong with it."""
    unknown = f"let {service.settings}ca_file be the certificate that signed it"
    hints = {
        9: "is the clock of this machine right?",
        10: "renew the certificate of the service",
        18: unknown,
        19: unknown,
        20: unknown,
        21: unknown,
        62: f"let {service.settings}url have a name that is in the certificate",
        64: f"let {service.settings}url have an address that is in the certificate",
    }
    return NoAnswer(
        f"the certificate of {service.authority} is not accepted: {one_line(exc.verify_message)}",
        hints.get(exc.verify_code, "look at it with openssl s_client"),
    )


def _no_http(service: Service, what: str) -> NoAnswer:
    return NoAnswer(f"{service.authority} sends {what}", f"is {service.settings}url that of the service?")


def _why(exc: Exception) -> str:
    """The reason of a failure, without numbers of errors and lines of a source."""
    if isinstance(exc, ssl.SSLError):
        return (exc.reason or "failed").replace("_", " ").lower()
    number = getattr(exc, "errno", None)
    if isinstance(number, int) and number in errno.errorcode and not isinstance(exc, socket.gaierror):
        return os.strerror(number)  # asyncio has a text of its own
    return one_line(getattr(exc, "strerror", None) or str(exc) or type(exc).__name__)
