# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate: loaded at the start, and again when its files change, as when it is renewed."""

from __future__ import annotations

import logging
import os
import ssl
import time
import typing as t

from .settings import BadSettings, Settings

_log = logging.getLogger("ckpool_http")


class Certificate:
    """What encrypts connections.

    :ivar context: for new connections.
    :ivar expires: epoch seconds; None if it is not known.
    :raises BadSettings: certificate or key cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._paths = (str(settings.tls_certificate), str(settings.tls_key))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.expires: t.Optional[float] = None
        self._seen = self._look()
        self._load()

    def renew(self) -> None:
        """Load the files again if they have changed. As long as they do not fit each other, the old ones stay in use."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load()
        except BadSettings as exc:
            _log.error("the certificate stays as it was: %s", exc)
        else:
            _log.info("the certificate was loaded again")

    def _load(self) -> None:
        try:
            # Into a context of its own first: one that fails leaves half of a pair behind.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._paths)
            self.context.load_cert_chain(*self._paths)
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or exc
            raise BadSettings("tls_certificate {} with tls_key {}: {}".format(*self._paths, why)) from None
        self.expires = _expiry(self._paths[0])
        if self.expires is not None and self.expires < time.time():
            _log.error("the certificate %s has expired: readers that verify it refuse it", self._paths[0])

    def _look(self) -> t.Tuple[t.Any, ...]:
        try:
            found = [os.stat(path) for path in self._paths]
        except OSError:
            return ()
        return tuple((info.st_mtime_ns, info.st_ino, info.st_size) for info in found)


def _expiry(path: str) -> t.Optional[float]:
    try:
        decode = getattr(ssl, "_ssl")._test_decode_cert  # noqa: B009  (all that the standard library has)
        return float(ssl.cert_time_to_seconds(decode(path)["notAfter"]))
    except Exception:  # pylint: disable=broad-except
        return None
