# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that boot a real systemd: systemd-nspawn over a tree of Debian, with a network of their own.

Each host is an overlay over a tree that all share, and is reached over ssh as an ordinary user who may use sudo. It has
no address but its own loopback: ssh goes by a process in its network namespace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.system import remains

USER = "deploy"
SUITES = {
    suite: systemd
    for suite, systemd in {"bullseye": "247", "bookworm": "252", "trixie": "257"}.items()
    if suite in os.environ.get("CKPOOL_FLEET_SUITES", suite).split()
}
"""Releases of Debian to test on, and the version of systemd that each has."""
ANY = "bookworm"
"""The release for tests to which it makes no difference."""
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "python3-apt", "iproute2", "sudo", "logrotate",
)  # fmt: skip
_APT = {"lists": "var/lib/apt/lists", "archives": "var/cache/apt/archives"}
"""What apt knows of packages, and where it has them."""
BOOT_SECONDS = 90.0
TREE_SECONDS = 600.0
_PROXY = """
import os, socket, sys, threading
link = socket.create_connection(("127.0.0.1", 22), 10)
link.settimeout(None)
def inward():
    while data := os.read(0, 65536):
        link.sendall(data)
    link.shutdown(socket.SHUT_WR)
threading.Thread(target=inward, daemon=True).start()
while data := link.recv(65536):
    os.write(1, data)
"""


@functools.lru_cache(maxsize=1)
def why_not() -> str:
    """Why no host can be booted on this machine, as far as that can be seen at once; empty if nothing is in the way."""
    if os.geteuid() != 0:
        return "only root can boot hosts"
    tools = ("systemd-nspawn", "debootstrap", "nsenter", "ssh", "ssh-keygen", "mount", "umount", "chroot")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} not installed"
    return _why_no_control_group()


def _why_no_control_group() -> str:
    if not (remains.unified() / "cgroup.controllers").exists():
        return "there is no unified hierarchy of control groups"
    trial = remains.unified() / f"ckf-{os.getpid()}-trial"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as exc:
        return f"no control group can be made: {exc.strerror}"
    return ""


def tree(suite: str, cache: Path) -> Path:
    """The tree that hosts of a release are laid over, made at the first call and kept.

    :raises RuntimeError: it cannot be made, with the end of what debootstrap printed.
    """
    made = cache / suite
    if made.exists():
        return made
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in cache.glob(f"{suite}-*"):
            _remove_tree(left)
        if not made.exists():
            fresh = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=cache))
            try:
                _debootstrap(suite, fresh)
                fresh.chmod(0o755)
                fresh.rename(made)
            finally:
                _remove_tree(fresh)
    return made


def _remove_tree(tree: Path) -> None:
    remains.unmount(tree)
    shutil.rmtree(tree, ignore_errors=True)


