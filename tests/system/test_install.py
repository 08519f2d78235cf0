# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role install on hosts that boot a real systemd, with simulated pools as the artifact, and a real one where there is one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, SIMULATOR, wait_for
from tests.support.ansible import Ansible, Json, Run
from tests.system import hosts
from tests.system.hosts import Fleet, Host, booted

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "never")]
SECRET = "correct-horse-battery"
ADDRESS = "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"
POOL: Json = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "rpc-user", "pass": SECRET}],
    "btcaddress": ADDRESS,
    "serverurl": ["127.0.0.1:3333"],
    "zmqblock": "tcp://127.0.0.1:28332",
    "simulation": {"status_interval": 1, "users": 3, "dead_users": 0},
}
UPSTREAM: Json = {"proxy": [{"url": "pool.example.org:3333", "auth": "user", "pass": SECRET}]}
INSTANCES: list[Json] = [
    {"name": "ckpool", "config": POOL},
    {"name": "px", "mode": "proxy", "config": {**UPSTREAM, "serverurl": ["127.0.0.1:3444"]}},
]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PAUSE = 0.1  # before each command, many of which wait for something: the host needs the processor more
ASK = (
    "import socket,struct,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
    "m=sys.argv[2].encode(); s.sendall(struct.pack('<I',len(m))+m); n=struct.unpack('<I',s.recv(4))[0]; print(s.recv(n).decode())"
)


def guide(name: str) -> list[str]:
    """The lines that the guide shows as output, by the name of the example."""
    text = (ROOT / "docs" / "install.md").read_text().partition(f"<!-- output: {name} -->")[2]
    return text.partition("```text\n")[2].partition("\n```")[0].splitlines()


def shows(run: Run, name: str, **names: str) -> bool:
    """Whether a run printed what the guide shows, with the names of the test for those of the guide."""
    printed = re.sub(r"/usr/bin/python3\.\d+", "/usr/local/bin/ckpool", re.sub(r"pid \d+", "pid 4242", run.text))
    lines = guide(name)
    for old, new in names.items():
        lines = [re.sub(rf"\b{re.escape(old.replace('_', '.'))}\b", new, line) for line in lines]
    return bool(lines) and all(line in printed for line in lines)


