# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon would not say of a configuration is said before it is in place."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ckpool.fleet.plugins.module_utils._install.daemon_config import (
    ERROR,
    WARNING,
    Config,
    Neighbour,
    Place,
    findings,
    listening,
    normalised,
    split_address,
)

POOL: Config = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "user", "pass": "secret"}],
    "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "serverurl": ["0.0.0.0:3333"],
    "logdir": "/var/log/ckpool/main",
}
PROXY: Config = {
    "proxy": [{"url": "pool.example.org:3333", "auth": "user", "pass": "x"}],
    "serverurl": ["0.0.0.0:3334"],
    "logdir": "/var/log/ckpool/main",
}
OTHER = Neighbour("other", "/run/ckpool/other", "/var/log/ckpool/other", ("0.0.0.0:3444",))


def found(config: t.Mapping[str, t.Any], mode: str = "pool", **place: t.Any) -> t.List[t.Tuple[str, str]]:
    """The levels and keys of what is found."""
    where = {"socket_dir": "/run/ckpool/main", "neighbours": (OTHER,), **place}
    return [(one.level, one.key) for one in findings(normalised(config), Place("main", mode, **where))]


@pytest.mark.parametrize(
    ("mode", "config"),
    [
        ("pool", POOL),
        ("solo", {key: value for key, value in POOL.items() if key != "btcaddress"}),
        ("proxy", PROXY),
        ("passthrough", PROXY),
        ("redirector", {**PROXY, "redirecturl": ["a.example.org:3333"]}),
    ],
)
def test_good_ones(mode: str, config: Config) -> None:
    assert found(config, mode) == []


@pytest.mark.parametrize(
    ("mode", "change", "level", "key"),
    [
        ("pool", {"btcaddress": None}, ERROR, "btcaddress"),
        ("pool", {"btcaddress": ""}, ERROR, "btcaddress"),
        ("pool", {"btcaddress": 1}, ERROR, "btcaddress"),
        ("proxy", {"proxy": []}, ERROR, "proxy"),
        ("proxy", {"proxy": [{"url": "x:1"}]}, ERROR, "proxy[0]"),
        ("redirector", {}, ERROR, "redirecturl"),
        ("pool", {"nonce1length": 9}, ERROR, "nonce1length"),
        ("pool", {"nonce2length": 1}, ERROR, "nonce2length"),
        ("pool", {"btcd": [{"url": "x:1", "auth": "u"}]}, ERROR, "btcd[0]"),
        ("pool", {"btcd": [{"url": "x:1", "auth": "u", "pass": 7}]}, ERROR, "btcd[0].pass"),
        ("pool", {"btcd": "x:1"}, ERROR, "btcd"),
        ("pool", {"blockpoll": "often"}, ERROR, "blockpoll"),
        ("pool", {"update_interval": True}, ERROR, "update_interval"),
        ("pool", {"serverurl": [3333]}, ERROR, "serverurl"),
        ("pool", {"serverurl": ["nothing like:an:address"]}, ERROR, "serverurl"),
        ("pool", {"serverurl": ["0.0.0.0:70000"]}, ERROR, "serverurl"),
        ("pool", {"serverurl": ["0.0.0.0:3333", "127.0.0.1:3333"]}, ERROR, "serverurl"),
        ("pool", {"serverurl": ["10.0.0.1:3444"]}, ERROR, "serverurl"),
        ("pool", {"logdir": "logs"}, ERROR, "logdir"),
        ("pool", {"logdir": "/var/log/ckpool/other/"}, ERROR, "logdir"),
        ("pool", {"logdir": "/" + "x" * 250}, ERROR, "logdir"),
        ("pool", {"sv2url": "0.0.0.0:3336"}, ERROR, "sv2_authority_key"),
        ("pool", {"serverurl": "0.0.0.0:4334"}, WARNING, "serverurl"),
        ("pool", {"startdif": 42}, WARNING, "startdif"),
        ("pool", {"btcd": [{**POOL["btcd"][0], "usr": "x"}]}, WARNING, "btcd[0].usr"),
        ("pool", {"btcd": [{**POOL["btcd"][0], "notify": True}]}, WARNING, "btcd[0].notify"),
        ("pool", {"btcd": []}, WARNING, "btcd"),
        ("pool", {"btcsig": "/" + "x" * 40}, WARNING, "btcsig"),
        ("pool", {"version_mask": "1fffe00z"}, WARNING, "version_mask"),
        ("pool", {"mindiff": 0.5}, WARNING, "mindiff"),
        ("pool", {"maxclients": 1000}, WARNING, "maxclients"),
        ("pool", {"redirecturl": ["x:1"]}, WARNING, "redirecturl"),
        ("proxy", {"sv2url": ["0.0.0.0:3336"]}, WARNING, "sv2url"),
    ],
)  # fmt: skip
def test_bad_ones(mode: str, change: Config, level: str, key: str) -> None:
    base = POOL if mode in ("pool", "solo") else PROXY
    config = {name: value for name, value in {**base, **change}.items() if value is not None}
    assert (level, key) in found(config, mode, open_files=1000)
    assert [one for one in found(config, mode, open_files=1000) if one[0] == ERROR] == sorted(
        {one for one in found(config, mode, open_files=1000) if one[0] == ERROR}
    )


