# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations and archives of any content: judged without a fault of ours, hidden where they should be, never outside."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.ckpool.fleet.plugins.module_utils._errors import PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host.archive import Unpacker
from ansible_collections.ckpool.fleet.plugins.module_utils._install import daemon_config, masked
from hypothesis import given
from hypothesis import strategies as st

from ..made import JSON, TEXT, objects

SECRETS = st.sampled_from(["secret-one", "secret-two"])
KEYS = [*daemon_config.KEYS, "rpcpassword"]
CONFIGS = objects(KEYS, JSON | st.lists(objects(["url", "auth", "pass", "notify"]), max_size=3))
OPEN = {
    "btcsig",
    "url",
    "serverurl",
    "btcaddress",
    "version_mask",
    "logdir",
    "ipcmining",
}  #: keys whose values may be shown


@given(config=CONFIGS, mode=st.sampled_from(daemon_config.MODES), name=TEXT)
def test_any_configuration_is_judged(config: t.Dict[str, t.Any], mode: str, name: str) -> None:
    once = daemon_config.normalised(config)
    assert json.dumps(daemon_config.normalised(once)) == json.dumps(once)
    place = daemon_config.Place(
        name, mode, "/run/ckpool/x", 100, (daemon_config.Neighbour("y", "/a", "/b", ("0.0.0.0:1",)),)
    )
    for finding in daemon_config.findings(once, place):
        assert all(text.isprintable() for text in finding.as_dict().values())
    for host, port in daemon_config.listening(once, mode):
        assert isinstance(host, str) and 0 < port < 65536


@given(data=st.data())
def test_a_secret_is_not_shown_wherever_it_stands(data: st.DataObject) -> None:
    def planted(secret: str) -> t.Dict[str, t.Any]:
        inner = st.dictionaries(
            st.sampled_from(["pass", "auth", "token", "x"]), st.just(secret) | st.integers(), max_size=3
        )
        values = st.just(secret) | inner | st.lists(inner, max_size=2) | st.lists(st.just(secret), max_size=2)
        keys = st.sampled_from([key for key in KEYS if key not in OPEN] + ["pass", "own"])
        return data.draw(st.dictionaries(keys, values, max_size=4))

    before, after = planted("secret-one"), planted("secret-two")
    texts = masked.before_and_after(before, after)
    assert "secret-one" not in "".join(texts) and "secret-two" not in "".join(texts)
    assert masked.secrets(after) <= {"secret-two"}
    assert masked.secrets(after) or "secret-two" not in json.dumps(after)


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "ckpool"]), min_size=1, max_size=4).map("/".join)
ENTRIES = st.lists(
    st.tuples(
        NAMES | TEXT,
        st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]),
        NAMES | st.just("/etc"),
        st.sampled_from([0o644, 0o755, 0o4755]),
    ),
    max_size=6,
)


@given(entries=ENTRIES)
def test_nothing_of_an_archive_lands_or_leads_outside(entries: t.List[t.Tuple[str, bytes, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as outer:
        inner = Path(outer, "inner")
        inner.mkdir()
        path = Path(outer, "a.tar")
        with tarfile.open(path, "w") as tar:
            for name, kind, target, mode in entries:
                info = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
                info.type, info.linkname, info.mode = kind, target, mode
                info.size = 4 if kind == tarfile.REGTYPE else 0
                tar.addfile(info, io.BytesIO(b"data"))
        source, folder = os.open(path, os.O_RDONLY), os.open(inner, os.O_RDONLY)
        try:
            Unpacker(folder).unpack(source, "a.tar")
        except PoolError as exc:
            assert str(exc).isprintable()
        finally:
            os.close(source)
            os.close(folder)
        assert sorted(os.listdir(outer)) == ["a.tar", "inner"]
        for place, folders, files in os.walk(inner):
            for found in (*folders, *files):
                assert os.path.realpath(os.path.join(place, found)).startswith(str(inner))


@given(
    data=st.binary(max_size=2000),
    head=st.sampled_from([b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\0" * 257 + b"ustar"]),
)
def test_any_bytes_are_an_archive_or_none(data: bytes, head: bytes) -> None:
    with tempfile.TemporaryFile() as stream:
        stream.write(head + data)
        stream.flush()
        try:
            Unpacker(None).unpack(stream.fileno(), "x")
        except PoolError as exc:
            assert str(exc).isprintable()
