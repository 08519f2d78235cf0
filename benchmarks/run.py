# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what the collection costs against what it replaces, in ratios of one run on one machine.

    benchmarks/run.py [--rounds N] [--only WORD] [--strict]

Everything is measured in turns, on this machine, against simulated pools; medians are shown. With --strict, the exit
status is 1 if a bound is not met.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tools
from benchmarks.tools import HERE, ROOT, CannotMeasure, Figure, in_turns, megabytes, playbook, seconds, subject

HOSTS = 24
GUIDE_HOSTS = 8
CONTROL_HOSTS = 12
FILES, ACTIVE = 100_000, 1_000
LOG_BLOCKS = 3
MEBI = 2**20
LOG_SIZE = 1_000_000_000
FIRST, LAST = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1dice8EMZmqKvrGE4Qc9bUFf9PX3xaYDp"
_INSIDE = "CKPOOL_FLEET_BENCH_INSIDE"
_NAMESPACE = ["--pid", "--fork", "--mount-proc", "--kill-child"]


def alone() -> None:
    """Start again in a process namespace of our own, where this machine has them.

    The health check judges every ckpool of its host, and here all hosts are this machine. One simulated pool serves all
    of them, so each host finds one, as it would in a fleet; others that happen to run here would spoil that.
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
    """The playbook as shipped, table and all, against the least that Ansible can do to the same hosts."""
    inventory = tools.local_hosts(folder, HOSTS)
    check, report = ROOT / "playbooks" / "health_check.yml", folder / "report.json"
    with tools.simulated_pool(folder / "pool"):
        playbook(HERE / "playbooks" / "ping.yml", inventory)
        playbook(check, inventory, health_check_json_file=str(report))
        states = [row["state"] for row in json.loads(report.read_text(encoding="utf-8"))["fleet"]]
        if states != ["ok"] * HOSTS:
            raise CannotMeasure(f"every host should see one pool that is well, and they see {', '.join(states)}")
        books = {"check": check, "task": HERE / "playbooks" / "one_task.yml", "ping": HERE / "playbooks" / "ping.yml"}
        busy: dict[str, list[float]] = {name: [] for name in books}

        def wall(name: str) -> float:
            ran = playbook(books[name], inventory)
            busy[name].append(ran.busy)
            return ran.seconds

        ours, task, ping = in_turns(rounds, lambda: wall("check"), lambda: wall("task"), lambda: wall("ping"))
    what = f"health check of {HOSTS} hosts / ping of them"
    yield Figure(what, seconds(ours), seconds(ping), ours / ping, most=1.1)
    yield Figure("- its one task alone / ping", seconds(task), seconds(ping), task / ping)
    ours, ping = (statistics.median(busy[name]) for name in ("check", "ping"))
    yield Figure("- processor time, which a busy machine spoils less", seconds(ours), seconds(ping), ours / ping)


def control_tasks(folder: Path, rounds: int) -> Iterator[Figure]:
    """What a task of control costs that has nothing to wait for, against the least that Ansible can do."""
    inventory = tools.local_hosts(folder, CONTROL_HOSTS)
    books = {name: HERE / "playbooks" / f"{name}.yml" for name in ("loglevel", "clients", "dropuser", "ping")}
    with tools.simulated_pool(folder / "pool"):
        for book in books.values():
            playbook(book, inventory)
        busy: dict[str, list[float]] = {name: [] for name in books}

        def wall(name: str) -> float:
            ran = playbook(books[name], inventory)
            busy[name].append(ran.busy)
            return ran.seconds

        *ours, ping = in_turns(rounds, *(partial(wall, name) for name in books))
    for name, taken in zip(books, ours):
        what = f"ckpool_{name} on {CONTROL_HOSTS} hosts / ping of them"
        yield Figure(what, seconds(taken), seconds(ping), taken / ping, most=1.15)
        mine, least = statistics.median(busy[name]), statistics.median(busy["ping"])
        yield Figure("- processor time", seconds(mine), seconds(least), mine / least)


def everything(folder: Path, rounds: int) -> Iterator[Figure]:
    """All subsets of ckpool_info, against the least that Ansible can do."""
    inventory = tools.local_hosts(folder, CONTROL_HOSTS)
    books = {name: HERE / "playbooks" / f"{name}.yml" for name in ("info", "ping")}
    with tools.simulated_pool(folder / "pool"):
        for book in books.values():
            playbook(book, inventory)
        busy: dict[str, list[float]] = {name: [] for name in books}

        def wall(name: str) -> float:
            ran = playbook(books[name], inventory)
            busy[name].append(ran.busy)
            return ran.seconds

        ours, ping = in_turns(rounds, *(partial(wall, name) for name in books))
    what = f"ckpool_info, all subsets, on {CONTROL_HOSTS} hosts / ping of them"
    yield Figure(what, seconds(ours), seconds(ping), ours / ping, most=1.25)
    mine, least = statistics.median(busy["info"]), statistics.median(busy["ping"])
    yield Figure("- processor time", seconds(mine), seconds(least), mine / least)


def the_guides_monitor(folder: Path, rounds: int) -> Iterator[Figure]:
    """One screen of the guide's monitor, by its five commands and by one task of ours."""
    inventory = tools.local_hosts(folder, GUIDE_HOSTS)
    with tools.simulated_pool(folder / "pool", dialect="guide") as pool:
        places = {
            "bench_socket_dir": str(pool.sockets),
            "bench_log_dir": str(pool.logs),
            "bench_ckpmsg": [sys.executable, "-I", "-S", str(HERE / "ckpmsg.py")],
        }
        guide, ours = in_turns(
            rounds,
            lambda: playbook(HERE / "playbooks" / "monitor_guide.yml", inventory, **places).seconds,
            lambda: playbook(HERE / "playbooks" / "info_screen.yml", inventory).seconds,
        )
    what = f"a monitor screen of {GUIDE_HOSTS} pools, five commands / ours"
    yield Figure(what, seconds(ours), seconds(guide), guide / ours, least=4)


