# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the cost of the collection with that of what it replaces, as ratios of one run on one machine.

    benchmarks/run.py [--rounds N] [--only WORD] [--strict] [--json FILE]

All measurements alternate, on this machine, with simulated pools; the table shows medians, and the median of the ratios of all
rounds. Playbooks are compared by processor time, which other programs change the least: that of the controller, and that of the
Python of its hosts. All is kept as JSON, for compare.py. With --strict, the exit status is 1 if a bound is not met.

Maintenance windows are measured with --windows. They need hosts that boot (see CONTRIBUTING); with CKPOOL_BIN, "upgrade" is
measured with the real daemon that it names. It makes 20 upgrades, however few rounds are asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import http_service, paint, results, tools, windows
from benchmarks.tools import HERE, ROOT, CannotMeasure, Figure, Spent, compared, megabytes, playbook, subject, turns
from tests.support.ansible import Direct
from tests.support.fleets import Fleet
from tests.support.waiting import wait_until

HOSTS = 24
HTTP_HOSTS, SERVICES = 1000, 4
GUIDE_HOSTS = 8
CONTROL_HOSTS = 12
CONTROLS = ("loglevel", "clients", "dropuser")
INSTANCES = 20
ROWS = 1000
MEMORY_HOSTS = (10, 60)
BOOKS = HERE / "playbooks"
REPORT_POOLS = 200
FILES, ACTIVE = 100_000, 1_000
LOG_BLOCKS = 3
MEBI = 2**20
LOG_SIZE = 1_000_000_000
FIRST, LAST = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp"
_INSIDE = "CKPOOL_FLEET_BENCH_INSIDE"
_NAMESPACE = ["--pid", "--fork", "--mount-proc", "--kill-child"]


def alone() -> None:
    """Start again in a separate pid namespace, if this machine supports them.

    The health check checks every ckpool of its host, and here all hosts are this machine. One simulated pool serves all
    of them, so each host finds one, as in a fleet. Other pools that run on this machine would distort the figures.
    """
    unshare = shutil.which("unshare")
    if os.environ.get(_INSIDE) or not unshare:
        return
    for user in ([], ["--user", "--map-root-user"]):
        command = [unshare, *user, *_NAMESPACE]
        if subprocess.run([*command, "true"], capture_output=True, check=False, timeout=10).returncode == 0:
            os.environ[_INSIDE] = "yes"
            os.execv(unshare, [*command, sys.executable, *sys.argv])


def health_of_a_fleet(folder: Path, rounds: int) -> Iterator[Figure]:
    """The playbook as shipped, with its table, against a ping of the same hosts, the cheapest task of Ansible."""
    inventory = tools.local_hosts(folder, HOSTS)
    check, report = ROOT / "playbooks" / "health_check.yml", folder / "report.json"
    with tools.simulated_pool(folder / "pool"):
        playbook(check, inventory, health_check_json_file=str(report))
        states = [row["state"] for row in json.loads(report.read_text(encoding="utf-8"))["fleet"]]
        if states != ["ok"] * HOSTS:
            raise CannotMeasure(f"every host should see one healthy pool, and they see {', '.join(states)}")
        ours, task, ping = of_playbooks(rounds, inventory, check, BOOKS / "one_task.yml", BOOKS / "ping.yml")
    yield from against_ping(f"health check of {HOSTS} hosts", ours, ping, 1.1)
    yield from against_ping("its one task alone", task, ping)


def under_mitogen(folder: Path, rounds: int) -> Iterator[Figure]:
    """The same playbook under the strategy of mitogen, against a ping under Ansible's own."""
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or not found.origin:
        raise CannotMeasure("mitogen is not installed")
    strategies = Path(found.origin).parent / "plugins" / "strategy"
    settings = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(strategies)}
    inventory = tools.local_hosts(folder, HOSTS)
    check, ping = ROOT / "playbooks" / "health_check.yml", BOOKS / "ping.yml"
    with tools.simulated_pool(folder / "pool"):
        playbook(ping, inventory)
        theirs, ours, both, stock = turns(
            rounds,
            partial(playbook, ping, inventory),
            partial(tools.spend, check, inventory, settings),
            partial(tools.spend, ping, inventory, settings),
            partial(playbook, check, inventory),
        )
    yield from against_ping(f"health check of {HOSTS} hosts under mitogen", ours, theirs)
    yield from against_ping(f"ping of {HOSTS} hosts under mitogen", both, theirs)
    yield compared("- health check under mitogen / under linear", [x.busy for x in ours], [x.busy for x in stock])


