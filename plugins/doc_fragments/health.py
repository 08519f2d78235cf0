# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the checks of the health of a pool."""

from __future__ import annotations


class ModuleDocFragment:
    """Which checks are made, how, and what still counts as healthy."""

    DOCUMENTATION = r"""
options:
  skip_checks:
    description:
      - Checks to leave out.
      - V(accepting) warns if a task of this collection told the pool to reject miners.
      - V(figures) warns of statistics that cannot be true of a working pool, such as workers without any hashrate.
      - V(stranded) warns of connections of miners that are open but read by nobody, as after a manual restart. It needs C(become), or
        to be run by the daemon's user.
      - V(upstream) warns if a proxy, passthrough, redirector or node has no connection to the pool that it works for, or if nothing has
        come from there for 5 minutes.
    type: list
    elements: str
    choices:
      [process, ready, accepting, threads, bitcoind, work_age, work_moves, statistics, figures, upstream, socket_listener,
      socket_stratifier, socket_connector, socket_generator, hashrate, hashrate_drop, users, workers, reject_ratio,
      stranded, open_files, disk, log_errors, leftovers]
    default: []
  sample_seconds:
    description:
      - Seconds to watch the daemon's counter of workbases, from V(0) to V(600). With V(0), the log is used instead.
      - Use this for a daemon whose log level hides its work, with more seconds than its C(update_interval).
    type: float
    default: 0.0
  log_limit:
    description:
      - Maximum number of bytes to read from the end of the log, from V(0) to V(1099511627776).
    type: int
    default: 16777216
  thresholds:
    description:
      - Limits within which a pool counts as healthy. Percentages are from V(0) to V(100), all other numbers from V(0) to V(1000000000).
    type: dict
    default: {}
    suboptions:
      latency_warning:
        description:
          - Maximum number of seconds that a socket may take to answer.
        type: float
        default: 1.0
      start_grace:
        description:
          - Maximum number of seconds after its start that a pool may be without work.
        type: float
        default: 120.0
      work_age_warning:
        description:
          - Maximum age of the last piece of work in seconds. The default is three times the
            C(update_interval) of the daemon's configuration plus 5 seconds.
        type: float
      work_age_critical:
        description:
          - The same above which it is critical. The default is ten times C(update_interval) plus 5 seconds.
        type: float
      statistics_age_warning:
        description:
          - Maximum age of the statistics in seconds. The daemon writes them every minute.
        type: float
        default: 150.0
      statistics_age_critical:
        description:
          - The same above which it is critical.
        type: float
        default: 600.0
      hashrate_min:
        description:
          - Minimum hashrate over 5 minutes, as a number in H/s, or as a string such as V(1.5P) or V(1.5 PH/s). Not checked by default.
          - Units are case-sensitive. V(M) is mega, and V(m) is milli. V(500m) is rejected because it could mean either.
        type: str
      hashrate_drop_warning:
        description:
          - Maximum percentage by which the hashrate over 5 minutes may be below that over 1 hour.
        type: float
        default: 50.0
      hashrate_drop_critical:
        description:
          - The same above which it is critical.
        type: float
        default: 90.0
      users_min:
        description:
          - Minimum number of users. Not checked by default.
        type: int
      workers_min:
        description:
          - Minimum number of workers. Not checked by default.
        type: int
      reject_ratio_warning:
        description:
          - Maximum percentage of rejected shares.
          - Only checked if there are at least 100 shares. C(accepted) and C(rejected) in status files are sums of difficulties, so the number
            of shares is taken from the build's own counts, or estimated from the mean difficulty of a share, which follows from a
            hashrate and the shares per second over the same time.
        type: float
        default: 5.0
      reject_ratio_critical:
        description:
          - The same above which it is critical.
        type: float
        default: 25.0
      open_files_warning:
        description:
          - Maximum percentage of the process's limit of open files that may be in use.
        type: float
        default: 80.0
      open_files_critical:
        description:
          - The same above which it is critical.
        type: float
        default: 95.0
      open_files_spare:
        description:
          - Maximum number of files that may be open in addition to one for each client.
        type: int
        default: 500
      disk_free_warning:
        description:
          - Minimum percentage of free space on the disk of the log directory.
        type: float
        default: 10.0
      disk_free_critical:
        description:
          - The same below which it is critical.
        type: float
        default: 3.0
      log_errors_critical:
        description:
          - Number of recent errors in the log that is critical. Fewer are a warning. The error that no bitcoind answers does not count.
        type: int
        default: 100
      log_window:
        description:
          - Age in seconds up to which an error in the log counts as recent.
        type: float
        default: 600.0
"""
