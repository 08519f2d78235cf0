# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long nothing has arrived on connections of a process.

Sources: pidfd_getfd(2), tcp(7) (TCP_INFO).
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t

from . import pidfd

_TCP_INFO = struct.Struct("=52xI")  #: of tcp_info, the milliseconds since data was last received


def seconds_of_silence(pid: int, connections: t.Mapping[int, int]) -> t.Optional[float]:
    """Seconds since anything has arrived on any of these connections.

    None if there are none, or if the kernel does not tell, which takes Linux 5.6, and root.

    :arg connections: of the process, descriptor to inode.
    """
    try:
        with pidfd.handle_on(pid) as handle:
            return min((_silence_of(handle, *one) for one in connections.items()), default=None)
    except (OSError, struct.error):
        return None


def _silence_of(handle: int, descriptor: int, inode: int) -> float:
    """Seconds since anything has arrived on a connection; 0 if it is another one by now.

    :raises OSError: the kernel does not give it.
    """
    with socket.socket(fileno=pidfd.copy_descriptor(handle, descriptor)) as copy:
        if os.fstat(copy.fileno()).st_ino != inode:
            return 0.0
        info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    return float(_TCP_INFO.unpack(info)[0]) / 1000