def _debootstrap(suite: str, target: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(target)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            said, _none = process.communicate(timeout=TREE_SECONDS)
        except BaseException as exc:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it downloads with, too
            if isinstance(exc, subprocess.TimeoutExpired):
                raise RuntimeError(f"debootstrap {suite} took more than {TREE_SECONDS:.0f} s") from exc
            raise
    if process.returncode != 0:
        raise RuntimeError(f"debootstrap {suite} failed: {said.decode(errors='replace').strip()[-1000:]}")


@dataclasses.dataclass
class Host:
    """One booted host.

    :ivar root: its file system, as this machine sees it.
    :ivar leader: the pid of its systemd, as this machine sees it.
    :ivar blocked: while this file exists, nobody can reach the host over ssh.
    """

    name: str
    suite: str
    folder: Path
    key: Path
    leader: int = 0
    nspawn: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def blocked(self) -> Path:
        return self.folder / "blocked"

    # Life

    def prepare(self, base: Path) -> None:
        """Lay the host over its tree: a user who may use sudo, a key, a name."""
        for part in ("up", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.mount(base)
        root = self.root
        (root / "etc/hostname").write_text(f"{self.name}\n")
        (root / "etc/machine-id").write_text("")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        subprocess.run(["chroot", str(root), "useradd", "-m", "-s", "/bin/bash", USER], check=True, timeout=60)
        (root / "etc/sudoers.d/deploy").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        ssh = root / "home" / USER / ".ssh"
        ssh.mkdir(mode=0o700)
        (ssh / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        subprocess.run(["chroot", str(root), "chown", "-R", f"{USER}:", f"/home/{USER}/.ssh"], check=True, timeout=60)

    def mount(self, base: Path) -> None:
        layers = f"lowerdir={base},upperdir={self.folder / 'up'},workdir={self.folder / 'work'}"
        command = ["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"no overlay can be mounted: {done.stderr.strip()}")

    def boot(self) -> None:
        """Boot it, and wait until ssh answers."""
        own = self._cgroup()
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        command = [
            "systemd-nspawn", "-q", "--register=no", "--keep-unit", "--console=pipe", "--private-network",
            f"--machine={self.name}", "--kill-signal=SIGRTMIN+3", "-b", "-D", str(self.root),
        ]  # fmt: skip
        with (self.folder / "console").open("ab") as console:
            self.nspawn = subprocess.Popen(
                ["sh", "-c", 'for group in "$0"; do echo $$ > "$group"; done; exec "$@"', f"{own}/cgroup.procs", *command],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + BOOT_SECONDS
        while not self._is_up():
            if time.monotonic() > deadline or self.nspawn.poll() is not None:
                raise RuntimeError(f"{self.name} did not boot: {self.console()[-3000:]}")
            time.sleep(0.2)

    def _cgroup(self) -> Path:
        """A control group of its own, without which units of the host fail at random."""
        own = remains.unified() / f"{self.folder.parent.name}-{self.name}"
        own.mkdir(exist_ok=True)
        return own

    def _is_up(self) -> bool:
        if self.nspawn is None:
            return False
        children = Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")
        try:
            found = [int(word) for word in children.read_text().split()]
        except OSError:
            return False
        for pid in found:
            with contextlib.suppress(OSError):
                if "systemd" in Path(f"/proc/{pid}/comm").read_text() and self._is_one(pid):
                    self.leader = pid
        return bool(self.leader) and self.run("true", check=False).returncode == 0

    @staticmethod
    def _is_one(pid: int) -> bool:
        status = Path(f"/proc/{pid}/status").read_text()
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
        return numbers[-1] == "1" and len(numbers) > 1

    def reboot(self) -> None:
        """Have it reboot by itself, and boot it again: systemd-nspawn ends when its guest reboots."""
        self.run("sudo systemctl reboot", check=False)
        self.wait_for_end()
        self.boot()

    def wait_for_end(self) -> None:
        if self.nspawn is not None:
            self.nspawn.wait(BOOT_SECONDS)
        self.leader = 0

    def stop(self) -> None:
        """End it. What is left of it goes with the folder of the run."""
        if self.nspawn is not None and self.nspawn.poll() is None:
            self.nspawn.send_signal(signal.SIGTERM)
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._kill()

    def _kill(self) -> None:
        if self.nspawn is not None:
            if self.leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGKILL)
            self.nspawn.kill()
            self.nspawn.wait(20)

    def console(self) -> str:
        """What it printed while it booted."""
        return (self.folder / "console").read_text(errors="replace")

    # Use

    @property
    def ssh(self) -> list[str]:
        """The ssh command with its options, without the user, the host and the command."""
        proxy = self.folder / "proxy.sh"
        text = (
            f"#!/bin/sh\n[ -e {shlex.quote(str(self.blocked))} ] && exit 1\n"
            f"exec nsenter -t {self.leader} -n {shlex.quote(sys.executable)} -c {shlex.quote(_PROXY)}\n"
        )
        if not proxy.exists() or proxy.read_text() != text:  # as a whole: a run beside this one may be starting it
            fresh = self.folder / "proxy.new"
            fresh.write_text(text)
            fresh.chmod(0o700)
            fresh.replace(proxy)
        return [
            "ssh", "-i", str(self.key), "-o", f"ProxyCommand={proxy}", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-o", "BatchMode=yes",
        ]  # fmt: skip

    def run(self, command: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command of the shell on it, as its ordinary user, over ssh."""
        words = [*self.ssh, f"{USER}@{self.name}", command]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {command}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def variables(self) -> dict[str, Any]:
        """What an inventory says of it."""
        options = shlex.join(self.ssh[1:])
        return {
            "ansible_host": self.name,
            "ansible_user": USER,
            "ansible_ssh_common_args": options,
            # The connection that is kept is found by the name of the host, which hosts of other runs have, too.
            "ansible_control_path": str(self.folder / "ssh"),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def take_libraries_of(self, program: str) -> None:
        """Bring the libraries that a program of this machine needs, and the host has not."""
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=60).stdout
        for line in told.splitlines():
            library = next((word for word in line.split() if word.startswith("/")), "")
            if library and not Path(str(self.root) + os.path.realpath(library)).exists():
                shutil.copy2(os.path.realpath(library), self.root / "usr/lib" / Path(library).name)
        self.run("sudo ldconfig")

    def take_packages(self, cache: Path, *names: str) -> None:
        """Bring packages of its release to where its apt looks for them, as the host reaches no server. None is installed.

        They are downloaded once, and kept beside the trees.
        """
        kept = cache / f"packages-{self.suite}-{zlib.crc32(' '.join(names).encode()):08x}"
        with (cache / f"{self.suite}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                with tempfile.TemporaryDirectory(prefix="packages-", dir=cache) as fresh:
                    self._download(names)
                    for part, folder in _APT.items():
                        shutil.copytree(self.root / folder, Path(fresh, "made", part))
                    Path(fresh, "made").rename(kept)
        for part, folder in _APT.items():
            shutil.copytree(kept / part, self.root / folder, dirs_exist_ok=True)

    def _download(self, names: Sequence[str]) -> None:
        """Have its apt download packages with this machine's network."""
        shutil.rmtree(self.root / _APT["archives"])
        (self.root / _APT["archives"] / "partial").mkdir(parents=True)
        shutil.copy2("/etc/resolv.conf", self.root / "etc/resolv.conf")
        only = ["-qq", "-y", "-d", "--no-install-recommends", "install", *names]
        for arguments in (["-qq", "update"], only):
            command = ["chroot", str(self.root), "apt-get", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=TREE_SECONDS, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(names)} cannot be downloaded: {done.stderr.strip()[-1000:]}")

    def enter(self, *command: str) -> list[str]:
        """A command that runs in the host's namespaces as root, for what a miner or a bitcoind on it does."""
        return ["nsenter", "-t", str(self.leader), "-a", *command]

    def enter_network(self, *command: str) -> list[str]:
        """A command of this machine that uses the host's network: test clients are this machine's programs."""
        return ["nsenter", "-t", str(self.leader), "-n", *command]


class Fleet(Mapping[str, Host]):
    """Hosts by name, each of which boots when it is first asked for."""

    def __init__(self, names: Mapping[str, str], cache: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self._suites = dict(names)
        self._cache = cache
        self._folder = folder
        self._stack = stack
        self._booted: dict[str, Host] = {}

    def __getitem__(self, name: str) -> Host:
        if name not in self._booted:
            host = Host(name, self._suites[name], self._folder / name, self._folder / "key")
            self._stack.callback(host.stop)
            host.prepare(tree(host.suite, self._cache))
            host.boot()
            self._booted[name] = host
        return self._booted[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._suites)

    def __len__(self) -> int:
        return len(self._suites)


@contextlib.contextmanager
def booted(names: Mapping[str, str], cache: Path) -> Iterator[Fleet]:
    """Hosts by name, of the release that each name is given; all end with the block."""
    with remains.workspace() as folder, contextlib.ExitStack() as stack:
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")]
        subprocess.run(key, check=True, timeout=60, capture_output=True)
        yield Fleet(names, cache, folder, stack)
