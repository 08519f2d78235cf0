# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where miners are redirected to: something has to accept connections there, or they are lost."""

from __future__ import annotations

import contextlib
import socket
import time
import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._orders import redirect

from tests.support import free_port


@contextlib.contextmanager
def listening(family: int, host: str, backlog: int = 5) -> t.Iterator[int]:
    """A socket that takes connections; its port."""
    with socket.socket(family) as server:
        try:
            server.bind((host, 0))
        except OSError as exc:
            pytest.skip(f"this machine has no {host}: {exc}")
        server.listen(backlog)
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_what_accepts_connections_is_reachable(host: str) -> None:
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    with listening(family, "::1" if host == "[::1]" else "127.0.0.1") as port:
        redirect.require_reachable(f"{host}:{port}")


def test_what_does_not_listen_is_refused_with_a_way_to_go_on() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(PoolError) as caught:
        redirect.require_reachable(address)
    assert (caught.value.phase, caught.value.reason) == ("connect", "redirect_unreachable")
    assert address in str(caught.value) and "Connection refused" in str(caught.value)
    assert "redirect_check: false" in caught.value.hint


def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(PoolError, match=r"spare\.invalid:3333") as caught:
        redirect.require_reachable("spare.invalid:3333")
    assert caught.value.reason == "redirect_unreachable"


def test_what_does_not_answer_is_given_up_in_time() -> None:
    """As behind a firewall that drops packets: here its queue is full."""
    with listening(socket.AF_INET, "127.0.0.1", 0) as port, contextlib.ExitStack() as stack:
        for _number in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        begin = time.monotonic()
        with pytest.raises(PoolError, match=r"within 0\.5 s") as caught:
            redirect.require_reachable(f"127.0.0.1:{port}", 0.5)
        assert caught.value.reason == "redirect_unreachable" and time.monotonic() - begin < 30


def test_a_resolver_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_where, **_more: time.sleep(15))
    begin = time.monotonic()
    with pytest.raises(PoolError, match=r"within 0\.3 s"):
        redirect.require_reachable("spare.example.org:3333", 0.3)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("text", ["spare", "spare:0", "a b:1", ""])
def test_a_bad_address_is_tried_nowhere(text: str) -> None:
    with pytest.raises(BadInput):
        redirect.require_reachable(text)