def test_a_key_that_is_nearly_one_is_named() -> None:
    config = normalised({**POOL, "StartDiff": 42, "nothing_like_it": 1})
    texts = {one.key: one.message for one in findings(config, Place("main", "pool", "/run/ckpool/main"))}
    assert texts["StartDiff"].endswith("is startdiff meant?")
    assert "meant" not in texts["nothing_like_it"]


@pytest.mark.parametrize(
    "path",
    ["/tmp/ckpool/sv2_authority.key", "/run/ckpool/main/k", "/dev/shm/k", "/srv/sockets/k", "relative"],
)
def test_keys_of_stratum_v2_have_to_last(path: str) -> None:
    config = {**POOL, "sv2url": "0.0.0.0:3336", "sv2_static_key": "/var/lib/ckpool/k", "sv2_authority_key": path}
    assert found(config, socket_dir="/srv/sockets") == [(ERROR, "sv2_authority_key")]
    assert found({**config, "sv2_authority_key": "/var/lib/ckpool/a"}) == []


def test_sockets_have_short_paths_and_are_not_shared() -> None:
    assert found(POOL, socket_dir="/run/" + "x" * 100) == [(ERROR, "socket_dir")]
    assert found(POOL, socket_dir="/run/ckpool/other/") == [(ERROR, "socket_dir")]


@pytest.mark.parametrize("more", [{"zmqblock": "tcp://127.0.0.1:28332"}, {"ipcmining": "/run/bitcoind.sock"}])
def test_a_node_that_tells_of_blocks_may_be_left_unasked(more: Config) -> None:
    assert found({**POOL, "btcd": [{**POOL["btcd"][0], "notify": True}], **more}) == []


def test_a_cookie_takes_the_place_of_a_password() -> None:
    assert found({**POOL, "btcd": [{"url": "x:1", "cookie": "/x/.cookie"}]}) == []


@pytest.mark.parametrize(("listen", "is_free"), [(":3333", False), ("[::1]:3333", False), (":3334", True)])
def test_the_port_of_a_running_neighbour_is_taken(listen: str, is_free: bool) -> None:
    """Two daemons would wait for each other's end: the one that comes second tries to bind for ever, and says it is ready."""
    running = Neighbour("old (pid 7)", listen=(listen,), hint="name it old")
    assert found(POOL, neighbours=(running,)) == ([] if is_free else [(ERROR, "serverurl")])


def test_values_are_written_as_all_builds_read_them() -> None:
    config = {
        "btcd": {"url": "x:1", "notify": "True"},
        "serverurl": "a:1",
        "donation": 1,
        "poolfee": "2",
        "startdiff": "42",
        "mindiff": 1.0,
        "maxdiff": "0.5",
        "maxclients": "many",
        "allow_low_diff": "no",
        "simulation": {"users": "3"},
        "unknown": "7",
    }
    assert normalised(config) == {
        "btcd": [{"url": "x:1", "notify": True}],
        "serverurl": ["a:1"],
        "donation": 1.0,
        "poolfee": 2,
        "startdiff": 42,
        "mindiff": 1,
        "maxdiff": 0.5,
        "maxclients": "many",
        "allow_low_diff": False,
        "simulation": {"users": "3"},
        "unknown": "7",
    }
    assert isinstance(normalised(config)["donation"], float) and isinstance(normalised(config)["poolfee"], float)
    assert isinstance(normalised(config)["mindiff"], int)
    assert normalised(normalised(config)) == normalised(config)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:3333", ("0.0.0.0", 3333)),
        ("pool.example.org", ("pool.example.org", 7)),
        ("stratum+tcp://Pool.example.org:1/x", ("pool.example.org", 1)),
        ("[::1]:3333", ("[::1]", 3333)),
        (":3333", ("", 3333)),
        ("x:0", None),
        ("x:99999", None),
        ("x y:1", None),
        ("a:b:1", None),
    ],
)
def test_addresses(text: str, address: t.Optional[t.Tuple[str, int]]) -> None:
    assert split_address(text, 7) == address


def test_where_it_listens() -> None:
    assert listening({}, "pool") == [("0.0.0.0", 3333)]
    assert listening({}, "passthrough") == [("0.0.0.0", 3334)]
    assert listening({"sv2url": ["0.0.0.0"]}, "pool") == [("0.0.0.0", 3336)]
    assert listening({"sv2url": ["0.0.0.0"]}, "proxy") == [("0.0.0.0", 3334)]
    assert listening({"serverurl": ["a:1"], "trusted": ["b:2"]}, "pool") == [("a", 1), ("b", 2)]
