# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks for the nonce of a block header, as fast as this machine can: scan.c where there is a C compiler.

    scanner = Scanner()
    print(scanner.kind, scanner.measure())      # 'c, SHA-NI', hashes a second of one thread
    scanner.find(header76, target, first=0, count=1 << 24)

Without a compiler the same is done with hashlib, at well under a megahash: difficulty 1 (2^32 hashes) then takes
hours, and `seconds_for` says so beforehand.
"""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable

NONCES = 1 << 32
SOURCE = pathlib.Path(__file__).with_name("scan.c")
COMPILERS = ("cc", "gcc", "clang")

Search = Callable[[bytes, int, int, int], "int | None"]


@dataclasses.dataclass(frozen=True)
class Found:
    """The outcome of a search: the nonce, if any, the hashes that it took and the seconds."""

    nonce: int | None
    hashes: int
    seconds: float


def search_python(header: bytes, target: int, first: int, count: int) -> int | None:
    """Try `count` nonces from `first` on with hashlib; the nonce, or None."""
    middle = hashlib.sha256(header[:64])
    tail = header[64:76]
    limit = target.to_bytes(32, "big")
    for offset in range(count):
        nonce = (first + offset) % NONCES
        inner = middle.copy()
        inner.update(tail + nonce.to_bytes(4, "little"))
        if hashlib.sha256(inner.digest()).digest()[::-1] <= limit:
            return nonce
    return None


def compile_library() -> ctypes.CDLL | None:
    """Build and load scan.c; None where that cannot be done. The file is gone again once it is loaded."""
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        library = os.path.join(folder, "scan.so")
        command = [compiler, "-O3", "-shared", "-fPIC", "-o", library, str(SOURCE)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            return ctypes.CDLL(library)
        except (OSError, subprocess.SubprocessError):
            return None


def native_search(library: ctypes.CDLL, shani: bool) -> Search:
    """The search of a compiled scan.c. ctypes lets go of the interpreter, so threads run side by side."""
    library.fleet_scan.restype = ctypes.c_uint64
    library.fleet_scan.argtypes = [
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_uint32,
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_uint32),
    ]

    def search(header: bytes, target: int, first: int, count: int) -> int | None:
        nonce = ctypes.c_uint32()
        limit = target.to_bytes(32, "big")
        tried = library.fleet_scan(header, limit, first, count, int(shani), ctypes.byref(nonce))
        return nonce.value if tried else None

    return search


class Scanner:
    """One way to search, chosen once. `kind` says which; `native=False` and `shani=False` ask for a slower one."""

    def __init__(self, *, native: bool = True, shani: bool = True) -> None:
        self.kind = "python"
        self._search: Search = search_python
        self._rate: float | None = None
        library = compile_library() if native else None
        if library is not None:
            shani = shani and bool(library.fleet_has_shani())
            self._search = native_search(library, shani)
            self.kind = "c, SHA-NI" if shani else "c"

    @property
    def chunk(self) -> int:
        """Nonces that take very roughly half a second: how often a miner looks for newer work."""
        return 1 << (15 if self.kind == "python" else 22)

    def find(self, header: bytes, target: int, *, first: int, count: int) -> Found:
        """Try `count` nonces from `first` on. `header`: 76 bytes or more; `target`: highest hash that will do."""
        if len(header) < 76:
            raise ValueError("a header without its nonce has 76 bytes")
        started = time.perf_counter()
        nonce = self._search(header[:76], target, first % NONCES, count)
        hashes = count if nonce is None else (nonce - first) % NONCES + 1
        return Found(nonce, hashes, time.perf_counter() - started)

    def measure(self) -> float:
        """Hashes a second of one thread, measured once over one chunk."""
        if self._rate is None:
            trial = self.find(bytes(76), 0, first=0, count=self.chunk)
            self._rate = trial.hashes / trial.seconds
        return self._rate

    def seconds_for(self, difficulty: float, *, threads: int = 1) -> float:
        """How long a share of a difficulty takes on average, in seconds. Three times as long is not rare (5 %)."""
        return difficulty * NONCES / (self.measure() * threads)