def the_guides_way(folder: Path, rounds: int) -> Iterator[Figure]:
    """The facts of the health check, a command a question, against one task of ours."""
    inventory = tools.local_hosts(folder, GUIDE_HOSTS)
    with tools.simulated_pool(folder / "pool", dialect="guide") as pool:
        places = {
            "bench_socket_dir": str(pool.sockets),
            "bench_log_dir": str(pool.logs),
            # Without site and the user's settings, so that it starts nearly as fast as a program in C.
            "bench_ckpmsg": [sys.executable, "-I", "-S", str(HERE / "ckpmsg.py")],
        }
        guide, ours = in_turns(
            rounds,
            lambda: playbook(HERE / "playbooks" / "guide.yml", inventory, **places).seconds,
            lambda: playbook(HERE / "playbooks" / "one_task.yml", inventory).seconds,
        )
    what = f"facts of {GUIDE_HOSTS} pools, a command a question / ours"
    yield Figure(what, seconds(ours), seconds(guide), guide / ours, least=4)


def many_users(folder: Path, rounds: int) -> Iterator[Figure]:
    """The most active users among the files of all who ever came."""
    with tools.simulated_pool(folder / "pool", users=0) as pool:
        make_users(pool.logs / "users")
        options = {"socket_dir": str(pool.sockets), "active_within": "1h", "sort_by": "hashrate1m", "limit": 5}
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

        ours, bare, whole = in_turns(
            rounds,
            lambda: subject("users", pool.sockets)[0],
            lambda: subject("scan", pool.logs / "users", ACTIVE)[0],
            whole_module,
        )
    what = f"top 5 of {ACTIVE} active among {FILES} users / scandir, stat, parse"
    yield Figure(what, seconds(ours), seconds(bare), ours / bare, most=3)
    yield Figure("- the whole module's process / the same", seconds(whole), seconds(bare), whole / bare)
    yield Figure("- its peak memory / 100 MB", megabytes(max(peaks)), "100 MB", max(peaks) / 100e6, most=1)


