# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Return the metrics of a ckpool, and write them to a file for Prometheus."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_metrics
short_description: Return the metrics of a ckpool for Prometheus
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Returns everything that is known of a ckpool, or of every ckpool on the host, as metrics in the text format of Prometheus, and as a list
    of samples.
  - Without options, the module uses the only pool of the host. If there are several, choose one by O(socket_dir), or set
    O(all_instances=true).
  - With O(textfile), also writes them to a file that the textfile collector of node_exporter reads. Nothing needs to be installed on the
    host besides node_exporter.
  - Asks and reads the same as M(ckpool.fleet.ckpool_health_info) does, and also the log for blocks.
  - A pool that is down or hung is not an error, unless O(fail_when_down=true). C(ckpool_up) is 0 then.
extends_documentation_fragment:
  - ckpool.fleet.pool
  - ckpool.fleet.pool.pid
  - ckpool.fleet.pool.all_instances
  - ckpool.fleet.pool.fail_when_down
  - ckpool.fleet.attributes
  - ckpool.fleet.attributes.info_module
  - ckpool.fleet.attributes.actiongroup_ckpool
  - ckpool.fleet.health
attributes:
  check_mode:
    details:
      - Returns what would be written, and writes nothing.
  diff_mode:
    support: full
    details:
      - Shows the file before and after.
  idempotent:
    support: N/A
    details:
      - Metrics show the state of their time, so writing them is always a change.
options:
  socket_dirs:
    description:
      - Socket directories of instances that should run. One that does not run has C(ckpool_up) 0. Otherwise, one that was shut down before
        the first run would not be noticed.
      - Only with O(all_instances=true).
    type: list
    elements: path
    default: []
  textfile:
    description:
      - Absolute path of the file to write, whose name ends in C(.prom), as the collector reads no other files. It is replaced atomically.
        Its directory must exist.
      - No link is followed in any part of the path. A file is replaced only if it is a regular file of the user that the task runs as, with
        metrics of this collection.
      - With O(all_instances=true), a pool that is in this file and is no longer found stays in it with C(ckpool_up) 0 and the state
        V(gone), until O(forget) names it.
    type: path
  textfile_mode:
    description:
      - Mode of the file, as an octal number.
    type: str
    default: "0644"
  forget:
    description:
      - Pools in O(textfile) that were removed on purpose, by the value of their label C(pool), or V(all).
    type: list
    elements: str
    default: []
  instance_label:
    description:
      - Value of the label C(instance). By default, there is none, because Prometheus adds it when it scrapes the host.
    type: str
  top_users:
    description:
      - Number of users that have series of their own, those with the highest hashrate over 1 minute, from V(0) to V(1000).
      - Every user that was ever among them makes new series in Prometheus, and everybody who can read the metrics can read their names.
    type: int
    default: 0
  blocks_limit:
    description:
      - Maximum number of bytes of the log and its rotated files to read for blocks, from V(0) to V(1099511627776). V(0) leaves the metrics
        of blocks out.
    type: int
    default: 67108864
seealso:
  - module: ckpool.fleet.ckpool_health_info
  - module: ckpool.fleet.ckpool_metrics_report
"""

EXAMPLES = r"""
- name: Return the metrics of the pool on this host
  ckpool.fleet.ckpool_metrics:
  register: pool

- name: Show one of them
  ansible.builtin.debug:
    msg: "{{ pool.samples | selectattr('name', 'eq', 'ckpool_workers') | map(attribute='value') | first }} workers"

- name: Write the metrics of every pool on the host for node_exporter, with the five strongest users of each
  ckpool.fleet.ckpool_metrics:
    all_instances: true
    socket_dirs: [/run/ckpool/solo]
    textfile: /var/lib/prometheus/node-exporter/ckpool.prom
    top_users: 5
"""

RETURN = r"""
text:
  description: The metrics in the text format of Prometheus, with their help and type. Those of all instances with O(all_instances=true).
  returned: success
  type: str
  sample: "# HELP ckpool_up Whether the pool answers.\n# TYPE ckpool_up gauge\nckpool_up{pool=\"ckpool\"} 1\n"
samples:
  description: The same metrics as a list.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the metric.
      type: str
      sample: ckpool_hashrate_hashes_per_second
    labels:
      description: The labels, by name.
      type: dict
      sample: {"pool": "ckpool", "window": "1m"}
    value:
      description: The value, in the unit of the metric.
      type: float
      sample: 38500000.0
textfile:
  description: The file that was written, or would be in check mode.
  returned: O(textfile) is set
  type: str
  sample: /var/lib/prometheus/node-exporter/ckpool.prom
gone:
  description: The pools that were in the file and are no longer found, by the value of their label C(pool).
  returned: O(all_instances=true)
  type: list
  elements: str
  sample: []
