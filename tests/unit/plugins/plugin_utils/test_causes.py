# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a pool, in the order of cause and consequence."""

from __future__ import annotations

from ansible_collections.ckpool.fleet.plugins.plugin_utils._causes import causes
from ansible_collections.ckpool.fleet.plugins.plugin_utils._rows import rows_of

from .fake_results import check, result


def test_the_cause_comes_before_what_follows_from_it() -> None:
    denied = {"hint": "use become: true, or join its group"}
    sockets = [check("critical", f"socket_{name}", hint="stuck") for name in ("listener", "stratifier", "generator")]
    checks = [
        check("critical"),
        *sockets,
        check("critical", "ready"),
        check("warning", "disk"),
        check("critical", "bitcoind"),
    ]
    (row,) = rows_of("pool1", result("hung", *checks))
    assert [cause.summary for cause in causes(row)] == [
        "bitcoind is critical", "process is critical", "ready is critical",
        "socket_listener is critical; socket_stratifier is critical; socket_generator is critical", "disk is warning",
    ]  # fmt: skip
    unread = check("warning", "users", **denied)
    (row,) = rows_of("pool1", result("unknown", unread, *checks, check("critical", "open_files", **denied)))
    assert str(causes(row)[0]) == "open_files is critical; users is warning: use --become, or join its group"