def of_playbooks(rounds: int, inventory: Path, *books: Path) -> list[list[Spent]]:
    """What each playbook costs, in turns, after one run of the last that warms caches."""
    playbook(books[-1], inventory)
    return turns(rounds, *(partial(playbook, book, inventory) for book in books))


def against_ping(what: str, ours: list[Spent], ping: list[Spent], most: float | None = None) -> Iterator[Figure]:
    """The cost of a playbook beside that of a ping: in all, on each side, and by the clock."""
    yield compared(f"{what} / ping", [one.busy for one in ours], [one.busy for one in ping], most=most)
    yield compared(f"- {what}: controller", [one.controller for one in ours], [one.controller for one in ping])
    yield compared(f"- {what}: targets", [one.target for one in ours], [one.target for one in ping])
    yield compared(f"- {what}: by the clock", [one.seconds for one in ours], [one.seconds for one in ping])


def instructions_of_modules(folder: Path, rounds: int) -> Iterator[Figure]:
    """The instructions of each module's Python, by valgrind, against those of a ping: nearly the same in each run.

    They do not depend on what else the machine does, so a single run shows changes that no stopwatch does.
    """
    if not shutil.which("valgrind"):
        raise CannotMeasure("valgrind is not installed")
    inventory = tools.local_hosts(folder, 1)
    books = {"health check": "one_task", "ckpool_info": "info", "ckpool_info, a screen": "info_screen"}
    books.update({f"ckpool_{name}": name for name in CONTROLS})

    def count(name: str) -> float:
        spent = tools.spend(BOOKS / f"{name}.yml", inventory, {"CKPOOL_FLEET_COUNT": "yes"})
        if not spent.instructions:
            raise CannotMeasure(f"valgrind counted nothing of {name}")
        return spent.instructions

    with tools.simulated_pool(folder / "pool"):
        ping = count("ping")
        for what, name in books.items():
            yield compared(f"instructions of {what} / ping", [count(name)], ping, tools.millions)


def instances_of_a_host(folder: Path, rounds: int) -> Iterator[Figure]:
    """A host with many instances against a host with one. All run here, so the host with one is measured before."""
    inventory = tools.local_hosts(folder, 1)
    with ExitStack() as stack:
        stack.enter_context(tools.simulated_pool(folder / "pool0"))
        one = [playbook(BOOKS / "one_task.yml", inventory) for _round in range(rounds + 1)][1:]
        for number in range(1, INSTANCES):
            stack.enter_context(tools.simulated_pool(folder / f"pool{number}", name=f"pool{number}"))
        many = [playbook(BOOKS / "one_task.yml", inventory) for _round in range(rounds + 1)][1:]
    what = f"health check of a host with {INSTANCES} instances / with one"
    yield compared(what, [each.busy for each in many], [each.busy for each in one], most=2)
    yield compared("- on the target alone", [each.target for each in many], [each.target for each in one])