@pytest.fixture(scope="module")
def fleet(trees: Path) -> Iterator[Fleet]:
    with booted({f"on-{suite}": suite for suite in hosts.SUITES}, trees) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Programs and archives by version."""
    folder = tmp_path_factory.mktemp("artifacts")
    text = "#!/usr/bin/python3\n" + SIMULATOR.read_text()
    (folder / "1.0").write_text(text)
    tree = folder / "ckpool-1.1" / "bin"
    tree.mkdir(parents=True)
    (tree / "ckpool").write_text(text + "# 1.1\n")
    (tree / "ckpool").chmod(0o755)
    with tarfile.open(folder / "1.1.tar.gz", "w:gz") as tar:
        tar.add(folder / "ckpool-1.1", "ckpool-1.1")
    (folder / "ends").write_text('#!/bin/sh\n[ "$1" = -h ] && exit 0\necho cannot go on >&2\nexit 0\n')
    return {"1.0": str(folder / "1.0"), "1.1": str(folder / "1.1.tar.gz"), "ends": str(folder / "ends")}


@pytest.fixture(params=list(hosts.SUITES))
def host(request: pytest.FixtureRequest, fleet: Fleet) -> Host:
    return fleet[f"on-{request.param}"]


@pytest.fixture
def bookworm(fleet: Fleet) -> Host:
    """What does not depend on the version of systemd is tested on one."""
    return fleet[f"on-{hosts.ANY}"]


def on(suite: str) -> pytest.MarkDecorator:
    """Run a test on one release only. They are spread, as each has a process of its own."""
    return pytest.mark.parametrize("host", [suite if suite in hosts.SUITES else hosts.ANY], indirect=True)


class Installed:
    """The role on one host; the keywords are its variables without the prefix."""

    def __init__(self, host: Host, ansible: Ansible, **variables: Any) -> None:
        self.host = host
        self.ansible = ansible
        self.variables = {"instances": INSTANCES, **variables}

    def run(self, *arguments: str, **variables: Any) -> Run:
        """Run the role."""
        given = {
            f"install_{name}": value for name, value in {**self.variables, **variables}.items() if value is not None
        }
        play = {
            "hosts": self.host.name,
            "gather_facts": False,
            "become": True,
            "roles": ["ckpool.fleet.install"],
            "vars": given,
        }
        run = self.ansible.playbook([play], *arguments, inventory={self.host.name: dict(self.host.variables())})
        assert SECRET not in run.text and "rpc-user" not in run.text
        assert "Traceback" not in run.text, run.text
        return run

    def done(self, *arguments: str, **variables: Any) -> Run:
        """Run it to a good end."""
        run = self.run(*arguments, **variables)
        assert run.status == 0, run.text
        return run

    def remove(self) -> None:
        """Take away all that it has made."""
        for unit in self.units():
            self.root(f"systemctl disable --now {unit}")
        self.root(
            "rm -rf /opt/ckpool /etc/ckpool /var/lib/ckpool /var/log/ckpool /etc/logrotate.d/ckpool-fleet-*; "
            "rm -f /etc/systemd/system/ckpool*; userdel ckpool; systemctl daemon-reload; systemctl reset-failed"
        )

    def units(self) -> list[str]:
        folder = self.host.root / "etc/systemd/system"
        return [path.name for path in folder.glob("*") if path.is_file() and path.name.startswith(("ckpool", "old"))]

    def root(self, command: str) -> str:
        """What a command prints, as root."""
        time.sleep(_PAUSE)
        words = self.host.enter("env", "-i", f"PATH={_PATH}", "sh", "-c", command)
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        return done.stdout.strip()

    def ask(self, name: str, message: str = "ping", socket: str = "listener") -> str:
        return self.root(f'python3 -c "{ASK}" /run/ckpool/{name}/{socket} {message}')

    def pid(self, name: str) -> int:
        return int(self.root(f"cat /run/ckpool/{name}/main.pid") or 0)

    def state(self, unit: str, what: str = "ActiveState") -> str:
        return self.root(f"systemctl show -p {what} --value {unit}")

    def report(self, run: Run) -> Json:
        """The report of a run."""
        facts = [
            found["ansible_facts"]
            for found in run.results("set_fact")
            if "install_report" in found.get("ansible_facts", {})
        ]
        report = facts[-1]["install_report"]
        assert isinstance(report, dict)
        return report


@pytest.fixture
def installed(host: Host, ansible: Ansible, artifacts: dict[str, str]) -> Installed:
    """The role with the first release and two instances."""
    return Installed(host, ansible, artifact=artifacts["1.0"], version="1.0")


@pytest.fixture(scope="module")
def made() -> set[str]:
    """The names of the hosts on which the first release and two instances are, and run."""
    return set()


@pytest.fixture
def ready(installed: Installed, made: set[str]) -> Installed:
    """The same, once it has run."""
    if installed.host.name not in made:
        installed.done()
        made.add(installed.host.name)
    return installed


def changed(run: Run) -> list[str]:
    return [record.task.rpartition(" : ")[2] for record in run.records if record.result.get("changed")]


@on("bookworm")
def test_check_mode_changes_nothing(installed: Installed) -> None:
    run = installed.done("--check", "--diff", "-vvv")
    assert "ExecStart=" in run.output and '"startdiff"' not in run.output
    assert (
        installed.root(
            "ls -d /opt/ckpool /etc/ckpool /var/log/ckpool /etc/systemd/system/ckpool* 2>/dev/null; id ckpool"
        )
        == ""
    )


def test_install_twice(installed: Installed, made: set[str]) -> None:
    first = installed.done("-vvv")
    for name in ("ckpool", "px"):
        assert installed.ask(name) == "pong"
    assert [one["kind"] for one in installed.report(first)["instances"]] == ["installed", "installed"]
    assert shows(first, "installed", main="ckpool", **{"1_1_1": "1.0"})
    modes = installed.root(
        "stat -c '%a %U:%G' /etc/ckpool /etc/ckpool/ckpool.conf /opt/ckpool/current/ckpool /run/ckpool/ckpool /var/log/ckpool/ckpool"
    )
    assert modes.splitlines() == [
        "750 root:ckpool",
        "640 root:ckpool",
        "755 root:root",
        "750 ckpool:ckpool",
        "750 ckpool:ckpool",
    ]
    assert SECRET in installed.root("cat /etc/ckpool/ckpool.conf")
    assert SECRET not in installed.root("journalctl --no-pager") + installed.root("ps axww")
    assert installed.state("ckpool", "UnitFileState") == installed.state("ckpool-px", "UnitFileState") == "enabled"
    verified = installed.host.run("sudo systemd-analyze verify /etc/systemd/system/ckpool.service", check=False)
    assert not [line for line in verified.stderr.splitlines() if "ckpool" in line], verified.stderr

    before = installed.pid("ckpool")
    assert changed(installed.done(*(["--check"] if installed.host.suite == "trixie" else []))) == []
    assert installed.pid("ckpool") == before
    made.add(installed.host.name)


def restart(installed: Installed, name: str) -> int:
    """Have a pool hand over; its new process."""
    before = installed.pid(name)
    assert installed.ask(name, "restart") == "restarting"
    wait_for(lambda: installed.pid(name) not in (0, before) and installed.ask(name) == "pong", "the new process")
    return installed.pid(name)


def test_handovers_survive_and_a_crash_after_them_is_seen(ready: Installed) -> None:
    restart(ready, "ckpool")
    after = restart(ready, "ckpool")
    time.sleep(2)
    assert ready.ask("ckpool") == "pong" and ready.pid("ckpool") == after
    assert ready.state("ckpool") == "active" and ready.state("ckpool", "NRestarts") == "0"
    ready.root(f"kill -SEGV {after}")
    wait_for(lambda: ready.pid("ckpool") not in (0, after) and ready.ask("ckpool") == "pong", "its return", 60)
    assert ready.state("ckpool") == "active"
    ready.root("systemctl stop ckpool")
    assert ready.root("pgrep -u ckpool -f 'n ckpool'; ls -d /run/ckpool/ckpool") == ""
    assert ready.state("ckpool") == "inactive"
    assert "Start it" in changed(ready.done())


@on("trixie")
def test_what_runs_is_not_touched(ready: Installed, artifacts: dict[str, str]) -> None:
    pid = ready.pid("ckpool")
    files = "sha256sum /etc/ckpool/*.conf /etc/systemd/system/ckpool*.service; readlink /opt/ckpool/current"
    before = ready.root(files)
    other = [{**INSTANCES[0], "config": {**POOL, "startdiff": 1000}, "options": ["-l", "6"]}, INSTANCES[1]]
    new: Json = {"artifact": artifacts["1.1"], "version": "1.1", "instances": other}
    run = ready.done(**new)
    assert changed(run) == ["Place the release"]
    assert ready.root(files) == before
    waiting = [(one["name"], one["what"]) for one in ready.report(run)["waiting"]]
    assert waiting == [("ckpool", ["config", "unit"]), ("ckpool", ["release 1.1"]), ("px", ["release 1.1"])]
    assert shows(run, "waiting", main="ckpool", **{"1_2_0": "1.1"})
    assert ready.root("ls /opt/ckpool/releases").split() == ["1.0", "1.1"]

    run = ready.done(change_running=True, **new)
    assert ready.root("readlink /opt/ckpool/current") == "releases/1.1" and ready.report(run)["waiting"] == []
    assert ready.pid("ckpool") == pid and "startdiff" in ready.root("cat /etc/ckpool/ckpool.conf")
    assert changed(ready.done(change_running=True, **new)) == []
    new_pid = restart(ready, "ckpool")
    assert "/opt/ckpool/current/ckpool" in ready.root(f"tr '\\0' ' ' < /proc/{new_pid}/cmdline")
    # Back again, as a rollback does.
    ready.done(change_running=True, artifact=None)
    assert ready.root("readlink /opt/ckpool/current /opt/ckpool/previous").split() == [
        "releases/1.0",
        "releases/1.1",
    ]
    restart(ready, "ckpool")


def test_it_comes_back_after_a_reboot(ready: Installed) -> None:
    ready.host.reboot()
    for name in ("ckpool", "px"):
        wait_for(lambda: ready.ask(name) == "pong", f"{name} after the reboot", 60)  # noqa: B023
    assert changed(ready.done()) == []


@on("trixie")
def test_logs_are_rotated_by_a_rename(ready: Installed) -> None:
    ready.root("logrotate -f /etc/logrotate.d/ckpool-fleet-ckpool")
    names = ready.root("ls /var/log/ckpool/ckpool").split()
    assert [name for name in names if name.startswith("ckpool.log-")] and ready.ask("ckpool") == "pong"
    wait_for(
        lambda: ready.root("test -s /var/log/ckpool/ckpool/ckpool.log && echo yes"),
        "the log that is opened again",
        90,
    )


@on("bullseye")
def test_what_is_old_is_deleted_where_that_is_wanted(installed: Installed) -> None:
    installed.done(retention_days=30)
    log = "/var/log/ckpool/ckpool"
    installed.root(
        f"cd {log}; mkdir -p users workers 000cf123 000cf124 keep; echo x > /srv/precious; "
        "for f in users/old users/new 000cf123/0123456789abcdef.sharelog 000cf124/0123456789abcdef.sharelog ckpool.log-20200101.gz "
        "keep/old pool/old.confirmed; do echo x > $f; done; ln -s /srv/precious users/link; ln -s /srv linked; chown -hR ckpool: .; "
        "touch -h -d '40 days ago' users/old users/link 000cf123/*.sharelog ckpool.log-20200101.gz keep/old pool/old.confirmed /srv/precious"
    )
    installed.root("systemctl start ckpool.retention.service")
    left = installed.root(
        f"cd {log}; find users 000cf123 000cf124 keep pool/old.confirmed ckpool.log-* /srv/precious"
    ).split()
    assert (
        "users/old" not in left
        and "000cf123/0123456789abcdef.sharelog" not in left
        and "ckpool.log-20200101.gz" not in left
    )
    assert {
        "users/new",
        "users/link",
        "000cf124/0123456789abcdef.sharelog",
        "keep/old",
        "pool/old.confirmed",
        "/srv/precious",
    } <= set(left)
    installed.root(f"touch -d '3 days ago' {log}/000cf123; systemctl start ckpool.retention.service")
    assert installed.root(f"ls -d {log}/000cf123 {log}/000cf124") == f"{log}/000cf124"
    assert installed.state("ckpool.retention.timer") == "active"
    assert changed(installed.done(retention_days=30)) == []
    installed.done()
    assert (
        installed.root("ls /etc/systemd/system/ | grep retention; systemctl list-timers --all | grep retention") == ""
    )


def test_all_modes(bookworm: Host, ansible: Ansible, artifacts: dict[str, str]) -> None:
    modes = {
        "solo": {**POOL, "btcaddress": None},
        "passthrough": UPSTREAM,
        "redirector": {**UPSTREAM, "redirecturl": ["127.0.0.1:3333"]},
    }
    instances = [
        {
            "name": f"m-{mode}",
            "mode": mode,
            "config": {k: v for k, v in {**config, "serverurl": [f"127.0.0.1:{port}"]}.items() if v},
        }
        for port, (mode, config) in enumerate(modes.items(), 3500)
    ]
    installed = Installed(bookworm, ansible, artifact=artifacts["1.0"], version="1.0", instances=instances)
    run = installed.done()
    assert [one["running"]["mode"] for one in installed.report(run)["instances"]] == list(modes)
    assert changed(installed.done()) == []
    for name in modes:
        installed.root(f"systemctl disable --now ckpool-m-{name}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": {**POOL, "btcaddress": ""}}, "there is no btcaddress"),
        ({"config": POOL, "log_dir": "/var/log/ckpool/px"}, "is the log directory of px, too"),
    ],
)  # fmt: skip
def test_a_bad_configuration_is_not_written(
    bookworm: Host, ansible: Ansible, artifacts: dict[str, str], change: Json, says: str
) -> None:
    installed = Installed(bookworm, ansible, artifact=artifacts["1.0"], version="1.0")
    instances = [{"name": "fresh", **change}, {**INSTANCES[1], "config": {**UPSTREAM, "serverurl": ["127.0.0.1:3444"]}}]
    if "serverurl" in instances[0]["config"]:
        instances[0]["config"] = {**instances[0]["config"], "serverurl": ["127.0.0.1:3555"]}
    run = installed.run(instances=instances)
    assert run.status != 0 and says in run.text
    assert installed.root("ls /etc/ckpool/fresh.conf /etc/systemd/system/ckpool-fresh.service 2>/dev/null") == ""


def test_a_release_that_ends_at_once_fails_the_installation(
    bookworm: Host, ansible: Ansible, artifacts: dict[str, str]
) -> None:
    installed = Installed(
        bookworm, ansible, artifact=artifacts["ends"], version="ends", prefix="/opt/other", start_timeout=8,
        instances=[{"name": "ends", "config": {**POOL, "serverurl": ["127.0.0.1:3666"]}}],
    )  # fmt: skip
    run = installed.run()
    assert run.status != 0 and "ends was started, and does not answer" in run.text and "cannot go on" in run.text
    installed.root(
        "systemctl disable --now ckpool-ends; rm -rf /opt/other /etc/systemd/system/ckpool-ends.service /etc/ckpool/ends.conf"
    )


def test_it_waits_for_bitcoind(bookworm: Host, ansible: Ansible, artifacts: dict[str, str], tmp_path: Path) -> None:
    config = {
        **POOL,
        "serverurl": ["127.0.0.1:3777"],
        "btcd": [{"url": "127.0.0.1:18777", "auth": "rpc-user", "pass": SECRET}],
    }
    installed = Installed(
        bookworm, ansible, artifact=artifacts["1.0"], version="1.0", wait_for_bitcoind=True, bitcoind_timeout=10,
        instances=[{"name": "waits", "config": config}],
    )  # fmt: skip
    run = installed.run()
    assert run.status != 0 and "127.0.0.1:18777: it does not answer" in run.text
    assert installed.ask("waits") == ""
    server = tmp_path / "node.py"
    server.write_text(
        "import json\nfrom http.server import *\nasked = []\n"
        "class H(BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        asked.append(self.path)\n"
        "        done = len(asked) > 1\n"
        "        info = {'chain': 'main', 'blocks': 9 if done else 5, 'headers': 9, 'initialblockdownload': not done}\n"
        "        data = json.dumps({'result': info}).encode()\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(data))); self.end_headers(); self.wfile.write(data)\n"
        "HTTPServer(('127.0.0.1', 18777), H).serve_forever()\n"
    )
    node = subprocess.Popen(bookworm.enter_network(sys.executable, str(server)), stderr=subprocess.DEVNULL)
    try:
        run = installed.done(bitcoind_timeout=120)
    finally:
        node.kill()
        node.wait()
    assert "5 of 9 blocks" in run.text or run.output.count("FAILED - RETRYING") >= 1
    assert installed.ask("waits") == "pong"
    installed.root(
        "systemctl disable --now ckpool-waits; rm -f /etc/systemd/system/ckpool-waits.service /etc/ckpool/waits.conf"
    )


OLD_UNIT = """\
[Unit]
Description=A pool made by hand