instance:
  description: The instance, as it was last seen. Null if there is none.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  contains:
    name:
      description: The daemon's name, from its command line, or from its directory if it has ended.
      type: str
      sample: ckpool
    mode:
      description: The daemon's mode, from its command line. One of V(pool), V(solo), V(proxy), V(passthrough), V(redirector) and V(node).
      type: str
      sample: pool
    socket_dir:
      description: Its socket directory, as the daemon sees it.
      type: str
      sample: /tmp/ckpool
    log_dir:
      description: Its log directory, as the daemon sees it, from its open files or its configuration. Null if unknown.
      type: str
      sample: /var/log/ckpool
    pid:
      description: Its process ID, as seen from the host. Null if there is none.
      type: int
      sample: 4242
    started:
      description: Time at which its process was started, in epoch seconds. Null if it does not run.
      type: int
      sample: 1795385226
    root:
      description: Where the host sees its file system. V(/), or C(/proc/PID/root) for a container or a unit with C(PrivateTmp).
      type: str
      sample: /
    user:
      description: Owner of its process, or of its directory if it has ended. Null if unknown.
      type: str
      sample: ckpool
    state:
      description:
        - V(ok) if it answers and has work. V(degraded) if a part of it does not answer. V(starting) if it has no work yet. V(hung) if it
          accepts connections and does not answer. V(down) if nothing listens. V(unknown) if it cannot be asked, because its sockets
          are not accessible, or because another process or nonsense answers on them. Null if it was not asked.
      type: str
      sample: ok
pool:
  description: The value of the label C(pool). This is the name of the instance. If several instances of the host have this name, it is the name
    and the socket directory, as V(ckpool:/run/a).
  returned: success, unless O(all_instances=true)
  type: str
  sample: ckpool
source:
  description: Where the statistics came from, as O(source). Null if there are none.
  returned: success, unless O(all_instances=true)
  type: str
  sample: files
as_of:
  description: Time at which the source produced the statistics, in epoch seconds. Null if there are none.
  returned: success, unless O(all_instances=true)
  type: int
  sample: 1795385464
problems:
  description: What could not be determined, by area, with the reason.
  returned: success, or failure after the instance was found, unless O(all_instances=true)
  type: dict
  sample: {}
instances:
  description:
    - The result for each instance, with the same keys as for one, without RV(samples) and RV(text). If an instance failed, its result has
      C(failed), and C(phase), C(path), C(reason), C(hint) and C(msg) of the failure, and its C(ckpool_up) is 0. The task fails as well
      then, after the file was written.
  returned: O(all_instances=true)
  type: list
  elements: dict
  sample: []
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "ckpool (/tmp/ckpool): ok, 71 samples; written to /var/lib/prometheus/node-exporter/ckpool.prom"
phase:
  description: The phase that failed. One of V(options), V(find), V(connect), V(ask), V(read), V(parse) and V(write).
  returned: failure
  type: str
  sample: connect
path:
  description: The socket, file or directory that the failure is about. Null if it is about none.
  returned: failure
  type: str
  sample: /tmp/ckpool/listener
reason:
  description: The reason for the failure, as a short, stable code.
  returned: failure
  type: str
  sample: not_permitted
hint:
  description: What to check or try next. Empty if nothing is known to help.
  returned: failure
  type: str
  sample: "use become: true"