def make_users(folder: Path) -> None:
    """The files of users in the layout of 2025; those who are not active came last a month ago."""
    folder.mkdir(exist_ok=True)
    now = int(time.time())
    for number in range(FILES):
        last = now - number % 600 if number % (FILES // ACTIVE) == 0 else now - 30 * 86400
        rates = {f"hashrate{window}": f"{number % 997 + 1}M" for window in ("1m", "5m", "1hr", "1d", "7d")}
        fields = {**rates, "lastshare": last, "shares": number, "bestshare": number / 7, "bestever": number}
        workers = [{"workername": f"1{number:033d}.rig{index}", **fields} for index in range(2)]
        user = {**fields, "workers": 2, "authorised": last - 3600, "worker": workers}
        path = folder / f"1{number:033d}"
        path.write_text(json.dumps(user, indent=1) + "\n", encoding="utf-8")
        os.utime(path, (last, last))


def a_large_reply(folder: Path, rounds: int) -> Iterator[Figure]:
    """A listing of 100 MB: memory, and whether twice as much takes twice as long."""
    peaks: list[int] = []
    with ExitStack() as stack:
        quarter, half, full = (
            stack.enter_context(large_listing(folder / str(size), size * 1_000_000)) for size in (25, 50, 100)
        )

        def ask(sockets: Path) -> float:
            passed, ran = subject("reply", sockets)
            peaks.append(ran.peak)
            return passed

        times = in_turns(rounds, lambda: ask(quarter), lambda: ask(half), lambda: ask(full))
    memory = Figure("peak memory of a reply of 100 MB / its size", megabytes(max(peaks)), "100 MB", max(peaks) / 100e6)
    memory.most = 8
    yield memory
    for large, small, name in ((2, 1, "100 MB / of 50 MB"), (1, 0, "50 MB / of 25 MB")):
        yield Figure(
            f"- time of {name}", seconds(times[large]), seconds(times[small]), times[large] / times[small], most=2.6
        )


@contextmanager
def large_listing(folder: Path, size: int) -> Iterator[Path]:
    """A server of a listing of that size, as long as the block runs: its socket directory."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.subjects", "serve", str(folder), str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 15
            while not (folder / "stratifier").exists():
                if time.monotonic() > deadline or process.poll() is not None:
                    raise CannotMeasure("the server of the large listing does not start")
                time.sleep(0.05)
            yield folder
        finally:
            process.kill()


def blocks_of_a_large_log(folder: Path, rounds: int) -> Iterator[Figure]:
    """Every block of a log of a gigabyte, which is in memory, against a look for one word in it."""
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
    ours, plain, c_locale, all_lines = in_turns(
        rounds, ours_once, lambda: grep(word), lambda: grep(word, LC_ALL="C"), lambda: grep("-E", lines, LC_ALL="C")
    )
    yield Figure("blocks of a log of 1 GB / grep -c BLOCK", seconds(ours), seconds(plain), ours / plain, most=2)
    yield Figure("- the same with LC_ALL=C", seconds(ours), seconds(c_locale), ours / c_locale)
    yield Figure("- a grep for the lines that we look for", seconds(ours), seconds(all_lines), ours / all_lines)
    yield Figure("- our peak memory / 60 MB", megabytes(max(peaks)), "60 MB", max(peaks) / 60e6, most=1)


def make_log_of_blocks(path: Path) -> None:
    """A log as a busy pool writes it, with a block in its first, its middle and its last line."""
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # of which old addresses are made
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
    """Whose connection is in the log: that of the first minute, and that of the last 50 MB with a count to end at."""
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

    whole, tail, local, plain = in_turns(
        rounds, lambda: ours(FIRST), lambda: ours(LAST, end), theirs, lambda: theirs(LC_ALL="C")
    )
    least = min(local, plain)
    yield Figure("clients of a user in a log of 1 GB / grep -c", seconds(whole), seconds(least), whole / least, most=2)
    yield Figure("- the same in the last 50 MB of it / 200 ms", seconds(tail), "200 ms", tail / 0.2, most=1)
    yield Figure("- peak memory of both / 60 MB", megabytes(max(peaks)), "60 MB", max(peaks) / 60e6, most=1)


def make_log(path: Path, start: int) -> int:
    """A log of statistics, and of miners that come and go; the time of its last minute. FIRST came in the first minute."""
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


SECTIONS: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "fleet": health_of_a_fleet,
    "control": control_tasks,
    "info": everything,
    "guide": the_guides_way,
    "monitor": the_guides_monitor,
    "users": many_users,
    "reply": a_large_reply,
    "blocks": blocks_of_a_large_log,
    "clients": clients_of_a_log,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured (default: 5)")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="only this part; may be repeated")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a bound is not met")
    given = parser.parse_args()
    alone()
    figures: list[Figure] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as folder:
        for name in given.only or SECTIONS:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            place = Path(folder, name)
            place.mkdir()
            try:
                figures.extend(SECTIONS[name](place, given.rounds))
            except CannotMeasure as error:
                failures.append(f"{name}: not measured: {error}")
    print(tools.table(figures), *failures, sep="\n", flush=True)
    return int(given.strict and (bool(failures) or not all(figure.met for figure in figures)))


if __name__ == "__main__":
    sys.exit(main())
