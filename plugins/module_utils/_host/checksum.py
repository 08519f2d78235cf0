# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of files, as sha256sum(1) makes them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import typing as t

from .._errors import BadInput, PoolError

ALGORITHMS = ("sha256", "sha512")
_CHECKSUM = re.compile(r"(?:(sha256|sha512):)?([0-9a-f]{64}|[0-9a-f]{128})")
_PIECE = 1024 * 1024


def parse_checksum(text: str) -> t.Tuple[str, str]:
    """Algorithm and digest of C(sha256:HEX), C(sha512:HEX), or the digest alone.

    :raises BadInput: it is none of them.
    """
    found = _CHECKSUM.fullmatch(text.strip().lower())
    if found:
        by_length = ALGORITHMS[len(found.group(2)) > 64]
        if found.group(1) in (None, by_length):
            return by_length, found.group(2)
    raise BadInput(f"{text[:100]!r} is no checksum", hint="give sha256:HEX or sha512:HEX", reason="bad_checksum")


def wrong_checksum(name: str, algorithm: str, found: str, wanted: str) -> PoolError:
    """That an artifact is not the one that was meant."""
    return PoolError(
        f"{name} has the {algorithm} checksum {found}, not {wanted}",
        hint="it is not the artifact that was meant, or did not arrive whole",
        phase="read",
        reason="wrong_checksum",
    )


def digests_of(path: str) -> t.Dict[str, str]:
    """The checksums of a file, by algorithm.

    :raises PoolError: it cannot be read.
    """
    handle = open_file(path, "read")
    try:
        return copied(handle, None)
    finally:
        os.close(handle)


def open_file(path: str, phase: str) -> int:
    """Open a regular file, for reading; it may lie where others can put a pipe or a device in its place, which never end.

    :raises PoolError: it cannot be read, or is something else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise PoolError(f"cannot read {path}: {exc.strerror}", path, phase=phase, reason="unreadable") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PoolError(f"cannot read {path}: it is not a regular file", path, phase=phase, reason="not_a_file")
    return handle


def copied(source: int, target: t.Optional[t.IO[bytes]]) -> t.Dict[str, str]:
    """Copy an open file to its end, to the disk; its checksums.

    :arg target: None to copy nothing.
    """
    hashes = {name: hashlib.new(name) for name in ALGORITHMS}
    piece = os.read(source, _PIECE)
    while piece:
        for one in hashes.values():
            one.update(piece)
        if target:
            target.write(piece)
        piece = os.read(source, _PIECE)
    if target:
        target.flush()
        os.fsync(target.fileno())
    return {name: one.hexdigest() for name, one in hashes.items()}