"""

import contextlib
import functools
import re
import time
import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._ask.measure import BLOCKS_LIMIT, MetricsOptions
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, PoolError, Unparsable
from ansible_collections.ckpool.fleet.plugins.module_utils._health_options import HEALTH_OPTIONS, health_options
from ansible_collections.ckpool.fleet.plugins.module_utils._host import publish
from ansible_collections.ckpool.fleet.plugins.module_utils._info_module import find_pool
from ansible_collections.ckpool.fleet.plugins.module_utils._metrics import (
    FAILED,
    GONE,
    Sample,
    exposition,
    last_looks,
    owners,
    parse,
    pool_labels,
    samples_of,
    samples_of_nothing,
    samples_without_answer,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._module import PoolModule, Result, for_each, run
from ansible_collections.ckpool.fleet.plugins.module_utils._options import READING_OPTIONS
from ansible_collections.ckpool.fleet.plugins.module_utils._pool import Pool
from ansible_collections.ckpool.fleet.plugins.module_utils._results import DOWN_STATES, describe, together


def work(module: PoolModule) -> Result:
    """Measure one pool or all, and write the file."""
    options = metrics_options(module)
    path = module.params["textfile"]
    with publish.opened(path) if path else contextlib.nullcontext() as place:
        # What is in the way is found before anything is asked.
        before = known(place) if place else []
        rows = measure(module, options)
        samples, gone = samples_of_rows(module, rows, before)
        result = together(rows) if module.params["all_instances"] else rows[0]
        if module.params["all_instances"]:
            result["gone"] = gone
            if not rows:
                result["failed"] = bool(module.params["fail_when_down"])
        text = exposition(samples)
        result.update(samples=[sample.as_dict() for sample in samples], text=text)
        if gone:
            result["msg"] += f"; gone: {', '.join(gone)}"
        return write(module, place, text, result) if place else result


def measure(module: PoolModule, options: MetricsOptions) -> t.List[Result]:
    """A result for each pool, with its reading, or with the failure."""
    if not module.params["all_instances"]:
        if module.params["socket_dirs"]:
            raise BadInput("socket_dirs needs all_instances: true", reason="bad_option")
        return [one(module, options, find_pool(module))]

    def find_all() -> t.List[Pool]:
        return Pool.find_all(module.params["socket_dirs"], **module.search_options())

    return for_each(module, find_all, functools.partial(one, module, options))


def one(module: PoolModule, options: MetricsOptions, pool: Pool) -> Result:
    """The result for one pool."""
    reading = pool.measure(options)
    state = reading.verdict.state
    return {
        "instance": pool.instance.as_dict(reading.seen.state),
        "source": reading.seen.stats_source or None,
        "as_of": reading.seen.stats_as_of,
        "problems": reading.problems,
        "reading": reading,
        "failed": bool(module.params["fail_when_down"]) and state in DOWN_STATES,
        "msg": f"{describe(pool.instance)}: {state}",
    }


def samples_of_rows(
    module: PoolModule, rows: t.Sequence[Result], before: t.Sequence[Sample]
) -> t.Tuple[t.List[Sample], t.List[str]]:
    """The samples of all pools, those included that are gone, and the labels of these. Adds its label to each row.

    :arg before: the samples of the earlier file.
    """
    now, samples = time.time(), []
    for row, label in zip(rows, pool_labels([row["instance"] for row in rows])):
        row["pool"] = label
        reading = row.pop("reading", None)
        found = samples_of(reading, label) if reading else samples_without_answer(label, FAILED, round(now, 3))
        row["msg"] += f", {len(found)} samples"
        samples += found
    gone = missing(module, owners(before), owners(samples)) if module.params["all_instances"] else []
    looks = {pool: looked for (_instance, pool), looked in last_looks(before).items()}
    for label in gone:
        samples += samples_without_answer(label, GONE, looks.get(label))
    return [sample.of(module.params["instance_label"]) for sample in samples or samples_of_nothing(now)], gone


def missing(
    module: PoolModule, before: t.Sequence[t.Tuple[str, str]], now: t.Sequence[t.Tuple[str, str]]
) -> t.List[str]:
    """The pools that were known and are not found, without those that are gone on purpose."""
    present = {pool for _instance, pool in now}
    forgotten = set(module.params["forget"])
    if "all" in forgotten:
        return []
    return [pool for _instance, pool in before if pool not in present | forgotten]


def known(place: publish.Place) -> t.List[Sample]:
    """The samples of the file that an earlier run wrote.

    :raises PoolError: it holds something else.
    """
    if place.before is None:
        return []
    try:
        return parse(place.before.decode("utf-8", "replace"))
    except Unparsable as exc:
        raise PoolError(
            f"{place.path} is not replaced: it is not a file of this module: {exc}",
            place.path,
            "move it away, or name another file",
            "find",
            "not_trusted",
        ) from None


def write(module: PoolModule, place: publish.Place, text: str, result: Result) -> Result:
    """Write the file, unless in check mode. It is also written if nothing in it changes: its age shows that we live."""
    mode = int(module.params["textfile_mode"], 8)
    before = "" if place.before is None else place.before.decode("utf-8", "replace")
    if not module.check_mode:
        place.replace(text.encode("utf-8"), mode)
    sides = [f"{before}", f"{text}"]
    if place.mode != mode:
        sides = ["" if place.mode is None else f"# mode {place.mode:04o}\n{before}", f"# mode {mode:04o}\n{text}"]
    result.update(textfile=place.path, changed=sides[0] != sides[1])
    result["msg"] += f"; {'would be ' if module.check_mode else ''}written to {place.path}"
    if module._diff:
        header = place.path
        result["diff"] = {"before": sides[0], "after": sides[1], "before_header": header, "after_header": header}
    return result


def metrics_options(module: PoolModule) -> MetricsOptions:
    """The options of the measurement.

    :raises BadInput: one is out of range.
    """
    module.check_ranges(top_users=(0, 1000), blocks_limit=(0, 2**40))
    path, mode = module.params["textfile"], module.params["textfile_mode"]
    if path and not (path.startswith("/") and path.endswith(".prom")):
        raise BadInput(
            f"textfile must be absolute, and end in .prom, as the collector reads no other files: {path}",
            reason="bad_path",
        )
    if not re.fullmatch("0?[0-7]{3}", mode):
        raise BadInput(f"textfile_mode must be an octal number such as 0644, not {mode}", reason="bad_option")
    return MetricsOptions(health_options(module), module.params["top_users"], module.params["blocks_limit"])


def main() -> None:
    """Run the module."""
    options = {
        **READING_OPTIONS,
        **HEALTH_OPTIONS,
        "socket_dirs": {"type": "list", "elements": "path", "default": []},
        "textfile": {"type": "path"},
        "textfile_mode": {"type": "str", "default": "0644"},
        "forget": {"type": "list", "elements": "str", "default": []},
        "instance_label": {"type": "str"},
        "top_users": {"type": "int", "default": 0},
        "blocks_limit": {"type": "int", "default": BLOCKS_LIMIT},
    }
    run(PoolModule(options), work)


if __name__ == "__main__":
    main()