def rows_of_a_report(folder: Path, rounds: int) -> Iterator[Figure]:
    """The table, the JSON and the JUnit of many pools: time, and whether that grows linearly with them."""

    def make(count: int) -> float:
        place = folder / str(count)
        place.mkdir(exist_ok=True)
        return subject("rows", place, count)[0]

    few, many = turns(rounds, partial(make, ROWS // 10), partial(make, ROWS))
    yield compared(f"table, JSON and JUnit of {ROWS} pools / 2 s", many, 2.0, most=1)
    yield compared(f"- of {ROWS} pools / of {ROWS // 10}", many, few, most=13)


def memory_of_the_controller(folder: Path, rounds: int) -> Iterator[Figure]:
    """What each host adds to the peak memory of ansible-playbook."""
    small, large = MEMORY_HOSTS
    with tools.simulated_pool(folder / "pool"):
        check = ROOT / "playbooks" / "health_check.yml"
        sides = {"check": check, "ping": BOOKS / "ping.yml"}
        peaks = {
            name: [playbook(book, tools.local_hosts(folder, count)).peak for count in MEMORY_HOSTS]
            for name, book in sides.items()
        }
    ours, ping = ([(found[1] - found[0]) / (large - small)] for found in (peaks["check"], peaks["ping"]))
    yield compared("controller memory for each host, health check / ping", ours, ping, tools.kilobytes)


def health_by_http(folder: Path, rounds: int) -> Iterator[Figure]:
    """The same playbook, which asks the services of all hosts from the controller, against the tasks on the hosts.

    Each service answers with what the module returns for a simulated pool. All run on this machine, beside Ansible.
    """
    with ExitStack() as stack:
        stack.enter_context(tools.simulated_pool(folder / "pool"))
        ports = stack.enter_context(services(folder))
        by_ssh = tools.local_hosts(folder, HOSTS)
        by_http = {count: hosts_with_services(folder, count, ports) for count in (10, HOSTS, HTTP_HOSTS)}
        check, report = ROOT / "playbooks" / "health_check.yml", folder / "report.json"
        for count, inventory in by_http.items():
            playbook(check, inventory, health_check_via="http", health_check_json_file=str(report))
            states = [row["state"] for row in json.loads(report.read_text(encoding="utf-8"))["fleet"]]
            if states != ["ok"] * count:
                raise CannotMeasure(f"{states.count('ok')} instead of {count} pools are healthy")
            report.unlink()
        sides = [partial(playbook, check, inventory, health_check_via="http") for inventory in by_http.values()]
        ping = partial(playbook, BOOKS / "ping.yml", by_ssh)
        pings, ssh, ten, same, most = turns(rounds, ping, partial(playbook, check, by_ssh), *sides)
    yield compared(f"health check of {HTTP_HOSTS} hosts by HTTP / 5 s", [one.seconds for one in most], 5.0, most=1)
    yield from against_ping(f"health check of {HOSTS} hosts by HTTP", same, pings, 1)
    yield compared(
        f"- of {HOSTS} hosts, tasks on them / by HTTP", [x.busy for x in same], [x.busy for x in ssh], least=1
    )
    yield compared(f"- growth: of {HTTP_HOSTS} hosts / of 10", [x.busy for x in most], [x.busy for x in ten], most=10)


@contextmanager
def services(folder: Path) -> Iterator[list[int]]:
    """Run processes that each are the services of many hosts; yields their ports."""
    (found,) = Direct().modules([("ckpool_health_info", {"all_instances": True})])
    body = folder / "body.json"
    body.write_text(json.dumps(found), encoding="utf-8")
    files = [folder / f"port{number}" for number in range(SERVICES)]
    with ExitStack() as stack:
        for file in files:
            command = [sys.executable, "-m", "benchmarks.services", str(body), str(file)]
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL))
            stack.callback(process.kill)
        wait_until(lambda: all(file.exists() for file in files))
        yield [int(file.read_text(encoding="ascii")) for file in files]


def hosts_with_services(folder: Path, count: int, ports: list[int]) -> Path:
    """Write an inventory of that many hosts, whose services have these ports, each with a token that is a template."""
    hosts = {
        f"pool{number}": {"health_check_http_url": f"http://127.0.0.1:{ports[number % len(ports)]}/pool{number}"}
        for number in range(count)
    }
    common = {"health_check_http_token": "{{ fleet_secret }}-{{ inventory_hostname }}", "fleet_secret": "s3cret"}
    path = folder / f"services{count}.json"
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}), encoding="utf-8")
    return path


def control_tasks(folder: Path, rounds: int) -> Iterator[Figure]:
    """The cost of a control task that does not wait, against a ping."""
    inventory = tools.local_hosts(folder, CONTROL_HOSTS)
    with tools.simulated_pool(folder / "pool"):
        books = [BOOKS / f"{name}.yml" for name in (*CONTROLS, "ping")]
        *ours, ping = of_playbooks(rounds, inventory, *books)
    for name, spent in zip(CONTROLS, ours):
        yield from against_ping(f"ckpool_{name} on {CONTROL_HOSTS} hosts", spent, ping, 1.1)