[Service]
User=pool
WorkingDirectory=/srv/pool
ExecStart=/usr/local/bin/ckpool -n ckpool -s /tmp/ckpool -c /srv/pool/my.conf
[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize(
    ("host", "unit"), [(suite, unit) for suite, unit in (("bullseye", "old"), ("trixie", "ckpool")) if suite in hosts.SUITES],
    indirect=["host"],
)  # fmt: skip
def test_what_was_made_by_hand_is_adopted(
    host: Host, unit: str, ansible: Ansible, artifacts: dict[str, str], made: set[str]
) -> None:
    made.discard(host.name)
    installed = Installed(
        host, ansible, artifact=artifacts["1.1"], version="1.1", user="pool", group="pool",
        instances=[{"name": "ckpool", "keep_config": True, "config": {"startdiff": 77}}],
    )  # fmt: skip
    installed.remove()
    installed.root("useradd --system pool; mkdir -p /srv/pool/logs; chown -R pool: /srv/pool")
    (host.root / "usr/local/bin/ckpool").write_text("#!/usr/bin/python3\n" + SIMULATOR.read_text())
    (host.root / "usr/local/bin/ckpool").chmod(0o755)
    (host.root / "srv/pool/my.conf").write_text(json.dumps({**POOL, "logdir": "logs"}) + "\nmy own words\n")
    (host.root / f"etc/systemd/system/{unit}.service").write_text(OLD_UNIT)
    installed.root(f"systemctl daemon-reload; systemctl enable --now {unit}")
    old_pid = wait_for(lambda: int(installed.root("cat /tmp/ckpool/main.pid") or 0), "the old pool")
    files = "sha256sum /srv/pool/my.conf /etc/systemd/system/*.service; ls -d /opt/ckpool /etc/ckpool 2>/dev/null"
    before = installed.root(files)

    refused = installed.run()
    assert refused.status != 0 and "was not installed by this role; nothing was changed" in refused.text
    assert "ckpool: socket_dir: /tmp/ckpool -> /run/ckpool/ckpool" in refused.text
    assert "ckpool: startdiff: none -> 77" in refused.text and installed.root(files) == before
    assert unit != "old" or shows(refused, "hand_made"), refused.text
    if unit == "old":
        looked = installed.done("--check")
        assert "ckpool: program: " in looked.text and installed.root(files) == before
    else:
        wrong = installed.run(adopt=True, user="ckpool")
        assert wrong.status != 0 and "runs as pool" in wrong.text and installed.root(files) == before

    run = installed.done(adopt=True)
    assert installed.report(run)["instances"][0]["kind"] == "adopted"
    assert installed.root("cat /tmp/ckpool/main.pid") == str(old_pid), "it was not restarted"
    config, _end = json.JSONDecoder().raw_decode(installed.root("cat /etc/ckpool/ckpool.conf"))
    assert config == {**POOL, "startdiff": 77, "logdir": "/srv/pool/logs"}
    assert installed.state("ckpool", "UnitFileState") == "enabled"
    if unit == "old":
        assert installed.state("old", "UnitFileState") == "disabled" and installed.state("old") == "active"
    else:
        assert installed.root("ls /etc/systemd/system | grep -c 'ckpool.service.*~'") == "1"
    assert changed(installed.done()) == [], "once adopted it needs no word"

    installed.root(f"systemctl stop {unit}")
    run = installed.done()
    assert installed.ask("ckpool") == "pong"
    (found,) = installed.report(run)["instances"]
    assert (found["kind"], found["log_dir"], found["running"]["log_dir"]) == (
        "installed",
        "/srv/pool/logs",
        "/srv/pool/logs",
    )
    installed.remove()
    installed.root("rm -rf /usr/local/bin/ckpool /srv/pool /tmp/ckpool /etc/systemd/system/old.service; userdel pool")


@pytest.mark.skipif(not os.environ.get("CKPOOL_BIN"), reason="CKPOOL_BIN is not set")
def test_a_real_daemon(bookworm: Host, ansible: Ansible) -> None:
    program = os.environ["CKPOOL_BIN"]
    bookworm.take_libraries_of(program)
    installed = Installed(bookworm, ansible, artifact=program, version="real")
    installed.remove()
    node = subprocess.Popen(
        bookworm.enter_network(sys.executable, "-m", "tests.system.bitcoind", "--port", "8332"),
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        config = {key: value for key, value in POOL.items() if key != "simulation"}
        run = installed.done(instances=[{"name": "ckpool", "config": config}])
        assert installed.report(run)["instances"][0]["running"]["program"] == "/opt/ckpool/releases/real/ckpool"
        after = restart(installed, "ckpool")
        time.sleep(2)
        assert (
            installed.ask("ckpool") == "pong"
            and installed.pid("ckpool") == after
            and installed.state("ckpool", "NRestarts") == "0"
        )
        installed.root(f"kill -SEGV {after}")
        wait_for(
            lambda: installed.pid("ckpool") not in (0, after) and installed.ask("ckpool") == "pong", "its return", 60
        )
    finally:
        node.kill()
        node.wait()
        installed.remove()
