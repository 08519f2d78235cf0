# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send one message to one socket and print its reply, as the daemon's ckpmsg does for one command."""

import struct
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket  # to import socket would take half of this program's time


def main() -> None:
    """Ask, with a deadline."""
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(5)
    connection.connect(sys.argv[1])
    message = sys.argv[2].encode()
    connection.sendall(struct.pack("<I", len(message)) + message)
    (length,) = struct.unpack("<I", connection.recv(4))
    reply = b""
    while len(reply) < length:
        reply += connection.recv(length - len(reply)) or sys.exit("half a reply")
    sys.stdout.buffer.write(reply)


main()