def everything(folder: Path, rounds: int) -> Iterator[Figure]:
    """All subsets of ckpool_info, against a ping."""
    inventory = tools.local_hosts(folder, CONTROL_HOSTS)
    with tools.simulated_pool(folder / "pool"):
        ours, ping = of_playbooks(rounds, inventory, BOOKS / "info.yml", BOOKS / "ping.yml")
    yield from against_ping(f"ckpool_info, all subsets, on {CONTROL_HOSTS} hosts", ours, ping, 1.2)


def the_guides_monitor(folder: Path, rounds: int) -> Iterator[Figure]:
    """One screen of the guide's monitor: by its five commands, and by one task of this collection."""
    what = f"a monitor screen of {GUIDE_HOSTS} pools, five commands / ours"
    yield from against_the_guide(folder, rounds, what, "monitor_guide", "info_screen")


def the_guides_way(folder: Path, rounds: int) -> Iterator[Figure]:
    """The facts of the health check: one command per question, against one task of this collection."""
    what = f"facts of {GUIDE_HOSTS} pools, one command per question / ours"
    yield from against_the_guide(folder, rounds, what, "guide", "one_task")


def against_the_guide(folder: Path, rounds: int, what: str, theirs: str, ours: str) -> Iterator[Figure]:
    """How many times more a playbook of the guide costs than one of this collection."""
    inventory = tools.local_hosts(folder, GUIDE_HOSTS)
    with tools.simulated_pool(folder / "pool", dialect="guide") as pool:
        places = {
            "bench_socket_dir": str(pool.socket_dir),
            "bench_log_dir": str(pool.log_dir),
            # Without site and the user's settings, so that it starts nearly as fast as a program in C.
            "bench_ckpmsg": [sys.executable, "-I", "-S", str(HERE / "ckpmsg.py")],
        }
        guide, mine = turns(
            rounds,
            lambda: playbook(BOOKS / f"{theirs}.yml", inventory, **places),
            lambda: playbook(BOOKS / f"{ours}.yml", inventory),
        )
    yield compared(what, [one.busy for one in mine], [one.busy for one in guide], least=4)
    yield compared("- by the clock", [one.seconds for one in mine], [one.seconds for one in guide], least=4)


def many_users(folder: Path, rounds: int) -> Iterator[Figure]:
    """The top users among the files of all users that ever connected."""
    with tools.simulated_pool(folder / "pool", users=0) as pool:
        make_users(pool.log_dir / "users")
        options = {"socket_dir": str(pool.socket_dir), "active_within": "1h", "sort_by": "hashrate1m", "limit": 5}
        arguments = folder / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}), encoding="utf-8")
        module = [sys.executable, "-m", "ansible_collections.ckpool.fleet.plugins.modules.ckpool_user_info"]
        env = dict(os.environ, PYTHONPATH=str(ROOT / ".collections"))
        peaks = []

        def whole_module() -> float:
            ran = tools.run([*module, str(arguments)], env)
            if len(json.loads(ran.output)["users"]) != 5:
                raise CannotMeasure(f"ckpool_user_info did not find the users: {ran.output[:500]}")
            peaks.append(ran.peak)
            return ran.seconds

        ours, bare, whole = turns(
            rounds,
            lambda: subject("users", pool.socket_dir)[0],
            lambda: subject("scan", pool.log_dir / "users", ACTIVE)[0],
            whole_module,
        )
    what = f"top 5 of {ACTIVE} active among {FILES} users / scandir, stat, parse"
    yield compared(what, ours, bare, most=3)
    yield compared("- the whole module's process / the same", whole, bare)
    yield compared("- its peak memory / 100 MB", [max(peaks)], 100e6, megabytes, most=1)


