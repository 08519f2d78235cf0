# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One simulated ckpool instance: the sockets, status files and log of the daemon, with simulated miners.

The command line, the configuration file and all behaviour follow the daemon. What is special to the simulation is in
the key "simulation" of the configuration, which is read again whenever the file changes. Every message that arrives
is recorded in <logdir>/simulation.jsonl, so that a test can prove what was sent.

This is one file because it is copied to hosts. It reads from the whole to the details:

    main, Arguments                     the command line; a start in the foreground or as a daemon; the end with a test
    Instance, Readiness                 one process: its parts, its start, and what each tick does
    Ending, Handover, PidFile           shutdown, restart, signals; the process that follows; main.pid
    Sockets, Endpoint                   the control sockets; one of them, with the faults of its replies
    Conversations, Process              which process answers a message, and whether anything does; what all share
    Listener, Stratifier, Connector, Generator, Guide
                                        the commands of each process; those of the operator's guide
    Api, ApiRecords, GuideRecords       the query API; its records, and those of the guide
    Counts, Template                    the object counts of "stats"; the block template of "getbase"
    Work                                new workbases, and the alarm when bitcoind is away
    Stratum                             TCP ports for real miners
    Miners, Pool, Presence, Clients     how miners come and go; who is connected, and how many
    Statistics, Uptime                  hashrates and shares; since when the instance runs
    Workers, Client, Worker             who mines
    StatusFiles, StatusRecords          pool/pool.status, users/*, workers/*: when, and what is in them
    Log, Recorder                       NAME.log; simulation.jsonl
    Config, Settings, Fault             the configuration, which may change; its values; one fault
    ConfigError, KeepOpen               what is raised
    encode, si_text, leading_number …   texts, numbers and files as the daemon writes and reads them
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import math
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import IO, Any, Callable, Collection, Dict, Iterable, Iterator, Mapping, NoReturn, Optional

EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = range(8)
NONCES = 2**32
NETWORK_DIFF = 86388558925171.0
WITNESS_COMMITMENT = "6a24aa21a9ede2f61c3f71d1defd3fa999dfa36953755c690689799962b48bebd836974e8cf9"
BEST_HASH = "00000000000000000001abababababababababababababababababababababab"
MAX_LENGTH = 0x80000000
SILENCE = 5.0  # seconds that the daemon waits for a client to say something
TICK = 0.1
START_DEADLINE = 15.0
SECONDS_PER_SHARE = 3.33  # what variable difficulty aims at
LEAVING = 0.5  # seconds over which miners follow a client.reconnect
INHERITED = "SIMULATED_CKPOOL_PORTS"  # in the environment: the descriptors of the ports that a handover leaves
STARTER_LOCK = "SIMULATED_CKPOOL_STARTER_LOCK"  # in the environment: a file that our starter keeps locked
HANDOVER = 0.2  # seconds from the end of main.pid to the start of the process that follows
NEVER = math.inf
SOCKETS = ("listener", "stratifier", "connector", "generator")
WINDOWS: dict[str, int] = {"1m": 60, "5m": 300, "15m": 900, "1hr": 3600, "6hr": 21600, "1d": 86400, "7d": 604800}
DSPS: dict[str, str] = {
    "1": "1m", "5": "5m", "15": "15m", "60": "1hr", "360": "6hr", "1440": "1d", "10080": "7d",
}  # fmt: skip
# Bytes that one object takes, as the builds report them.
MEMORY: dict[str, dict[str, int]] = {
    "2017": {"workbases": 2428, "users": 920, "clients": 200, "shares": 440, "connections": 552},
    "2025": {"workbases": 2419, "users": 1360, "clients": 632, "shares": 440, "connections": 1000},
    "2026": {"workbases": 2444, "users": 1376, "clients": 632, "shares": 158, "connections": 1000},
}
LAYOUTS = tuple(MEMORY)
DIALECTS = ("public", "api", "guide")
MODES = (("p", "proxy"), ("P", "passthrough"), ("R", "redirector"), ("N", "node"))
# The sockets that a fault concerns unless it says otherwise; the others concern all.
FAULT_SOCKETS: dict[str, tuple[str, ...]] = {
    "listener_dead": ("listener",),
    "starting": ("stratifier", "generator"),
    "bitcoind_down": ("generator",),  # as seen on a running daemon; one that never had a bitcoind is "starting"
}
FAULTS = (
    "down", "refused", "hung", "starting", "slow", "half_reply", "oversized", "garbage", "no_reply", "no_permission",
    "stale_work", "bitcoind_down", "dead_stats", "listener_dead", "hashrate_drop", "failover", "rejects",
    "lingers", "ignores_term", "dies_on_shutdown", "restart_fails", "restart_old", "strands_clients", "slow_restart",
)  # fmt: skip
SILENT_FAULTS = ("hung", "starting", "bitcoind_down")
# A block template without transactions, in the daemon's order; zeros and empty texts are filled in.
TEMPLATE: dict[str, Any] = {
    "capabilities": ["proposal"],
    "version": 0x20000000,
    "rules": ["csv", "!segwit"],
    "vbavailable": {},
    "vbrequired": 0,
    "previousblockhash": BEST_HASH,
    "transactions": [],
    "coinbaseaux": {"flags": ""},
    "coinbasevalue": 312500000,
    "longpollid": "x",
    "target": "",
    "mintime": 0,
    "mutable": ["time", "transactions", "prevblock"],
    "noncerange": "00000000ffffffff",
    "sigoplimit": 80000,
    "sizelimit": 4000000,
    "weightlimit": 4000000,
    "curtime": 0,
    "bits": "17034219",
    "height": 850001,
    "default_witness_commitment": WITNESS_COMMITMENT,
    "diff": 0.0,
    "ntime": "",
    "bbversion": "20000000",
    "nbit": "",
}

Json = Dict[str, Any]
Commands = Dict[str, Callable[[str], Optional[str]]]  # the beginning of a message → what answers all of it


def main(argv: list[str]) -> NoReturn:
    arguments = Arguments.parse(argv)
    if arguments.only_test:
        sys.exit(test_config(arguments.config))
    report = daemonise() if arguments.daemonise else None
    end_with_starter()
    try:
        instance = Instance(arguments)
        instance.start()
    except (ConfigError, OSError, TypeError, ValueError) as error:
        (report or sys.stderr).write(f"{error}\n")
        sys.exit(1)
    if report:
        report.write("started")
        report.flush()
        if not instance.ending.why:  # otherwise the parent waits until the process has ended
            report.close()
    instance.run()


def end_with_starter() -> None:
    """In tests: end with the process that started this one. It holds a lock, which the kernel releases at its end."""
    if STARTER_LOCK in os.environ:
        threading.Thread(target=await_starters_end, args=(os.environ[STARTER_LOCK],), daemon=True).start()


def await_starters_end(path: str) -> None:
    with contextlib.suppress(OSError), open(path, encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        os._exit(1)


def test_config(path: str) -> int:
    try:
        Settings.load(path)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"Configuration check of {path} passed")
    return 0


def daemonise() -> IO[str] | None:
    """In the daemon: where to write how the start went. The parent waits for that and exits."""
    read_end, write_end = os.pipe()
    if os.fork():
        os.close(write_end)
        sys.exit(start_result(read_end))
    os.close(read_end)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    return os.fdopen(write_end, "w", encoding="utf-8")


def start_result(read_end: int) -> int:
    """The exit code, from what the daemon wrote before it closed the pipe: when it serves, or has ended on purpose."""
    deadline = time.monotonic() + START_DEADLINE
    written = b""
    while True:
        ready, _writable, _failed = select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(read_end, 4096) if ready else b""
        written += chunk
        if not chunk:
            break
    if ready and written == b"started":
        return 0
    reason = written.decode("utf-8", "replace") if ready else "did not start in time"
    sys.stderr.write((reason.strip() or "ended while starting") + "\n")
    return 1


@dataclass(frozen=True)
class Arguments:
    """The daemon's own options, as given."""

    name: str
    socket_dir: str
    config: str
    level: int
    mode: str
    daemonise: bool
    replace: bool
    handover: bool
    only_test: bool

    @classmethod
    def parse(cls, argv: list[str]) -> Arguments:
        given = cls.parser().parse_args(argv)
        name = given.name or ("ckpool" if given.mode == "pool" else "ck" + given.mode)
        return cls(
            name=name,
            socket_dir=os.path.abspath(given.sockdir or os.path.join("/tmp", name)),
            config=os.path.abspath(given.config or name + ".conf"),
            level=given.loglevel,
            mode=given.mode,
            daemonise=given.daemonise,
            replace=given.killold or given.handover,
            handover=given.handover,
            only_test=given.testconfig,
        )

    @staticmethod
    def parser() -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(description="A simulated ckpool instance.")
        parser.add_argument("-n", "--name", help="name of the instance (default: by mode)")
        parser.add_argument("-s", "--sockdir", help="socket directory (default: /tmp/NAME)")
        parser.add_argument("-c", "--config", help="configuration (default: NAME.conf)")
        parser.add_argument("-l", "--loglevel", type=int, default=NOTICE, choices=range(8))
        parser.add_argument("-D", "--daemonise", action="store_true", help="return when the sockets answer")
        parser.add_argument("-k", "--killold", action="store_true", help="replace an instance that runs")
        parser.add_argument("-H", "--handover", action="store_true", help=argparse.SUPPRESS)
        parser.add_argument("-T", "--testconfig", action="store_true", help="test the configuration, and end")
        for letter, name in (("B", "btcsolo"), ("L", "log-shares"), ("q", "quiet")):
            parser.add_argument("-" + letter, "--" + name, action="store_true", help="of no effect here")
        modes = parser.add_mutually_exclusive_group()
        for letter, mode in MODES:
            modes.add_argument("-" + letter, "--" + mode, dest="mode", action="store_const", const=mode, default="pool")
        return parser

    def has_work(self) -> bool:
        """Whether this mode makes work and statistics of its own."""
        return self.mode not in ("passthrough", "redirector")

    def path(self, socket_name: str) -> str:
        return os.path.join(self.socket_dir, socket_name)


class Instance:
    """One process: its parts, its start, and what each tick does."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.config = Config(arguments.config)
        settings = self.config.settings
        self.logdir = os.path.abspath(settings.logdir)
        os.makedirs(self.logdir, exist_ok=True)
        # A process that follows another has just been started, whatever the first one claimed.
        age = 0.0 if arguments.handover else settings.age_at_start()
        self.lock = threading.Lock()  # one at a time: a conversation, or a tick
        self.log = Log(os.path.join(self.logdir, arguments.name + ".log"), arguments.level, settings.layout)
        self.pool = Pool(self.config, Uptime(age))
        self.miners = Miners(self.pool, self.log)
        self.work = Work(self.config, self.log, age)
        self.files = StatusFiles(self.pool, self.logdir, self.log, late=arguments.handover)
        self.pid_file = PidFile(arguments)
        self.ending = Ending(self.config)
        self.stratum = Stratum(self.pool, self.ending, self.lock)
        self.counts = Counts(self.pool, self.work, self.stratum, self.log)
        self.readiness = Readiness(arguments, self.pool, self.miners, self.work, self.files)
        self.sockets = Sockets(arguments, self.config, self.conversations())
        self.handover = Handover(arguments, self.config, self.ending, self.pid_file, self.stratum)

    def conversations(self) -> Conversations:
        miners, stratum, counts, template = self.miners, self.stratum, self.counts, Template(self.config, self.work)
        listener = Listener(miners, stratum, counts, self.ending)
        guided: dict[str, Process] = {
            "pool": listener,
            "stratifier": Stratifier(miners, stratum, counts),
            "connector": Connector(miners, counts),
            "generator": Generator(template),
        }
        processes = {name: Guide(name, process, miners, template) for name, process in guided.items()}
        recorder = Recorder(os.path.join(self.logdir, "simulation.jsonl"))
        return Conversations(self.config, self.lock, self.ending, recorder, {"listener": listener, **processes})

    def start(self) -> None:
        """Sockets first, then the rest, as the daemon does."""
        self.ending.watch_signals()
        os.makedirs(self.arguments.socket_dir, mode=0o750, exist_ok=True)
        os.chmod(self.arguments.socket_dir, 0o750)
        self.pid_file.claim()
        with open("/proc/self/comm", "w", encoding="utf-8") as stream:
            stream.write(self.arguments.name[:14])
        self.pid_file.write()
        self.files.prepare()
        self.stratum.open(self.config.settings.ports)
        with self.lock:  # nobody gets an answer before all sockets are there
            self.sockets.open()
            self.readiness.begin()
            self.tick()
            self.apply_faults(())
            self.acknowledge()

    def run(self) -> NoReturn:
        while True:
            self.ending.await_request(TICK)
            if not self.ending.why:
                with self.lock:
                    self.tick()
            elif self.ending.why == "restart" and self.config.fault("restart_old"):
                self.handover.fail()
            else:
                self.end()

    def tick(self) -> None:
        now = time.time()
        is_new = self.config.has_changed() and self.reload()
        if self.config.fault("down") or self.config.fault("refused"):
            self.ending.why = "shutdown" if self.config.fault("down") else "terminated"
        if not self.config.fault("starting") and not self.readiness.ready:
            self.readiness.reach()
        self.work.complain(now)
        if self.readiness.ready:
            self.miners.pass_time()
            if self.arguments.has_work():
                now = time.time()  # the log has its lines in the order of their times
                self.work.make(now)
                self.files.report(now)
        if is_new:
            self.acknowledge()  # when all that it changes can be seen, also in the files

    def reload(self) -> bool:
        """Take over the changed configuration, and return whether that was possible; one that cannot be used changes nothing."""
        before = self.config.settings
        try:
            self.config.load()
        except ConfigError as error:
            self.log.write(WARNING, f"Configuration not taken over: {error}")
            return False
        others = self.pool.adopt(before)
        self.counts.restart()
        self.files.due = 0.0
        self.work.hasten()
        if self.config.fault("starting"):
            self.readiness.lose()
        elif others and self.readiness.ready:
            self.miners.welcome(self.pool.workers.all)
        self.apply_faults(before.faults)
        return True

    def apply_faults(self, before: tuple[Fault, ...]) -> None:
        """The faults that show outside of a conversation."""
        self.sockets.apply_faults()
        if self.config.fault("dead_stats") and self.readiness.ready and self.arguments.has_work():
            self.files.write(self.config.settings.stale_age("dead_stats"))
        if self.config.fault("failover") and not any(fault.name == "failover" for fault in before):
            bitcoinds = self.config.settings.bitcoinds
            spare = bitcoinds[1] if len(bitcoinds) > 1 else "127.0.0.1:8333"
            self.log.write(WARNING, f"Failed over to bitcoind: {spare}")

    def acknowledge(self) -> None:
        """Write which version of the configuration is in force."""
        overwrite(os.path.join(self.logdir, "simulation.applied"), str(self.config.stamp))

    def end(self) -> NoReturn:
        os.chmod(self.arguments.socket_dir, 0o750)
        if self.ending.why != "terminated":
            self.sockets.conversations.finish()
        lingers = self.config.fault("lingers")
        if self.ending.why == "shutdown" and lingers:
            self.ending.stay(lingers.number("seconds", NEVER))
        if self.ending.why in ("shutdown", "restart"):
            self.pid_file.remove()
        if self.ending.why == "restart":
            if self.config.fault("restart_fails"):
                self.leave_a_copy()
            self.handover.start_next()
        self.sockets.close((*SOCKETS, "pool"))
        os._exit(0)

    def leave_a_copy(self) -> NoReturn:
        """A silent copy of this process keeps the listener open; nothing else is left."""
        self.sockets.close(("stratifier", "connector", "generator"))
        if os.fork() == 0:
            end_with_starter()  # no thread survives a fork
            self.ending.stay(NEVER)
        os._exit(0)


class Readiness:
    """From the start of the process to its first work: the daemon is ready once bitcoind answers."""

    def __init__(self, arguments: Arguments, pool: Pool, miners: Miners, work: Work, files: StatusFiles) -> None:
        self.arguments = arguments
        self.pool = pool
        self.miners = miners
        self.work = work
        self.files = files
        self.log = miners.log
        self.ready = False

    def begin(self) -> None:
        """The first lines of the log."""
        name = self.arguments.name
        self.log.write(
            NOTICE,
            "Setting maxclients to 18000 due to max open file limit of 20000",
            *(f"{name} {process} starting" for process in ("generator", "stratifier", "connector")),
            f"{name} connector ready",
            moment=self.pool.uptime.started,
        )

    def reach(self) -> None:
        """The first work is there, and the miners connect."""
        self.ready = True
        now, uptime = time.time(), self.pool.uptime
        moment = uptime.started if now - uptime.began < 1 else now  # at the start, whenever that is said to be
        name, settings = self.arguments.name, self.pool.config.settings
        self.log.write(
            NOTICE,
            f"Server alive: {settings.bitcoinds[0]}",
            f"{name} generator ready",
            f"Connected to bitcoind: {settings.bitcoinds[0]}",
            f"{name} stratifier ready",
            *(() if settings.layout == "2017" else (f"Network diff set to {NETWORK_DIFF:.1f}",)),
            f"Block hash changed to {BEST_HASH}",
            moment=moment,
        )
        if self.arguments.handover:
            self.pool.clients.expect(self.handed_over())
        else:
            self.miners.welcome(self.pool.workers.all, moment)

    def handed_over(self) -> list[Worker]:
        """The workers that come back from the process before this one."""
        workers = self.pool.workers.all
        strands = self.pool.config.fault("strands_clients")
        stranded = int(strands.number("count", len(workers))) if strands else 0
        return workers[: max(0, len(workers) - stranded)]

    def lose(self) -> None:
        """Like a daemon that has just been started: no miners, no work, no statistics yet."""
        self.ready = False
        self.work.restart()
        self.pool.clients.clear()
        self.files.remove_pool_status()


class Ending:
    """Whether the process shall end, and why: "shutdown", "restart", "terminated" (SIGTERM) or "death" (a crash)."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.why = ""
        self.wake = threading.Event()

    def watch_signals(self) -> None:
        signal.signal(signal.SIGTERM, self.terminated)
        signal.signal(signal.SIGINT, self.terminated)

    def terminated(self, _signal: int, _frame: object) -> None:
        if not self.config.fault("ignores_term"):
            self.why = "terminated"

    def await_request(self, seconds: float) -> None:
        """Return after `seconds`, or at once after a conversation that ends the process."""
        self.wake.wait(seconds)
        self.wake.clear()

    def conversation_over(self) -> None:
        if self.why:
            self.wake.set()

    def stay(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Do nothing for that long, or until the condition holds; false when SIGTERM ends it."""
        deadline = time.monotonic() + seconds
        while self.why != "terminated" and time.monotonic() < deadline and not until():
            time.sleep(TICK / 2)
        return self.why != "terminated"

    @staticmethod
    def crash() -> NoReturn:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(SILENCE)
        os._exit(1)


@dataclass
class Handover:
    """A restart: the process that follows this one, and the restart that fails."""

    arguments: Arguments
    config: Config
    ending: Ending
    pid_file: PidFile
    stratum: Stratum

    def start_next(self) -> None:
        """Start the process that follows, and stay until it is there. Its sockets replace ours."""
        if not self.wait():
            return
        null = subprocess.DEVNULL
        handover = [] if self.arguments.handover else ["-H"]
        command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:], *handover]
        environment = {**os.environ, **self.stratum.bequeath()}
        options: Json = {"stdin": null, "stdout": null, "stderr": null, "start_new_session": True, "env": environment}
        subprocess.Popen(command, close_fds=not self.stratum.servers, **options)
        self.ending.stay(START_DEADLINE, until=self.pid_file.exists)

    def fail(self) -> None:
        """No process follows: after a while, this one goes on as before."""
        self.pid_file.remove()
        if self.wait():
            self.pid_file.write()
            self.ending.why = ""

    def wait(self) -> bool:
        """For as long as a restart takes; false when SIGTERM ends it."""
        slow = self.config.fault("slow_restart")
        return self.ending.stay(slow.number("seconds", 5) if slow else HANDOVER)


class PidFile:
    """main.pid, and the process that it names."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.path = arguments.path("main.pid")

    def write(self) -> None:
        overwrite(self.path, str(os.getpid()))

    def exists(self) -> bool:
        return os.path.exists(self.path)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def claim(self) -> None:
        """Raise if another instance runs here, or end it when the options say so."""
        name, old = self.arguments.name, self.running()
        if old is None:
            return
        if not self.arguments.replace:
            raise ConfigError(f"{name} runs already with pid {old}; -k replaces it")
        os.kill(old, signal.SIGTERM)
        deadline = time.monotonic() + SILENCE
        while self.running() is not None:
            if time.monotonic() > deadline:
                raise ConfigError(f"{name} with pid {old} does not end")
            time.sleep(TICK / 2)

    def running(self) -> int | None:
        """The pid in the file, if it is alive and a simulated instance."""
        try:
            with open(self.path, encoding="ascii") as stream:
                pid = int(stream.read(20))
            with open(f"/proc/{pid}/cmdline", "rb") as command:
                ours = os.path.basename(__file__).encode() in command.read()
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as status:
                alive = status.read().rpartition(")")[2].split()[0] not in ("Z", "X")
        except (OSError, ValueError, IndexError):
            return None
        return pid if ours and alive and pid != os.getpid() else None


class Sockets:
    """The control sockets in the socket directory."""

    def __init__(self, arguments: Arguments, config: Config, conversations: Conversations) -> None:
        self.arguments = arguments
        self.config = config
        self.conversations = conversations
        self.endpoints: dict[str, Endpoint] = {}

    def open(self) -> None:
        for name in SOCKETS + (("pool",) if self.config.settings.dialect == "guide" else ()):
            self.endpoints[name] = Endpoint(name, self.arguments.path(name), self.config, self.conversations)
            self.endpoints[name].open()

    def close(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self.endpoints:
                self.endpoints[name].close()

    def apply_faults(self) -> None:
        """Close what is dead, and give each path its mode."""
        forbidden = self.config.fault("no_permission")
        os.chmod(self.arguments.socket_dir, 0o750)
        for name, endpoint in self.endpoints.items():
            dead = self.config.fault_on("listener_dead", name) is not None
            if dead and endpoint.server:
                endpoint.close()
            elif not dead and not endpoint.server:
                endpoint.open()
            os.chmod(endpoint.path, 0 if forbidden and forbidden.concerns(name) else 0o770)
        if forbidden and not forbidden.sockets:
            os.chmod(self.arguments.socket_dir, 0)


class Endpoint:
    """One listening socket. The listener serves one connection at a time, as the daemon's does."""

    def __init__(self, name: str, path: str, config: Config, conversations: Conversations) -> None:
        self.name = name
        self.path = path
        self.config = config
        self.conversations = conversations
        self.serial = name == "listener"
        self.kept: list[socket.socket] = []
        self.server: socket.socket | None = None

    def open(self) -> None:
        if os.path.lexists(self.path):
            os.unlink(self.path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(self.path)
        os.chmod(self.path, 0o770)
        server.listen(128)
        self.server = server
        threading.Thread(target=self.accept, args=(server,), daemon=True).start()

    def close(self) -> None:
        """Nobody listens; the file stays behind."""
        if self.server:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None

    def accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _peer = server.accept()
            except OSError:
                return
            if self.serial:
                self.serve(connection)
            else:
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            self.converse(connection)
            connection.close()
        except KeepOpen:
            self.kept.append(connection)
        except OSError:
            connection.close()  # the client went away, as it may
        self.conversations.ending.conversation_over()

    def converse(self, connection: socket.socket) -> None:
        message, whole = receive(connection)
        self.conversations.recorder.add(self.name, message)
        self.wait_while_silent(connection)
        slow = self.config.fault_on("slow", self.name)
        if slow:
            time.sleep(slow.number("delay", 1.0))
        with self.conversations.under_way():
            reply = self.conversations.answer(self.name, message if whole else None)
            if reply is not None:
                self.deliver(connection, reply.encode("utf-8", "surrogateescape"))

    def wait_while_silent(self, connection: socket.socket) -> None:
        """Return when an answer is allowed; raise OSError once the client has given up."""
        watch = select.poll()
        watch.register(connection, select.POLLHUP)
        while self.conversations.is_silent(self.name):
            if watch.poll(TICK * 1000):
                raise OSError("the client gave up")

    def deliver(self, connection: socket.socket, body: bytes) -> None:
        if self.config.fault_on("no_reply", self.name):
            return
        header = struct.pack("<I", len(body))
        if self.config.fault_on("half_reply", self.name):
            body = body[: len(body) // 2]
        elif self.config.fault_on("oversized", self.name):
            header = struct.pack("<I", 3 << 30)
        elif self.config.fault_on("garbage", self.name):
            body = b"\xff\xfe\x80" * (len(body) // 3) + b"\xc3" * (len(body) % 3)
        connection.settimeout(SILENCE)
        connection.sendall(header + body)


def receive(connection: socket.socket) -> tuple[str | None, bool]:
    """The text that was sent (None: nothing at all), and whether it is a whole message."""
    deadline = time.monotonic() + SILENCE
    header = receive_bytes(connection, 4, deadline)
    if len(header) < 4:
        return None, False
    length = struct.unpack("<I", header)[0]
    if not 0 < length <= MAX_LENGTH:
        return "", False
    body = receive_bytes(connection, length, deadline)
    return body.decode("utf-8", "surrogateescape"), len(body) == length


def receive_bytes(connection: socket.socket, count: int, deadline: float) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection.settimeout(left)
        try:
            chunk = connection.recv(min(count - len(chunks), 1 << 20))
        except socket.timeout:
            break
        if not chunk:
            break
        chunks += chunk
    return bytes(chunks)


@dataclass
class Conversations:
    """Which process answers a message, and whether anything answers at all."""

    config: Config
    lock: threading.Lock
    ending: Ending
    recorder: Recorder
    processes: Mapping[str, Process]  # by socket
    pending: int = 0  # replies that are being made or sent

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        with self.lock:
            self.pending += 1
        try:
            yield
        finally:
            with self.lock:
                self.pending -= 1

    def finish(self) -> None:
        """Give replies that are under way, as that to what ends the process, the time to be sent."""
        time.sleep(TICK)
        deadline = time.monotonic() + SILENCE
        while self.pending and time.monotonic() < deadline:
            time.sleep(TICK / 10)

    def is_silent(self, socket_name: str) -> bool:
        """A process that is about to end answers nobody."""
        return bool(self.ending.why) or any(self.config.fault_on(name, socket_name) for name in SILENT_FAULTS)

    def answer(self, socket_name: str, message: str | None) -> str | None:
        """The reply, or None to close without one. `message` is None when no whole message arrived."""
        process = self.processes[socket_name]
        with self.lock:
            return process.incomplete() if message is None else process.answer(message)


class Process:
    """One process of the daemon. Its commands match by their beginning, in any case; the first one that does counts."""

    commands: Commands

    def answer(self, message: str) -> str | None:
        lower = message.lower()
        command = next((run for beginning, run in self.commands.items() if lower.startswith(beginning)), self.unknown)
        return command(message)

    def unknown(self, _message: str) -> str | None:
        return None

    def incomplete(self) -> str | None:
        """What follows when no whole message arrived."""
        return None


class Listener(Process):
    """The main process."""

    def __init__(self, miners: Miners, stratum: Stratum, counts: Counts, ending: Ending) -> None:
        self.miners = miners
        self.stratum = stratum
        self.counts = counts
        self.ending = ending
        self.config = miners.pool.config
        self.log = miners.log
        self.commands = {
            "{": self.keep_open,
            "shutdown": self.shutdown,
            "ping": lambda _message: "pong",
            "loglevel": self.log.change_level,
            "restart": self.restart,
            "stratifierstats": self.stratifier_stats,
            "connectorstats": lambda _message: encode(self.counts.connector()),
            "accept": lambda _message: self.accept("accept"),
            "reject": lambda _message: self.accept("reject"),
            "reconnect": self.reconnect,
            "resetshares": self.reset_shares,
        }

    def unknown(self, _message: str) -> str:
        return "unknown"

    def incomplete(self) -> str:
        self.log.write(WARNING, "Failed to get message in listener")
        return "failed"

    def keep_open(self, _message: str) -> NoReturn:
        raise KeepOpen

    def shutdown(self, _message: str) -> str:
        self.log.write(WARNING, "Listener received shutdown message, terminating ckpool")
        self.ending.why = "death" if self.config.fault("dies_on_shutdown") else "shutdown"
        return "exiting"

    def restart(self, _message: str) -> str:
        self.log.write(WARNING, "Listener received restart message, attempting handover")
        self.ending.why = "restart"
        return "restarting"

    def stratifier_stats(self, _message: str) -> str:
        return self.ending.crash() if self.config.fault("starting") else encode(self.counts.stratifier())

    def accept(self, verb: str) -> str:
        self.log.write(WARNING, f"Listener received {verb} message, {verb}ing clients")
        self.miners.clients.accepting = verb == "accept"
        return verb + "ing"

    def reconnect(self, message: str) -> str:
        self.log.write(WARNING, "Listener received request to send reconnect to clients")
        self.miners.reconnect(message)
        self.stratum.reconnect(message.lower().partition(":")[2])
        return "reconnecting"

    def reset_shares(self, message: str) -> str:
        if self.config.settings.layout == "2017":
            return self.unknown(message)
        self.miners.pool.statistics.reset()
        return "resetting"


class Stratifier(Process):
    """The stratifier. Most commands get no answer."""

    def __init__(self, miners: Miners, stratum: Stratum, counts: Counts) -> None:
        self.miners = miners
        self.stratum = stratum
        self.counts = counts
        self.pool = miners.pool
        self.log = miners.log
        self.api = Api(self.pool)
        self.commands = {
            "{": lambda _message: None,
            "ping": lambda _message: "pong",
            "stats": lambda _message: encode(self.counts.stratifier()),
            **dict.fromkeys(self.api.queries, self.query),
            "dropclient": self.drop_client,
            "reconnclient": self.reconnect_client,
            "dropall": self.drop_all,
            "reconnect": self.miners.reconnect,
            "loglevel": self.change_level,
            "resetshares": self.reset_shares,
        }

    def unknown(self, message: str) -> None:
        self.log.write(WARNING, f"Unhandled stratifier message: {message}")

    def query(self, message: str) -> str | None:
        """The public builds do the work, with its side effects, and keep the result to themselves."""
        found = encode(self.api.answer(message))
        return found if self.pool.config.settings.dialect == "api" else None

    def drop_client(self, message: str) -> None:
        clients = self.pool.clients
        self.miners.log_dropped(clients.disown(client_named(message, clients.known)))

    def reconnect_client(self, message: str) -> None:
        clients = self.pool.clients
        clients.send_away(client_named(message, clients.known))

    def drop_all(self, _message: str) -> None:
        self.stratum.drop_all()
        self.miners.drop_all()

    def change_level(self, message: str) -> None:
        """Any number is taken."""
        number = leading_number(message, "loglevel=")
        self.log.level = self.log.level if number is None else number

    def reset_shares(self, _message: str) -> None:
        self.pool.statistics.reset()


class Connector(Process):
    """The connector, which has the miners' connections."""

    def __init__(self, miners: Miners, counts: Counts) -> None:
        self.miners = miners
        self.counts = counts
        self.clients = miners.clients
        ignored = ("testclient", "loglevel", "passthrough", "getxfd", "{")
        self.commands = {
            "ping": lambda _message: "pong",
            "stats": lambda _message: encode(self.counts.connector()),
            "accept": lambda _message: self.accept(True),
            "reject": lambda _message: self.accept(False),
            "dropclient": self.drop_client,
            **{beginning: lambda _message: None for beginning in ignored},
        }

    def unknown(self, message: str) -> None:
        self.miners.log.write(WARNING, f"Unhandled connector message: {message}")

    def accept(self, accepting: bool) -> None:
        self.clients.accepting = accepting

    def drop_client(self, message: str) -> None:
        self.miners.log_dropped(self.clients.close(client_named(message, self.clients.connected)))


class Generator(Process):
    """The generator, which talks to bitcoind."""

    def __init__(self, template: Template) -> None:
        self.commands = {
            "ping": lambda _message: "pong",
            "getbase": lambda _message: encode(template.record()),
            "getbest": lambda _message: BEST_HASH,
            "getlast": lambda _message: BEST_HASH,
        }


class Guide(Process):
    """A process of the guide's dialect: the commands of the operator's guide, before those of the process itself.

    All sockets but the listener take JSON-RPC, "pool" has a summary, and the stratifier has the rest.
    """

    def __init__(self, socket_name: str, process: Process, miners: Miners, template: Template) -> None:
        self.process = process
        self.miners = miners
        self.records = records = GuideRecords(miners.pool)
        commands: dict[str, Commands] = {
            "pool": {"summary": lambda _message: encode(records.stats())},
            "stratifier": {
                "stats": lambda _message: encode(records.stats()),
                "user.info=": lambda message: encode(records.user_info(argument_of(message))),
                "current.workbase": lambda _message: encode(template.record()),
                "loglevel": miners.log.change_level,
                "dropuser=": self.drop_user,
                "users": lambda _message: encode(records.users()),
                "workers": lambda _message: encode(records.workers()),
            },
        }
        self.commands = {"{": self.rpc, **commands.get(socket_name, {})}

    def answer(self, message: str) -> str | None:
        guided = self.miners.pool.config.settings.dialect == "guide"
        return super().answer(message) if guided else self.process.answer(message)

    def unknown(self, message: str) -> str | None:
        return self.process.answer(message)

    def incomplete(self) -> str | None:
        return self.process.incomplete()

    def rpc(self, message: str) -> str:
        try:
            request = json.loads(message)
            method, number = request.get("method"), request.get("id")
        except (ValueError, AttributeError, RecursionError):
            return encode({"result": None, "error": "invalid JSON", "id": None})
        if method == "stats":
            return encode({"result": self.records.stats(), "error": None, "id": number})
        return encode({"result": None, "error": "unknown method", "id": number})

    def drop_user(self, message: str) -> str:
        user, clients = argument_of(message), self.miners.clients
        mine = [client for client in clients.known.values() if client.worker.user == user]
        if not mine:
            return f"user {user} not found"
        self.miners.log_dropped(clients.close(mine))
        return f"dropped {len(mine)} clients of user {user}"


class Api:
    """The native query API."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.records = ApiRecords(pool)
        self.queries: dict[str, Callable[[str], Json]] = {
            "clients": lambda _argument: {"clients": list(map(self.records.client, pool.clients.known.values()))},
            "workers": lambda _argument: {"workers": list(map(self.records.worker, pool.workers.all))},
            "users": lambda _argument: {"users": list(map(self.records.user, pool.users()))},
            "getuser": self.user,
            "getworker": self.worker,
            "userclients": lambda argument: self.clients_of(argument, "user", False),
            "workerclients": lambda argument: self.clients_of(argument, "worker", False),
            "ucinfo": lambda argument: self.clients_of(argument, "user", True),
            "wcinfo": lambda argument: self.clients_of(argument, "worker", True),
            "poolstats": lambda _argument: self.records.pool_stats(),
            "proxyinfo": lambda _argument: {"proxies": []},
            "uptime": lambda _argument: {"uptime": pool.uptime.seconds()},
        }

    def answer(self, message: str) -> Json:
        """The result of one of the `queries`."""
        query = next(name for name in self.queries if message.lower().startswith(name))
        return self.queries[query](argument_of(message))

    def user(self, argument: str) -> Json:
        user = self.named(argument, "user")
        self.create(user)
        return self.records.user(user)

    def worker(self, argument: str) -> Json:
        name = self.named(argument, "worker")
        found = next((worker for worker in self.pool.workers.all if worker.name == name), None)
        if found:
            return self.records.worker(found)
        self.pool.queried.add(user_of(name))
        return {"user": user_of(name), "worker": name, "id": 0, "lastshare": 0, "bestdiff": 0.0, "idle": True}

    def clients_of(self, argument: str, key: str, full: bool) -> Json:
        name = self.named(argument, key)
        self.create(user_of(name))
        found = [
            client
            for client in self.pool.clients.known.values()
            if name == (client.worker.user if key == "user" else client.worker.name)
        ]
        return {key: name, "clients": [self.records.client(client) if full else client.id for client in found]}

    def create(self, user: str) -> None:
        """To ask about an unknown user creates it: a trap that software must not step into."""
        if user not in self.pool.workers.by_user:
            self.pool.queried.add(user)

    @staticmethod
    def named(argument: str, key: str) -> str:
        try:
            name = json.loads(argument)[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            return ""
        return str(name)


@dataclass
class ApiRecords:
    """The records of the query API: names and units as in the daemon (dsps = hashrate / 2^32)."""

    pool: Pool

    @property
    def statistics(self) -> Statistics:
        return self.pool.statistics

    def dsps(self, weight: float, minutes: Iterable[str]) -> Json:
        return {"dsps" + name: self.statistics.hashrate(DSPS[name]) * weight / NONCES for name in minutes}

    def user(self, user: str) -> Json:
        ids = self.pool.workers.user_ids
        workers = self.pool.workers.of_user(user)
        weight = sum(worker.weight for worker in workers)
        return {
            "user": user,
            "id": ids.get(user, len(ids) + 1),
            "workers": len(workers),
            "bestdiff": self.statistics.best_share() * weight,
            **self.dsps(weight, ("1", "5", "60", "1440", "10080")),
            "lastshare": max((self.statistics.last_share(worker) for worker in workers), default=0),
        }

    def worker(self, worker: Worker) -> Json:
        return {
            "user": worker.user,
            "worker": worker.name,
            "id": self.pool.workers.user_ids[worker.user],
            **self.dsps(worker.weight, ("1", "5", "60", "1440")),
            "lastshare": self.statistics.last_share(worker),
            "bestdiff": self.statistics.best_share() * worker.weight,
            "mindiff": 1,
            "idle": worker.idle,
        }

    def client(self, client: Client) -> Json:
        worker = client.worker
        return {
            "id": client.id,
            "enonce1": f"{client.id:08x}",
            "enonce1var": f"{client.id:08x}",
            "enonce1_64": client.id,
            "diff": 1.0,
            **self.dsps(worker.weight, ("1", "5", "60", "1440", "10080")),
            "lastshare": self.statistics.last_share(worker),
            "starttime": client.started,
            "address": client.address,
            "subscribed": True,
            "authorised": True,
            "idle": worker.idle,
            "useragent": "simulated/1.0",
            "workername": worker.name,
            "userid": self.pool.workers.user_ids[worker.user],
            "server": 0,
            "bestdiff": self.statistics.best_share() * worker.weight,
            "proxyid": 0,
            "subproxyid": 0,
        }

    def pool_stats(self) -> Json:
        statistics, presence = self.statistics, self.pool.presence()
        return {
            "start": int(self.pool.uptime.started),
            "update": int(time.time()),
            "workers": presence.workers,
            "users": presence.users,
            "disconnected": presence.disconnected,
            "shares": statistics.share_count(),
            **{"sps" + name: statistics.shares_per_second() for name in ("1", "5", "15", "60")},
            "accepted": int(statistics.accepted()),
            "rejected": int(statistics.rejected()),
            **self.dsps(1.0, DSPS),
        }


@dataclass
class GuideRecords:
    """The records of the operator's guide, hashrates in GH/s."""

    pool: Pool

    @property
    def statistics(self) -> Statistics:
        return self.pool.statistics

    def rates(self, weight: float) -> Json:
        names = ("1m", "5m", "15m", "1hr", "1d", "7d")
        return {"hashrate" + name.replace("hr", "h"): self.statistics.hashrate(name) * weight / 1e9 for name in names}

    def stats(self) -> Json:
        statistics, presence = self.statistics, self.pool.presence()
        return {
            **self.rates(1.0),
            "workers": presence.workers,
            "users": presence.users,
            "idle": presence.idle,
            "disconnected": presence.disconnected,
            "accounted_shares": int(statistics.accepted()),
            "accepted": int(statistics.accepted()),
            "rejected": int(statistics.rejected()),
            "bestshare": statistics.best_share(),
            "elapsed": self.pool.uptime.seconds(),
        }

    def user(self, user: str) -> Json:
        workers = self.pool.workers.of_user(user)
        weight = sum(worker.weight for worker in workers)
        return {
            "user": user,
            **self.rates(weight),
            "workers": len(workers),
            "shares": int(self.statistics.accepted() * weight),
            "bestshare": self.statistics.best_share() * weight,
            "lastshare": max((self.statistics.last_share(worker) for worker in workers), default=0),
        }

    def worker(self, worker: Worker) -> Json:
        return {
            "user": worker.user,
            "worker": worker.name,
            **self.rates(worker.weight),
            "shares": int(self.statistics.accepted() * worker.weight),
            "bestshare": self.statistics.best_share() * worker.weight,
            "lastshare": self.statistics.last_share(worker),
        }

    def user_info(self, user: str) -> Json:
        if user not in self.pool.workers.by_user:
            return {"error": f"user {user} not found"}
        detail = [self.worker(worker) for worker in self.pool.workers.of_user(user)]
        return {**self.user(user), "worker": detail}

    def users(self) -> Json:
        return {"users": [self.user(user) for user in self.pool.workers.by_user]}

    def workers(self) -> Json:
        return {"workers": [self.worker(worker) for worker in self.pool.workers.all]}


class Counts:
    """The object counts that "stats" gives, as the daemon counts and logs them."""

    def __init__(self, pool: Pool, work: Work, stratum: Stratum, log: Log) -> None:
        self.pool = pool
        self.work = work
        self.stratum = stratum
        self.log = log
        self.asked: dict[str, int] = {}  # how often, since the configuration was read

    def restart(self) -> None:
        self.asked.clear()

    def stratifier(self) -> dict[str, Json]:
        pool, clients, shares = self.pool, self.pool.clients, self.pool.statistics.share_count()
        counts = {
            "workbases": self.objects(self.work.live(), "workbases", self.work.generated),
            "remote_workbases": {"count": 0, "memory": 0},
            "users": self.objects(len(pool.workers.by_user) + len(pool.queried), "users"),
            "clients": self.objects(len(clients.known), "clients", clients.last_id),
            "disconnected": self.objects(pool.presence().disconnected, "clients"),
            "shares": self.objects(0, "shares", shares),
            "transactions": self.objects(0, ""),
            "ssends": self.objects(0, "", self.work.generated * len(clients.known)),
            "srecvs": self.objects(0, "", shares + 2 * clients.last_id),
            "stxnq": self.objects(0, ""),
        }
        del counts["users"]["generated"]
        return self.logged(self.fixed(counts, "stratifier"), "Stratifier")

    def connector(self) -> dict[str, Json]:
        clients = self.pool.clients
        count = len(clients.connected) + len(self.stratum.connections)
        counts = {
            "clients": self.objects(count, "connections", clients.last_id),
            "dead": self.objects(0, "", clients.last_id - len(clients.connected)),
            "sends": self.objects(0, "", self.work.generated * len(clients.connected)),
            "delays": self.objects(0, ""),
        }
        return self.logged(self.fixed(counts, "connector"), "Connector")

    def objects(self, count: int, kind: str, generated: int | None = None) -> Json:
        made = count if generated is None else generated
        return {
            "count": count,
            "memory": count * MEMORY[self.pool.config.settings.layout].get(kind, 0),
            "generated": made,
        }

    def fixed(self, counts: dict[str, Json], which: str) -> dict[str, Json]:
        """The counts, with what the configuration fixes for this question in turn; the last one stays."""
        fixed = self.pool.config.settings.counters.get(which)
        if not fixed:
            return counts
        turn = self.asked.get(which, 0)
        self.asked[which] = turn + 1
        for name, values in fixed[min(turn, len(fixed) - 1)].items():
            counts.setdefault(name, {}).update(values)
        return counts

    def logged(self, counts: dict[str, Json], process: str) -> dict[str, Json]:
        self.log.write(NOTICE, f"{process} stats: " + encode(counts))
        return counts


@dataclass
class Template:
    """The block template that the generator gives; `template` of the configuration replaces what it names."""

    config: Config
    work: Work

    def record(self) -> Json:
        fixed = self.config.settings.template
        now = int(fixed.get("curtime", self.work.last if self.config.fault("stale_work") else time.time()))
        bits = str(fixed.get("bits", TEMPLATE["bits"]))
        target = str(fixed.get("target", target_of(bits)))
        derived = {
            "target": target,
            "mintime": now - 600,
            "curtime": now,
            "bits": bits,
            "diff": (0xFFFF << 208) / int(target, 16),
            "ntime": f"{now:08x}",
            "nbit": bits,
        }
        return {**TEMPLATE, **derived, **fixed}


def target_of(bits: str) -> str:
    """The 256-bit target that the compact form stands for."""
    return "%064x" % (int(bits[2:], 16) << 8 * (int(bits[:2], 16) - 3))


class Work:
    """New workbases, one every update_interval, and the alarm when bitcoind is away."""

    def __init__(self, config: Config, log: Log, age: float) -> None:
        self.config = config
        self.log = log
        self.generated = int(age / max(config.settings.update_interval, 0.1))
        self.last = 0.0  # when the newest was made
        self.due = self.alarm_due = 0.0

    def restart(self) -> None:
        self.generated = 0
        self.last = 0.0

    def hasten(self) -> None:
        """The interval may be shorter now."""
        self.due = min(self.due, time.time() + self.config.settings.update_interval)

    def live(self) -> int:
        """The workbases that are kept: those of ten minutes."""
        return int(min(self.generated, 600 / max(self.config.settings.update_interval, 0.1) + 1))

    def is_stuck(self) -> bool:
        return bool(self.config.fault("bitcoind_down") or self.config.fault("starting"))

    def complain(self, now: float) -> None:
        if self.is_stuck() and now >= self.alarm_due:
            self.alarm_due = now + 5
            self.log.write(WARNING, "CRITICAL: No bitcoinds active!")

    def make(self, now: float) -> None:
        stale = self.config.fault("stale_work") is not None
        if self.is_stuck() or (stale and self.last) or now < self.due:
            return
        self.last = now - self.config.settings.stale_age("stale_work")
        self.due = now + self.config.settings.update_interval
        self.generated += 1
        self.log.write(NOTICE, "Stored local workbase with 0 transactions", moment=self.last)


class Stratum:
    """TCP ports for real miners, beside the simulated ones. They get a job, and whatever they submit is accepted.

    One thread takes new miners and reads the others, as the daemon's does: while the pool rejects, it does neither.
    In a handover the new process inherits ports and connections, and never reads the latter.
    """

    def __init__(self, pool: Pool, ending: Ending, lock: threading.Lock) -> None:
        self.pool = pool
        self.ending = ending
        self.lock = lock
        self.servers: list[socket.socket] = []
        self.connections: dict[int, tuple[socket.socket, bytearray]] = {}
        self.watch = select.epoll()

    def open(self, ports: Iterable[int]) -> None:
        inherited = [int(word) for word in os.environ.pop(INHERITED, "").split(",") if word]
        self.servers = [socket.socket(fileno=number) for number in inherited] or [self.bind(port) for port in ports]
        for server in self.servers:
            self.watch.register(server.fileno(), select.EPOLLIN)
        if self.servers:
            threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def bind(port: int) -> socket.socket:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(1024)
        return server

    def bequeath(self) -> dict[str, str]:
        """Let the process that follows inherit everything; the variable of its environment that names the ports."""
        for one in (*self.servers, *(miner for miner, _buffer in self.connections.values())):
            one.set_inheritable(True)
        return {INHERITED: ",".join(str(server.fileno()) for server in self.servers)} if self.servers else {}

    def serve(self) -> None:
        while True:
            if self.rests():
                time.sleep(TICK / 2)
                continue
            for number, _event in self.watch.poll(TICK):
                with self.lock:
                    if self.rests():
                        break  # it was told so while this thread waited
                    self.accept(number) if any(number == one.fileno() for one in self.servers) else self.read(number)

    def rests(self) -> bool:
        return not self.pool.clients.accepting or bool(self.ending.why)

    def accept(self, number: int) -> None:
        server = next(one for one in self.servers if one.fileno() == number)
        miner, _address = server.accept()
        self.connections[miner.fileno()] = (miner, bytearray())
        self.watch.register(miner.fileno(), select.EPOLLIN)

    def read(self, number: int) -> None:
        if number not in self.connections:
            return
        miner, buffer = self.connections[number]
        try:
            piece = miner.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            self.close(number)
            return
        buffer += piece
        *lines, rest = bytes(buffer).split(b"\n")
        buffer[:] = rest
        for line in lines:
            with contextlib.suppress(ValueError, AttributeError):
                self.respond(miner, json.loads(line))

    def respond(self, miner: socket.socket, message: Json) -> None:
        method = message.get("method")
        result: Any = [[["mining.notify", "1"]], "00000001", 8] if method == "mining.subscribe" else True
        self.send(miner, {"id": message.get("id"), "result": result, "error": None})
        if method == "mining.authorize":
            job = ["1", "0" * 64, "00", "00", [], "20000000", "1d00ffff", f"{int(time.time()):08x}", True]
            self.send(miner, {"id": None, "method": "mining.notify", "params": job})

    @staticmethod
    def send(miner: socket.socket, message: Json) -> None:
        with contextlib.suppress(OSError):
            miner.sendall(json.dumps(message).encode() + b"\n")

    def reconnect(self, elsewhere: str) -> None:
        host, _comma, port = elsewhere.partition(",")
        for miner, _buffer in list(self.connections.values()):
            params: list[Any] = [host, int(port), 0] if port else []
            self.send(miner, {"id": None, "method": "client.reconnect", "params": params})

    def close(self, number: int) -> None:
        miner, _buffer = self.connections.pop(number)
        self.watch.unregister(number)
        miner.close()

    def drop_all(self) -> None:
        for number in list(self.connections):
            self.close(number)


class Miners:
    """How the simulated miners come, leave and are dropped, with the lines that the log has about it."""

    def __init__(self, pool: Pool, log: Log) -> None:
        self.pool = pool
        self.clients = pool.clients
        self.log = log

    def pass_time(self) -> None:
        self.log_dropped(self.clients.leave())
        self.log_dropped(self.clients.lapse(), "lazily")
        self.welcome(self.clients.returning())

    def welcome(self, workers: list[Worker], moment: float | None = None) -> None:
        layout = self.pool.config.settings.layout
        lines: list[str] = []
        for worker in workers:
            client = self.clients.connect(worker, moment)
            where = "" if layout == "2017" else " " + client.address
            after = " with diff 1" if layout == "2025" else ""
            text = "Authorised client %d%s worker %s as user %s%s"
            lines.append(text % (client.id, where, worker.name, worker.user, after))
        self.log.write(NOTICE, *lines, moment=moment)

    def reconnect(self, message: str) -> None:
        """Send everybody away; with "reconnect:HOST,PORT" they do not come back."""
        everybody = list(self.clients.known.values())
        self.clients.send_away(everybody, elsewhere=message.lower().startswith("reconnect:"))
        self.clients.mark(everybody)

    def drop_all(self) -> None:
        count = len(self.clients.known)
        self.clients.close(self.clients.connected.values())
        self.clients.known.clear()
        if count:
            self.log.write(NOTICE, f"Dropped {count} instances for dropall request")

    def log_dropped(self, clients: list[Client], how: str = "") -> None:
        text = "Dropped client %d %s user %s worker %s %s"
        lines = (text % (gone.id, gone.address, gone.worker.user, gone.worker.name, how) for gone in clients)
        self.log.write(NOTICE, *lines)


class Pool:
    """Who mines, who is connected, and what they have achieved, at any moment."""

    def __init__(self, config: Config, uptime: Uptime) -> None:
        self.config = config
        self.uptime = uptime
        self.workers = Workers(config)
        self.clients = Clients(config, self.workers)
        self.statistics = Statistics(config, uptime, self.workers)
        self.queried: set[str] = set()  # users that exist only because somebody asked about them

    def adopt(self, before: Settings) -> bool:
        """Follow the changed settings; true when there are other miners now."""
        settings = self.config.settings
        if settings.uptime != before.uptime:
            self.uptime.started = self.uptime.began - settings.uptime
        changed = settings.population() != before.population()
        if changed:
            self.workers.populate()
            self.statistics.populate()
            self.clients.clear()
        return changed

    def users(self) -> list[str]:
        return [*self.workers.by_user, *sorted(self.queried)]

    def presence(self) -> Presence:
        connected = [client.worker for client in self.clients.known.values()]
        return Presence(
            users=len({worker.user for worker in connected}),
            workers=len(connected),
            idle=sum(worker.idle for worker in connected),
            disconnected=self.config.settings.disconnected + len(self.clients.away),
        )


@dataclass(frozen=True)
class Presence:
    """How many are there, as the stratifier counts them."""

    users: int
    workers: int
    idle: int
    disconnected: int


class Clients:
    """Who is connected: the connector's view and the stratifier's. After most commands these differ for a while."""

    def __init__(self, config: Config, workers: Workers) -> None:
        self.config = config
        self.workers = workers
        self.last_id = 0
        self.connected: dict[int, Client] = {}  # what the connector counts
        self.known: dict[int, Client] = {}  # what the stratifier counts
        self.away: list[tuple[float, Worker]] = []  # those who come back, and when
        self.accepting = True

    def clear(self) -> None:
        """Nobody is connected, and nobody comes back."""
        self.connected.clear()
        self.known.clear()
        self.away.clear()

    def connect(self, worker: Worker, moment: float | None = None) -> Client:
        self.last_id += 1
        client = Client(self.last_id, worker, int(moment or time.time()))
        self.connected[client.id] = self.known[client.id] = client
        return client

    def expect(self, workers: Iterable[Worker]) -> None:
        """They connect after `reconnect_after`."""
        due = time.time() + self.config.settings.reconnect_after
        self.away += [(due, worker) for worker in workers]

    def returning(self) -> list[Worker]:
        """The workers that connect again now."""
        if not self.accepting:
            return []
        now = time.time()
        back = [worker for due, worker in self.away if due <= now]
        self.away = [entry for entry in self.away if entry[0] > now]
        return back

    def close(self, clients: Iterable[Client]) -> list[Client]:
        """End connections. The result: the clients that the stratifier, which the connector informs, drops for that."""
        closed = [client for client in list(clients) if self.connected.pop(client.id, None)]
        self.expect(client.worker for client in closed if client.returns)
        return self.forget(closed)

    def forget(self, clients: Iterable[Client]) -> list[Client]:
        """The stratifier drops clients, but those that it has marked only when they lapse."""
        forgotten = [client for client in clients if client.id in self.known and client.lapses == NEVER]
        for client in forgotten:
            del self.known[client.id]
        return forgotten

    def disown(self, clients: Iterable[Client]) -> list[Client]:
        """The stratifier drops clients. Each connection stays until its miner sends something: silent ones stay."""
        now = time.time()
        disowned = self.forget(clients)
        for client in disowned:
            if not client.worker.idle and not self.workers.is_stubborn(client.worker):
                client.leaves = min(client.leaves, now + self.config.settings.share_interval)
        return disowned

    def send_away(self, clients: Collection[Client], elsewhere: bool = False) -> None:
        """Send client.reconnect. Miners that follow it leave soon."""
        now = time.time()
        for position, client in enumerate(clients):
            if not self.workers.is_stubborn(client.worker):
                client.leaves = min(client.leaves, now + LEAVING * position / len(clients))
                client.returns = not elsewhere

    def mark(self, clients: Iterable[Client]) -> None:
        """The stratifier regards clients as dropped, and goes on counting them for a while."""
        due = time.time() + self.config.settings.lazy_drop_after
        for client in clients:
            client.lapses = min(client.lapses, due)

    def leave(self) -> list[Client]:
        """End the connections of miners that leave now; the result is as with `close`.

        While the pool rejects, nobody notices: the thread that takes new miners is the one that reads the others.
        """
        now = time.time()
        leaving = [client for client in self.connected.values() if client.leaves <= now]
        return self.close(leaving) if self.accepting else []

    def lapse(self) -> list[Client]:
        """The marked clients that the stratifier drops now."""
        now = time.time()
        lapsed = [client for client in self.known.values() if client.lapses <= now]
        for client in lapsed:
            del self.known[client.id]
        return lapsed


class Statistics:
    """Hashrates and shares, of the whole pool."""

    def __init__(self, config: Config, uptime: Uptime, workers: Workers) -> None:
        self.config = config
        self.uptime = uptime
        self.workers = workers
        self.reset_at: float | None = None
        self.populate()

    def populate(self) -> None:
        self.phase = random.Random(self.config.settings.seed).uniform(0, 2 * math.pi)

    def reset(self) -> None:
        self.reset_at = time.time()

    def hashrate(self, window: str) -> float:
        """In H/s. Waves of a few percent, which longer windows smooth out."""
        moment = time.time()
        wave = math.sin(moment / 13 + self.phase) + 0.5 * math.sin(moment / 41 + 2 * self.phase)
        rate = self.config.settings.hashrate * (1 + 0.02 * wave / math.sqrt(WINDOWS[window] / 60))
        drop = self.config.fault("hashrate_drop")
        return rate * drop.number("factor", 0.1) if drop and window in ("1m", "5m") else rate

    def accepted(self) -> float:
        """In shares of difficulty one."""
        settings = self.config.settings
        if self.reset_at is not None:
            return settings.hashrate * (time.time() - self.reset_at) / NONCES
        if settings.accepted is not None:
            return settings.accepted
        return settings.hashrate * self.uptime.seconds() / NONCES

    def rejected(self) -> float:
        fault, rejected = self.config.fault("rejects"), self.config.settings.rejected
        if fault:
            ratio = min(fault.number("ratio", 0.2), 0.99)
            return self.accepted() * ratio / (1 - ratio)
        if rejected is not None and self.reset_at is None:
            return rejected
        return self.accepted() * 0.002

    def best_share(self) -> float:
        best = self.config.settings.bestshare
        return best if best is not None and self.reset_at is None else self.accepted() * 0.7

    def shares_per_second(self) -> float:
        return sum(not worker.idle for worker in self.workers.all) / SECONDS_PER_SHARE

    def share_count(self) -> int:
        return int(self.shares_per_second() * self.uptime.seconds())

    def last_share(self, worker: Worker) -> int:
        """Idle workers stopped an hour ago, the others sent a share just now."""
        return int(time.time()) - (3600 if worker.idle else worker.number % 5)


class Uptime:
    """Since when the instance runs, or says that it does."""

    def __init__(self, age: float) -> None:
        self.began = time.time()
        self.started = self.began - age

    def seconds(self) -> int:
        return int(time.time() - self.started)


class Workers:
    """Who mines: made from the settings, the same for the same seed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.populate()

    def populate(self) -> None:
        self.all = self.made()
        self.by_user: dict[str, list[Worker]] = {}
        for worker in self.all:
            self.by_user.setdefault(worker.user, []).append(worker)
        self.user_ids = {user: number for number, user in enumerate(self.by_user, 1)}

    def made(self) -> list[Worker]:
        """Their weights add up to one; the last `idle` of them do nothing."""
        settings = self.config.settings
        source = random.Random(settings.seed)
        names = list(settings.user_names) or [random_address(source) for _index in range(settings.users)]
        pairs = [(user, f"{user}.rig{index}") for user in names for index in range(settings.workers_per_user)]
        busy = len(pairs) - settings.idle
        raw = [source.uniform(0.3, 1.7) if number < busy else 0.0 for number in range(len(pairs))]
        total = sum(raw) or 1.0
        return [
            Worker(worker, user, number, raw[number] / total, number >= busy)
            for number, (user, worker) in enumerate(pairs)
        ]

    def of_user(self, user: str) -> list[Worker]:
        return self.by_user.get(user, [])

    def is_stubborn(self, worker: Worker) -> bool:
        return worker.number >= len(self.all) - self.config.settings.stubborn


@dataclass
class Client:
    """One stratum connection of a worker."""

    id: int
    worker: Worker
    started: int
    leaves: float = NEVER  # when the connection ends
    lapses: float = NEVER  # when the stratifier, which has marked it as dropped, stops counting it
    returns: bool = True  # False: sent elsewhere

    @property
    def address(self) -> str:
        return f"127.0.{self.worker.number // 250}.{self.worker.number % 250 + 1}"


@dataclass
class Worker:
    """A name under a user, with its part of the pool's hashrate."""

    name: str
    user: str
    number: int
    weight: float
    idle: bool


class StatusFiles:
    """pool/pool.status, users/* and workers/*: when they are written, and the log lines about it."""

    def __init__(self, pool: Pool, logdir: str, log: Log, late: bool) -> None:
        self.pool = pool
        self.logdir = logdir
        self.log = log
        self.records = StatusRecords(pool)
        self.due = time.time() + pool.config.settings.status_interval if late else 0.0

    def path(self, *parts: str) -> str:
        return os.path.join(self.logdir, *parts)

    def prepare(self) -> None:
        """Make the folders, and the files of users that left long ago."""
        settings = self.pool.config.settings
        for folder in ("pool", "users") + (("workers",) if settings.layout == "2017" else ()):
            os.makedirs(self.path(folder), exist_ok=True)
        source = random.Random(settings.seed + 1)
        long_ago = time.time() - 90 * 86400
        for _index in range(settings.dead_users):
            user = random_address(source)
            overwrite(self.path("users", user), self.records.user_text(user, [], int(long_ago)), long_ago)

    def report(self, now: float) -> None:
        if self.pool.config.fault("dead_stats") or now < self.due:
            return
        self.due = now + self.pool.config.settings.status_interval
        self.write()

    def write(self, age: float = 0.0) -> None:
        """Everything at once, as if it had been written `age` seconds ago."""
        stamp = time.time() - age if age else None
        for user in dict.fromkeys(client.worker.user for client in self.pool.clients.known.values()):
            self.write_user(user, age, stamp)
        lines = self.records.pool_lines(int(time.time() - age))
        overwrite(self.path("pool", "pool.status"), "".join(line + "\n" for line in lines), stamp)
        self.log.write(NOTICE, *("Pool:" + line for line in lines))

    def write_user(self, user: str, age: float, stamp: float | None) -> None:
        old = self.records.layout == "2017"
        workers = self.pool.workers.of_user(user)
        moment = int(time.time() - age)
        overwrite(self.path("users", user), self.records.user_text(user, workers, moment), stamp)
        for worker in workers if old else ():
            overwrite(self.path("workers", worker.name), self.records.worker_text(worker, moment), stamp)
        if not all(worker.idle for worker in workers):
            record = self.records.user(user, workers, moment)
            self.log.write(NOTICE, f"User {user}:{encode(record, 17, compact=not old)}")

    def remove_pool_status(self) -> None:
        path = self.path("pool", "pool.status")
        if os.path.exists(path):
            os.unlink(path)


@dataclass
class StatusRecords:
    """What the status files of the three layouts contain."""

    pool: Pool

    @property
    def layout(self) -> str:
        return self.pool.config.settings.layout

    @property
    def statistics(self) -> Statistics:
        return self.pool.statistics

    def user_text(self, user: str, workers: list[Worker], moment: int) -> str:
        """A file of users/. The workers are in it, or in workers/ in the layout of 2017."""
        record = self.user(user, workers, moment)
        if self.layout == "2017":
            return encode(record, 16) + "\n"
        record["worker"] = [self.worker(worker, moment) for worker in workers]
        return encode(record, 16, indent=1) + "\n"

    def user(self, user: str, workers: list[Worker], moment: int) -> Json:
        weight = sum(worker.weight for worker in workers)
        rates, achieved = self.rates(weight), self.achieved(weight)
        if self.layout == "2017":
            return {**rates, "lastupdate": moment, "workers": len(workers), **achieved}
        last = max((self.last_share(worker, moment) for worker in workers), default=moment)
        joined = int(self.pool.uptime.started)
        return {**rates, "lastshare": last, "workers": len(workers), **achieved, "authorised": joined}

    def worker_text(self, worker: Worker, moment: int) -> str:
        """A file of workers/, in the layout of 2017."""
        return encode({**self.rates(worker.weight), "lastupdate": moment, **self.achieved(worker.weight)}, 16) + "\n"

    def worker(self, worker: Worker, moment: int) -> Json:
        record: Json = {"workername": worker.name, **self.rates(worker.weight)}
        record["lastshare"] = self.last_share(worker, moment)
        if self.layout == "2026":
            record["started"] = int(self.pool.uptime.started)
        record.update(self.achieved(worker.weight))
        if self.layout == "2026":
            record["useragent"] = "simulated/1.0"
        return record

    def rates(self, weight: float) -> Json:
        names = ("1m", "5m", "1hr", "1d", "7d")
        return {"hashrate" + name: si_text(self.statistics.hashrate(name) * weight) for name in names}

    def achieved(self, weight: float) -> Json:
        shares, best = self.statistics.accepted() * weight, self.statistics.best_share() * weight
        if self.layout == "2017":
            return {"shares": int(shares), "bestshare": best}
        if self.layout == "2025":
            return {"shares": int(shares), "bestshare": best, "bestever": int(best)}
        return {"shares": shares, "bestshare": best, "bestever": best}

    def last_share(self, worker: Worker, moment: int) -> int:
        return min(self.statistics.last_share(worker), moment)

    def pool_lines(self, moment: int) -> list[str]:
        """The three lines of pool.status."""
        presence, fine = self.pool.presence(), self.layout == "2026"
        counts: Json = {
            "runtime": self.pool.uptime.seconds(),
            "lastupdate": moment,
            "Users": presence.users,
            "Workers": presence.workers,
            "Idle": presence.idle,
            "Disconnected": presence.disconnected,
        }
        rates = {"hashrate" + name: si_text(self.statistics.hashrate(name), fine) for name in WINDOWS}
        if fine and presence.workers:
            agent: Json = {"ua": "simulated", "devices": presence.workers, "hashrate5m": rates["hashrate5m"]}
            counts["UserAgents"] = [{**agent, "bestshare": self.statistics.best_share()}]
        return [encode(counts), encode(rates), encode(self.shares(), 6 if fine else 3)]

    def shares(self) -> Json:
        """The last line of pool.status."""
        statistics = self.statistics
        accepted, rejected, best = statistics.accepted(), statistics.rejected(), statistics.best_share()
        rates = {"SPS" + window: statistics.shares_per_second() for window in ("1m", "5m", "15m", "1h")}
        progress = {"diff": round(accepted / NETWORK_DIFF * 100, 1)}
        if self.layout == "2026":
            count = statistics.share_count()
            real = {"netdiff": NETWORK_DIFF, "accepted": accepted, "rejected": rejected, "bestshare": best}
            return {**progress, **real, **rates, "accepted_count": count, "rejected_count": int(count * 0.002)}
        whole = {"accepted": int(accepted), "rejected": int(rejected), "bestshare": int(best)}
        return dict(rates) if self.layout == "2017" and not accepted else {**progress, **whole, **rates}


class Log:
    """<logdir>/<name>.log: local time, and only what the level allows."""

    def __init__(self, path: str, level: int, layout: str) -> None:
        self.path = path
        self.level = level
        self.width = 510 if layout != "2017" else 1 << 20  # later builds cut long lines
        with open(path, "a", encoding="utf-8"):
            pass  # it is there even if the level allows nothing

    def write(self, level: int, *texts: str, moment: float | None = None) -> None:
        if level > self.level or not texts:
            return
        now = time.time() if moment is None else moment
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03d}"
        with open(self.path, "a", encoding="utf-8", errors="replace") as stream:
            for text in texts:
                for start in range(0, len(text), self.width):
                    stream.write(f"[{stamp}] {text[start : start + self.width]}\n")

    def change_level(self, message: str) -> str:
        """Follow "loglevel=N"; the reply."""
        number = leading_number(message, "loglevel=")
        if number is None:
            self.write(WARNING, f"Failed to parse loglevel message {message}")
            return "Failed"
        if not EMERG <= number <= DEBUG:
            self.write(WARNING, f"Invalid loglevel {number} sent")
            return "Invalid"
        self.level = number
        return "success"


class Recorder:
    """Every message that arrived, in order: the proof of what software sends."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()

    def add(self, socket_name: str, message: str | None) -> None:
        line = json.dumps({"time": round(time.time(), 6), "socket": socket_name, "message": message})
        with self.lock, open(self.path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")


class Config:
    """The configuration file: its settings, and whether it has changed since they were read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stamp = 0
        self.settings: Settings
        self.load()

    def load(self) -> None:
        """Raise ConfigError when the file cannot be used; the settings stay as they were then."""
        self.stamp = self.newest()
        self.settings = Settings.load(self.path)

    def newest(self) -> int:
        try:
            return os.stat(self.path).st_mtime_ns
        except OSError:
            return 0

    def has_changed(self) -> bool:
        return self.newest() != self.stamp

    def fault(self, name: str) -> Fault | None:
        return self.settings.fault(name)

    def fault_on(self, name: str, socket_name: str) -> Fault | None:
        return next(
            (fault for fault in self.settings.faults if fault.name == name and fault.concerns(socket_name)), None
        )


@dataclass(frozen=True)
class Settings:
    """The values of the configuration; the fields after `bitcoinds` are the keys of "simulation"."""

    logdir: str = "logs"
    update_interval: float = 30
    bitcoinds: tuple[str, ...] = ("127.0.0.1:8332",)
    layout: str = "2025"
    dialect: str = "public"
    users: int = 3
    workers_per_user: int = 2
    user_names: tuple[str, ...] = ()
    dead_users: int = 0
    hashrate: float = 1e15
    idle: int = 0
    disconnected: int = 0
    seed: int = 1
    bestshare: float | None = None
    accepted: float | None = None
    rejected: float | None = None
    status_interval: float = 60
    uptime: float = 0
    reconnect_after: float = 3
    share_interval: float = 2
    lazy_drop_after: float = 60
    stubborn: int = 0
    ports: tuple[int, ...] = ()
    counters: Mapping[str, list[Json]] = field(default_factory=dict)
    template: Json = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, path: str) -> Settings:
        config = cls.read(path)
        simulation: Json = dict(config.get("simulation", {}))
        unknown = set(simulation) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError("unknown simulation keys: {}".format(", ".join(sorted(unknown))))
        if "faults" in simulation:
            simulation["faults"] = tuple(Fault.parse(raw) for raw in simulation["faults"])
        for key in ("user_names", "ports"):
            if key in simulation:
                simulation[key] = tuple(simulation[key])
        for key in ("logdir", "update_interval"):
            simulation.update({key: config[key]} if key in config else {})
        try:
            servers = tuple(str(entry.get("url", "")) for entry in config.get("btcd", []))
            settings = cls(bitcoinds=servers or ("127.0.0.1:8332",), **cls.numbers(simulation))
            settings.check()
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"a value in {path} has the wrong type: {error}") from error
        return settings

    @staticmethod
    def read(path: str) -> Json:
        """The JSON at the beginning of the file; text after it is ignored."""
        try:
            with open(path, encoding="utf-8") as stream:
                config, _comment = json.JSONDecoder().raw_decode(stream.read().lstrip())
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read configuration {path}: {error}") from error
        if not isinstance(config, dict) or not isinstance(config.get("simulation", {}), dict):
            raise ConfigError(f"configuration {path} is not a JSON object")
        return config

    @classmethod
    def numbers(cls, simulation: Json) -> Json:
        """YAML takes 2.5e15 for a text: what should be a number becomes one."""
        kinds = {"int": int, "float": float, "float | None": float}
        types = {name: kinds.get(str(spec.type)) for name, spec in cls.__dataclass_fields__.items()}
        return {
            name: kind(value) if (kind := types[name]) and isinstance(value, str) else value
            for name, value in simulation.items()
        }

    def check(self) -> None:
        """Raise ConfigError for values that cannot be simulated."""
        if self.layout not in LAYOUTS or self.dialect not in DIALECTS:
            raise ConfigError(f"layout must be one of {LAYOUTS}, dialect one of {DIALECTS}")
        if any("/" in name or "\0" in name or name in ("", ".", "..") for name in self.user_names):
            raise ConfigError("user_names must be plain file names")
        if min(self.users, self.workers_per_user, self.hashrate, self.status_interval - 0.05) < 0:
            raise ConfigError(
                "users, workers_per_user and hashrate must not be negative, status_interval at least 0.05"
            )

    def fault(self, name: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.name == name), None)

    def age_at_start(self) -> float:
        """For how long the instance claims to have run: at least as long as what it claims to be stale."""
        ages = (self.stale_age(name) + 60 for name in ("stale_work", "dead_stats") if self.fault(name))
        return max((self.uptime, *ages))

    def stale_age(self, name: str) -> float:
        fault = self.fault(name)
        return fault.number("age", 600) if fault else 0.0

    def population(self) -> tuple[Any, ...]:
        """The settings that determine the workers: a change replaces all of them."""
        return (self.users, self.workers_per_user, self.user_names, self.seed, self.idle)


@dataclass(frozen=True)
class Fault:
    """One fault of the configuration, the sockets that it concerns (none: all), and its options."""

    name: str
    sockets: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Any) -> Fault:
        entry = {"fault": raw} if isinstance(raw, str) else raw
        if not isinstance(entry, dict) or entry.get("fault") not in FAULTS:
            raise ConfigError("unknown fault {!r}, expected one of {}".format(raw, ", ".join(FAULTS)))
        name = str(entry["fault"])
        sockets = tuple(entry.get("sockets") or FAULT_SOCKETS.get(name, ()))
        return cls(name, sockets, {key: value for key, value in entry.items() if key not in ("fault", "sockets")})

    def concerns(self, socket_name: str) -> bool:
        return not self.sockets or socket_name in self.sockets

    def number(self, option: str, default: float) -> float:
        return float(self.options.get(option, default))


class ConfigError(Exception):
    """The configuration cannot be used; the text is the reason."""


class KeepOpen(Exception):
    """The message gets no answer and its connection stays open."""


def encode(value: Any, digits: int = 17, compact: bool = False, indent: int | None = None, depth: int = 1) -> str:
    """JSON as the daemon's library writes it: reals with that many digits, `1e13` rather than `1e+13`."""
    if isinstance(value, float):
        return encode_real(value, digits)
    if not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    inner: Iterable[str]
    if isinstance(value, dict):
        colon = ":" if compact else ": "
        inner = [
            json.dumps(str(key)) + colon + encode(item, digits, compact, indent, depth + 1)
            for key, item in value.items()
        ]
    else:
        inner = [encode(item, digits, compact, indent, depth + 1) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if indent is not None:
        pad = "\n" + " " * indent * depth
        return opening + pad + ("," + pad).join(inner) + "\n" + " " * indent * (depth - 1) + closing
    return opening + ("," if compact else ", ").join(inner) + closing


def encode_real(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        return f"{mantissa}e{int(exponent)}"
    return text if "." in text else text + ".0"


def si_text(value: float, fine: bool = False) -> str:
    """A hashrate as the status files have it: three digits and a suffix; `fine` keeps digits below a thousand."""
    for power, suffix in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "K")):
        if value >= 10**power:
            return f"{value / 10**power:.3g}{suffix}"
    return f"{value:.3g}" if fine else str(int(value))


def user_of(worker: str) -> str:
    """The user that a worker's name belongs to."""
    return worker.partition(".")[0]


def random_address(source: random.Random) -> str:
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "1" + "".join(source.choice(alphabet) for _index in range(33))


def argument_of(message: str) -> str:
    """What follows the first equals sign."""
    return message.partition("=")[2]


def leading_number(message: str, prefix: str) -> int | None:
    """The integer that follows the prefix (spelt exactly so), whatever comes after it."""
    if not message.startswith(prefix):
        return None
    rest = message[len(prefix) :].lstrip()
    sign, digits = (rest[:1], rest[1:]) if rest[:1] in ("-", "+") else ("", rest)
    length = next((index for index, letter in enumerate(digits) if letter not in "0123456789"), len(digits))
    return int(sign + digits[: min(length, 20)]) if length else None


def client_named(message: str, clients: dict[int, Client]) -> list[Client]:
    """The one whose id follows the equals sign, if it is there."""
    number = leading_number(message, message.partition("=")[0] + "=")
    return [clients[number]] if number in clients else []


def overwrite(path: str, text: str, stamp: float | None = None) -> None:
    """In place and in one write, as the daemon does it: for as short a time as possible, half of it may be read."""
    data = text.encode("utf-8")
    with open(path, "wb", buffering=0) as stream:
        stream.write(data)
    if stamp is not None:
        os.utime(path, (stamp, stamp))


if __name__ == "__main__":
    main(sys.argv[1:])