def make_users(folder: Path, count: int = FILES, active: int = ACTIVE) -> None:
    """Write the files of users in the layout of 2025; inactive users sent their last share a month ago."""
    folder.mkdir(exist_ok=True)
    now = int(time.time())
    for number in range(count):
        last = now - number % 600 if number % (count // active) == 0 else now - 30 * 86400
        rates = {f"hashrate{window}": f"{number % 997 + 1}M" for window in ("1m", "5m", "1hr", "1d", "7d")}
        fields = {**rates, "lastshare": last, "shares": number, "bestshare": number / 7, "bestever": number}
        workers = [{"workername": f"1{number:033d}.rig{index}", **fields} for index in range(2)]
        user = {**fields, "workers": 2, "authorised": last - 3600, "worker": workers}
        path = folder / f"1{number:033d}"
        path.write_text(json.dumps(user, indent=1) + "\n", encoding="utf-8")
        os.utime(path, (last, last))


def a_large_reply(folder: Path, rounds: int) -> Iterator[Figure]:
    """A reply of 100 MB: its memory, and whether time grows linearly with size."""
    peaks: list[int] = []
    with ExitStack() as stack:
        quarter, half, full = (
            stack.enter_context(large_listing(folder / str(size), size * 1_000_000)) for size in (25, 50, 100)
        )

        def ask(sockets: Path) -> float:
            passed, ran = subject("reply", sockets)
            peaks.append(ran.peak)
            return passed

        times = turns(rounds, lambda: ask(quarter), lambda: ask(half), lambda: ask(full))
    yield compared("peak memory of a reply of 100 MB / its size", [max(peaks)], 100e6, megabytes, most=8)
    for large, small, name in ((2, 1, "100 MB / of 50 MB"), (1, 0, "50 MB / of 25 MB")):
        yield compared(f"- time of {name}", times[large], times[small], most=2.6)


@contextmanager
def large_listing(folder: Path, size: int) -> Iterator[Path]:
    """Serve a reply of that size for the duration of the block; yields the socket directory."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.subjects", "serve", str(folder), str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 15
            while not (folder / "stratifier").exists():
                if time.monotonic() > deadline or process.poll() is not None:
                    raise CannotMeasure("the server of the large reply does not start")
                time.sleep(0.05)
            yield folder
        finally:
            process.kill()


def blocks_of_a_large_log(folder: Path, rounds: int) -> Iterator[Figure]:
    """Every block of a cached log of one gigabyte, against a grep for one word in it."""
    log = folder / "ckpool.log"
    make_log_of_blocks(log)
    peaks: list[int] = []

    def ours_once() -> float:
        passed, ran = subject("blocks", folder, LOG_BLOCKS)
        peaks.append(ran.peak)
        return passed

    def grep(*arguments: str, **env: str) -> float:
        return tools.run(["grep", "-c", *arguments, str(log)], {**os.environ, **env}).seconds

    word, lines = "BLOCK", "BLOCK FOUND|BLOCK ACCEPTED|Solved and confirmed block|block solve diff"
    ours_once()
    ours, plain, c_locale, all_lines = turns(
        rounds, ours_once, lambda: grep(word), lambda: grep(word, LC_ALL="C"), lambda: grep("-E", lines, LC_ALL="C")
    )
    yield compared("blocks of a log of 1 GB / grep -c BLOCK", ours, plain, most=2)
    yield compared("- the same with LC_ALL=C", ours, c_locale)
    yield compared("- a grep for the lines that the module looks for", ours, all_lines)
    yield compared("- our peak memory / 60 MB", [max(peaks)], 60e6, megabytes, most=1)


def make_log_of_blocks(path: Path) -> None:
    """Write a log like that of a busy pool, with a block at its start, in its middle and at its end."""
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # of legacy addresses
    rigs = [*(f"rig{number}" for number in range(20)), "S19PRO", "Bitaxe", "NERDOCTAXE", "garage", "worker1"]
    chance = random.Random(1)
    rows = []
    for number in range(20_000):
        user = "1" + "".join(chance.choices(letters, k=33))
        if number % 3:
            user = "bc1q" + "".join(chance.choices("023456789acdefghjklmnpqrstuvwxyz", k=38))
        stamp = f"[2026-11-22 {number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.{number % 1000:03d}] "
        rates = '{"hashrate1m": "38.3T", "hashrate5m": "12.2T", "hashrate1hr": "1.18T", "shares": 123, "workers": 1}'
        rig = chance.choice(rigs)
        texts = (f"Authorised client {number} 10.0.0.1 worker {user}.{rig} as user {user}", f"User {user}:{rates}")
        rows.append(stamp + texts[number % 2] + "\n")
    found = "[2026-11-22 22:09:25.73{0}] Possible block solve diff 27.32{0} !\n"
    found += "[2026-11-22 22:09:25.73{0}] BLOCK ACCEPTED!\n"
    noise = "".join(rows).encode()
    count = LOG_SIZE // len(noise) + 1
    with open(path, "wb") as stream:
        for number in range(count):
            if number in (0, count // 2):
                stream.write(found.format(int(number > 0)).encode())
            stream.write(noise)
        stream.write(found.format(2).encode())


def clients_of_a_log(folder: Path, rounds: int) -> Iterator[Figure]:
    """The clients of a user, from the log: one of the first minute, and one of the last 50 MB with a count to stop at."""
    log, start = folder / "ckpool.log", int(time.time()) - 40 * 86400
    end = make_log(log, start)
    grep = [shutil.which("grep") or "grep", "-c", f" as user {FIRST}", str(log)]
    peaks: list[int] = []

    def ours(*arguments: object) -> float:
        passed, ran = subject("connected", log, start, *arguments)
        peaks.append(ran.peak)
        return passed

    def theirs(**settings: str) -> float:
        ran = tools.run(grep, dict(os.environ, **settings))
        if int(ran.output) != 1:
            raise CannotMeasure(f"grep found {ran.output[:100]} lines instead of one")
        return ran.seconds

    whole, tail, local, plain = turns(
        rounds, lambda: ours(FIRST), lambda: ours(LAST, end), theirs, lambda: theirs(LC_ALL="C")
    )
    least = [min(pair) for pair in zip(local, plain)]
    yield compared("clients of a user in a log of 1 GB / grep -c", whole, least, most=2)
    yield compared("- the same in the last 50 MB of it / 200 ms", tail, 0.2, most=1)
    yield compared("- peak memory of both / 60 MB", [max(peaks)], 60e6, megabytes, most=1)


def make_log(path: Path, start: int) -> int:
    """Write a log with statistics and with miners that come and go, FIRST in the first minute; the time of the last one."""
    names = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
    users = [f"bc1q{name[:38]}" if number % 2 else f"1{name[:33]}" for number, name in enumerate(names)]
    fields = '"hashrate1m":"14.1T","hashrate5m":"8.68T","hashrate1hr":"1.14T","hashrate1d":"49.6G","hashrate7d":"7.1G"'
    rows = [f'@User {user}:{{{fields},"lastshare":{start},"workers":1,"shares":{user[-9:]}}}\n' for user in users]
    status = '@Pool:{"runtime": 60, "Users": 200, "Workers": 200, "Idle": 0, "Disconnected": 3}\n'
    block = "".join(rows) + status.replace("60,", f'60, "lastupdate": {start},')
    came = "@Authorised client {0} 10.0.0.7 worker {1}.rig as user {1} with diff 1\n"
    left = "@Dropped client {0} 10.0.0.7 user {1} worker {1}.rig \n"
    begun = "".join(f"@ckpool {name} starting\n" for name in ("generator", "stratifier", "connector"))
    with open(path, "wb") as stream:
        minute, number = start, 2
        text = begun + came.format(1, FIRST)
        while stream.tell() < LOG_SIZE:
            if stream.tell() > LOG_SIZE - 50_000_000 and number > 0:
                text += came.format(number, LAST)
                number = -number  # once
            for _miner in range(3):
                other = abs(number) + 1
                number = other if number > 0 else -other
                text += came.format(other, users[other % 200]) + left.format(other, users[other % 200])
            stamp = time.strftime("[%Y-%m-%d %H:%M:%S.734] ", time.localtime(minute))
            stream.write((text + block).replace("@", stamp).encode())
            minute, text = minute + 60, ""
        stream.truncate(LOG_SIZE)
    return minute - 60


def report_of_a_fleet(folder: Path, rounds: int) -> Iterator[Figure]:
    """The report of 200 pools with a month of snapshots: size, time and memory of the whole process."""
    fleet = Fleet(REPORT_POOLS, bad=5, now=time.time())
    count = fleet.write_snapshots(folder / "snapshots", days=30, every=6 * 3600)
    peaks: list[int] = []
    sizes: list[int] = []
    busy: dict[str, list[float]] = {"report": [], "parse": []}

    def ours() -> float:
        passed, ran = subject("report", folder, REPORT_POOLS)
        peaks.append(ran.peak)
        busy["report"].append(ran.busy)
        sizes.append((folder / "report.html").stat().st_size)
        return passed

    def theirs() -> float:
        passed, ran = subject("parse", folder / "snapshots")
        busy["parse"].append(ran.busy)
        return passed

    built, parsed = turns(min(rounds, 3), ours, theirs)
    what = f"page of {REPORT_POOLS} pools with {count} snapshots / 2 MB"
    yield compared(what, [max(sizes)], 2e6, megabytes, most=1)
    yield compared("- time to build it / to parse these snapshots", built, parsed)
    yield compared("- processor time", busy["report"], busy["parse"])
    yield compared("- its peak memory / 300 MB", [max(peaks)], 300e6, megabytes, most=1)


def paint_of_a_report(folder: Path, rounds: int) -> Iterator[Figure]:
    """How soon a browser shows something of that page, beside a page of the same size that is nothing but text."""
    Fleet(REPORT_POOLS, bad=5, now=time.time()).write_snapshots(folder / "snapshots", days=30, every=6 * 3600)
    subject("report", folder, REPORT_POOLS)
    page, text = folder / "report.html", folder / "text.html"
    lines = "word " * 15 + "\n"
    text.write_text(f"<!doctype html><title>Text</title><pre>{lines * (page.stat().st_size // len(lines))}</pre>")
    with ExitStack() as until_done:
        browser = paint.Browser(until_done)
        browser.paint(text)  # the first one of a browser is slow
        ours, theirs = turns(rounds, partial(browser.paint, page), partial(browser.paint, text))
    yield compared(f"first paint of the page of {REPORT_POOLS} pools / of plain text of that size", ours, theirs)


SECTIONS: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "fleet": health_of_a_fleet,
    "mitogen": under_mitogen,
    "instructions": instructions_of_modules,
    "instances": instances_of_a_host,
    "rows": rows_of_a_report,
    "memory": memory_of_the_controller,
    "http": health_by_http,
    "service": lambda folder, rounds: http_service.measure(
        folder, rounds, lambda users, count: make_users(users, count, count)
    ),
    "control": control_tasks,
    "info": everything,
    "guide": the_guides_way,
    "monitor": the_guides_monitor,
    "users": many_users,
    "reply": a_large_reply,
    "blocks": blocks_of_a_large_log,
    "clients": clients_of_a_log,
    "report": report_of_a_fleet,
    "paint": paint_of_a_report,
}
WINDOWS: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "upgrade": windows.what_miners_miss,
    "rolling": windows.a_rolling_upgrade,
    "rollback": windows.a_rollback,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured (default: 3)")
    parser.add_argument(
        "--only", choices=[*SECTIONS, *WINDOWS], action="append", help="only this part; may be repeated"
    )
    parser.add_argument("--windows", action="store_true", help="maintenance windows, in place of everything else")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a bound is not met")
    parser.add_argument(
        "--json", type=Path, help="where the results go (default: .cache/bench/COMMIT.json, or COMMIT-windows.json)"
    )
    given = parser.parse_args()
    alone()
    figures: list[Figure] = []
    failures: list[str] = []
    kept: dict[str, Any] = {}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder:
        for name in given.only or (WINDOWS if given.windows else SECTIONS):
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            place = Path(folder, name)
            place.mkdir()
            began, busy = time.monotonic(), tools.busy_until_now()
            try:
                found = list({**SECTIONS, **WINDOWS}[name](place, given.rounds))
            except CannotMeasure as error:
                failures.append(f"{name}: not measured: {error}")
                kept[name] = {"why_not": str(error)}
                continue
            figures += found
            kept[name] = results.section(found, time.monotonic() - began, tools.busy_until_now() - busy)
    path = results.kept_in(given.json, "-windows" if given.windows else "")
    results.write(path, results.document(kept, given.rounds))
    print(tools.table(figures), *failures, sep="\n")
    print(f"measured in {time.monotonic() - started:.0f} s; the results are in {path}", flush=True)
    return int(given.strict and (bool(failures) or not all(figure.met for figure in figures)))


if __name__ == "__main__":
    sys.exit(main())
