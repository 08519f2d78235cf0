# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role http_api on hosts that boot a real systemd, beside pools of the role install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT, SIMULATOR, wait_for
from tests.support.ansible import Ansible, Json, Run
from tests.system import hosts
from tests.system.hosts import Fleet, Host, booted

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(hosts.why_not()), reason=hosts.why_not() or "never")]
PACKAGES = ("python3-starlette", "python3-uvicorn", "python3-prometheus-client", "python3-venv", "python3-packaging")
TOKEN = "a-token-of-twenty-four-b"
POOL: Json = {
    "btcd": [{"url": "127.0.0.1:8332", "auth": "rpc-user", "pass": "correct-horse-battery"}],
    "btcaddress": "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
    "serverurl": ["127.0.0.1:3333"],
    "zmqblock": "tcp://127.0.0.1:28332",
    "simulation": {"status_interval": 1, "users": 3, "dead_users": 0},
}
REQUIREMENTS: list[str] = yaml.safe_load((ROOT / "roles/http_api/defaults/main.yml").read_text())[
    "http_api_requirements"
]
PATIENCE = 90  # seconds, on a busy machine; a look at a pool may be several seconds old
ASK = """
import json, ssl, sys, urllib.error, urllib.request
url, headers = sys.argv[1], json.loads(sys.argv[2])
context = ssl._create_unverified_context()
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20, context=context)
except urllib.error.HTTPError as exc:
    answer = exc
except OSError as exc:
    print(json.dumps([0, str(exc)]))
    sys.exit()
print(json.dumps([answer.status, answer.read().decode()]))
"""


def changed(run: Run) -> list[str]:
    return [record.task.rpartition(" : ")[2] for record in run.records if record.result.get("changed")]


class Site:
    """A host with a pool, and the service of the role; the keywords of `run` are variables of the role without the prefix."""

    def __init__(self, host: Host, ansible: Ansible) -> None:
        self.host = host
        self.ansible = ansible
        self.variables: Json = {}
        self.is_usual = False  #: whether the service is there with its defaults

    def play(self, role: str, variables: Json, *arguments: str) -> Run:
        play = {
            "hosts": self.host.name, "gather_facts": False, "become": True, "roles": [f"ckpool.fleet.{role}"],
            "vars": variables,
        }  # fmt: skip
        run = self.ansible.playbook([play], *arguments, inventory={self.host.name: dict(self.host.variables())})
        assert "Traceback" not in run.text and TOKEN not in run.text, run.text
        return run

    def run(self, *arguments: str, **variables: Any) -> Run:
        given = {f"http_api_{name}": value for name, value in {**self.variables, **variables}.items()}
        run = self.play("http_api", given, *arguments)
        if "--check" not in arguments:
            self.is_usual = run.status == 0 and not given
        return run

    def done(self, *arguments: str, **variables: Any) -> list[str]:
        """Run it to a good end, and return the tasks and handlers that changed something."""
        run = self.run(*arguments, **variables)
        assert run.status == 0, run.text
        return changed(run)

    def refused(self, *arguments: str, **variables: Any) -> str:
        """Run it to a failure, and return the message."""
        run = self.run(*arguments, **variables)
        failed = [record for record in run.records if record.outcome == "failed"]
        assert run.status == 2 and failed, run.text
        return str(failed[-1].result.get("msg"))

    def root(self, command: str) -> str:
        """What a command prints, as root."""
        words = self.host.enter("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command)
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        return done.stdout.strip()

    def ask(self, path: str = "/health", scheme: str = "http", token: str = "") -> tuple[int, str]:
        """Status and body of an answer; 0 and the reason if there is none."""
        headers = json.dumps({"Authorization": f"Bearer {token}"} if token else {})
        words = self.host.enter_network(sys.executable, "-c", ASK, f"{scheme}://127.0.0.1:9333{path}", headers)
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        status, body = json.loads(done.stdout)
        return status, body

    def health(self, **how: str) -> tuple[int, dict[str, str]]:
        """The status of C(/health), and the state of each pool."""
        status, body = self.ask(**how)
        if not status:
            return 0, {}
        instances = json.loads(body)["instances"]
        return status, {entry["instance"]["name"]: entry["health"]["state"] for entry in instances}

    def wait_for_health(self, **how: str) -> None:
        wait_for(lambda: self.health(**how) == (200, {"main": "ok"}), "a healthy pool", PATIENCE)

    def files(self) -> list[str]:
        """What the role has made on the host."""
        places = ["etc/ckpool-http", "opt/ckpool-http", "etc/systemd/system/ckpool-http.service"]
        found = [place for place in places if (self.host.root / place).exists()]
        return found + self.root("getent passwd ckpool-http; getent group ckpool-http").splitlines()

    def pool(self) -> str:
        """The process of the pool, which no run of the role may touch."""
        return self.root("cat /run/ckpool/main/main.pid")

    def started(self) -> str:
        return self.root("systemctl show --property=ExecMainStartTimestampMonotonic --value ckpool-http")


@pytest.fixture(scope="module")
def fleet(trees: Path) -> Iterator[Fleet]:
    with booted({f"on-{suite}": suite for suite in hosts.SUITES}, trees) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("artifacts") / "ckpool"
    path.write_text("#!/usr/bin/python3\n" + SIMULATOR.read_text())
    return path


def site_on(host: Host, ansible: Ansible, trees: Path, artifact: Path) -> Site:
    """A host with a pool of the role install, and the packages in its apt."""
    site = Site(host, ansible)
    host.take_packages(trees, *PACKAGES)
    variables = {"artifact": str(artifact), "version": "1.0", "instances": [{"name": "main", "config": POOL}]}
    run = site.play("install", {f"install_{name}": value for name, value in variables.items()})
    assert run.status == 0, run.text
    return site


@pytest.fixture(scope="module")
def bookworm(fleet: Fleet, ansible: Ansible, trees: Path, artifact: Path) -> Site:
    return site_on(fleet[f"on-{hosts.ANY}"], ansible, trees, artifact)


@pytest.fixture
def site(bookworm: Site) -> Iterator[Site]:
    """The pool alone, which stays as it is."""
    before = bookworm.pool()
    bookworm.variables = {}
    yield bookworm
    assert bookworm.pool() == before, "the pool was touched"


@pytest.fixture
def ready(bookworm: Site) -> Site:
    """The service with its defaults."""
    bookworm.variables = {}
    if not bookworm.is_usual:
        bookworm.done()
    return bookworm


def test_it_is_refused_before_anything_is_changed(site: Site) -> None:
    others = {"listen": "0.0.0.0", "token": TOKEN}
    assert "this needs http_api_token, http_api_tls_certificate and http_api_tls_key" in site.refused(**others)
    gone = {"tls_certificate": "/etc/ssl/gone.pem", "tls_key": "/etc/ssl/gone.key"}
    assert "/etc/ssl/gone.key, /etc/ssl/gone.pem is no file on on-bookworm" in site.refused(**others, **gone)
    assert "ckpool is the user of a pool" in site.refused(user="ckpool")
    assert "There is no group nogrp" in site.refused(groups=["ckpool", "nogrp"])
    assert site.files() == []


def test_check_mode_changes_nothing(site: Site) -> None:
    predicted = site.done("--check", "--diff")
    assert {"Place the program", "Make the user", "Write the configuration", "Make the unit"} <= set(predicted)
    assert site.files() == []


def test_install_use_and_remove(site: Site) -> None:
    said = site.refused(packages=["python3-starlette"])
    assert "/usr/bin/python3 cannot run the service: uvicorn is missing" in said and "http_api_from=venv" in said
    assert not (site.host.root / "etc/ckpool-http").exists()
    run = site.run("--diff")
    assert run.status == 0 and {"Install the packages", "Place the program", "Restart the HTTP service"} <= set(
        changed(run)
    ), run.text
    shown = (ROOT / "docs/http.md").read_text().partition("<!-- output: installed -->")[2].partition("```text\n")[2]
    assert shown.partition("\n```")[0].replace("pool1", site.host.name) in run.text
    site.wait_for_health()
    body = json.loads(site.ask("/stats")[1])
    assert body["instance"]["log_dir"] == "/var/log/ckpool/main" and body["instance"]["user"] == "ckpool", body
    assert site.done() == [] and site.done("--check", "--diff") == []
    root = site.host.root
    for path in ("opt/ckpool-http/ckpool-http.pyz", "etc/ckpool-http/config.json", "opt/ckpool-http"):
        info = (root / path).stat()
        assert info.st_uid == 0 and not info.st_mode & 0o022
    assert site.root("id -Gn ckpool-http") == "ckpool-http", "only the unit is in the group of the pool"
    removed = site.done(state="absent")
    assert {"Remove the unit", "Remove its files", "Remove the user that the role has made"} <= set(removed)
    assert site.files() == [] and site.ask()[0] == 0
    assert site.done(state="absent") == []


def test_a_pool_that_ends_hangs_and_returns(ready: Site) -> None:
    before = ready.started()
    ready.root("systemctl stop ckpool-main")
    wait_for(lambda: ready.health() == (503, {"main": "down"}), "the verdict on a pool that ended", PATIENCE)
    ready.root("systemctl start ckpool-main")
    ready.wait_for_health()
    ready.root("systemctl kill --signal=STOP ckpool-main")
    wait_for(lambda: ready.health() == (503, {"main": "hung"}), "the verdict on a pool that hangs", PATIENCE)
    ready.root("systemctl kill --signal=CONT ckpool-main")
    ready.wait_for_health()
    old = ready.pool()
    ready.root("systemctl kill --signal=KILL ckpool-main")
    wait_for(lambda: ready.pool() not in ("", old), "the pool that systemd starts again", PATIENCE)
    ready.wait_for_health()
    assert ready.started() == before


def test_the_role_works_while_the_pool_is_down(ready: Site) -> None:
    ready.root("systemctl stop ckpool-main")
    try:
        assert ready.done() == [], "its group is kept"
        wait_for(lambda: ready.health() == (503, {"main": "down"}), "the verdict", PATIENCE)
    finally:
        ready.root("systemctl start ckpool-main")


def certificate(site: Site, folder: Path) -> dict[str, str]:
    """A certificate and a key on a host, which only root can read."""
    made = {"tls_certificate": folder / "pool.pem", "tls_key": folder / "pool.key"}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", "/CN=pool.example.org", "-keyout", str(made["tls_key"]), "-out", str(made["tls_certificate"])]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    there = {}
    for name, path in made.items():
        target = site.host.root / "etc/ssl" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o600)
        there[name] = f"/etc/ssl/{path.name}"
    return there


def test_token_and_tls(ready: Site, tmp_path: Path) -> None:
    public = {"listen": "0.0.0.0", "token": TOKEN, **certificate(ready, tmp_path)}
    before = ready.started()
    assert "cannot read /etc/ssl/pool.pem, /etc/ssl/pool.key: give the file to its group" in ready.refused(**public)
    assert ready.started() == before, "the service goes on"
    ready.wait_for_health()
    ready.root("chgrp ckpool-http /etc/ssl/pool.*; chmod 0640 /etc/ssl/pool.*")
    assert "Restart the HTTP service" in ready.done("-vvv", **public)
    ready.wait_for_health(scheme="https", token=TOKEN)
    assert ready.ask(scheme="https", token="wrong-wrong-wrong-wrong")[0] == 401
    assert ready.ask("/metrics", scheme="https")[0] == 401
    assert ready.ask()[0] != 200
    info = (ready.host.root / "etc/ckpool-http/token").stat()
    assert (info.st_uid, info.st_mode & 0o777) == (0, 0o640)
    assert ready.done(**public) == []
    assert "Remove a token that is no longer used" in ready.done()
    ready.wait_for_health()


def test_a_configuration_that_is_refused_changes_nothing(ready: Site) -> None:
    path = ready.host.root / "etc/ckpool-http/config.json"
    before = path.read_text(), ready.started()
    said = ready.refused(thresholds={"workers_mni": 3})
    assert "The service refuses its configuration" in said and "workers_mni" in said
    assert (path.read_text(), ready.started()) == before and os.listdir(path.parent) == ["config.json"]
    assert ready.done(thresholds={"workers_min": 1000}) == ["Write the configuration", "Restart the HTTP service"]
    wait_for(lambda: ready.health() == (503, {"main": "degraded"}), "the new limit", PATIENCE)


@pytest.mark.wide
def test_an_upgrade_of_the_program_restarts_it(ready: Site) -> None:
    program = ready.host.root / "opt/ckpool-http/ckpool-http.pyz"
    program.write_bytes(program.read_bytes() + b"x")
    assert ready.done() == ["Place the program", "Restart the HTTP service"]
    ready.wait_for_health()


@pytest.mark.wide
def test_a_service_that_ends_is_started_again(ready: Site) -> None:
    before = ready.started()
    ready.root("systemctl kill --signal=KILL ckpool-http")
    wait_for(lambda: ready.started() != before and ready.ask()[0] == 200, "the service")
    ready.root("systemctl stop ckpool-http")
    assert ready.done() == ["Start it"]


@pytest.mark.wide
def test_one_that_cannot_start_is_explained(ready: Site) -> None:
    """Another program has its port."""
    command = "import socket,time; s=socket.socket(); s.bind(('127.0.0.1', 9444)); s.listen(1); print(flush=True); time.sleep(300)"
    words = ready.host.enter_network(sys.executable, "-c", command)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout and other.stdout.readline()
            said = ready.refused(port=9444, start_timeout=3)
        finally:
            other.kill()
    assert (
        "http://127.0.0.1:9444/health does not answer with a verdict within 3" in said
        and "address already in use" in said
    )
    wait_for(lambda: ready.root("systemctl is-active ckpool-http") == "active", "another try of systemd")


@pytest.mark.wide
def test_pools_that_were_made_by_hand(ready: Site) -> None:
    """The group of a system user is found; that of a regular user has to be named."""
    root = ready.host.root
    program = root / "opt/by-hand/ckpool"
    program.parent.mkdir()
    program.write_text("#!/usr/bin/python3\n" + SIMULATOR.read_text())
    program.chmod(0o755)
    ready.root("useradd --system --user-group hand; useradd --user-group person")
    for user in ("hand", "person"):
        (root / f"etc/{user}.conf").write_text(json.dumps({"logdir": f"/tmp/{user}-logs", "simulation": {"users": 1}}))
        ready.root(f"runuser -u {user} -- /opt/by-hand/ckpool -n {user} -s /tmp/{user} -c /etc/{user}.conf -D")
    try:
        wait_for(
            lambda: ready.health() == (503, {"main": "ok", "hand": "unknown", "person": "unknown"}), "both", PATIENCE
        )
        run = ready.run()
        assert run.status == 0 and "person in /tmp/person is not served: its group is person" in run.text, run.text
        assert "SupplementaryGroups=ckpool hand\n" in (root / "etc/systemd/system/ckpool-http.service").read_text()
        wait_for(lambda: ready.health()[1] == {"main": "ok", "hand": "ok", "person": "unknown"}, "one", PATIENCE)
        assert ready.done(groups=["ckpool", "hand", "person"]) == ["Make the unit", "Restart the HTTP service"]
        wait_for(lambda: ready.health() == (200, {"main": "ok", "hand": "ok", "person": "ok"}), "all", PATIENCE)
    finally:
        ready.root(
            "pkill -KILL -u hand; pkill -KILL -u person; sleep 1; rm -rf /tmp/hand /tmp/person; userdel hand; userdel person"
        )
    assert ready.done() == ["Make the unit", "Restart the HTTP service"], "groups that are gone are left out"


def test_the_unit_is_as_closed_as_it_can_be(ready: Site) -> None:
    said = ready.root("systemd-analyze security --no-pager ckpool-http")
    score = float(said.rpartition("exposure level for ckpool-http.service:")[2].split()[0])
    assert score < 2.0, said
    pid = ready.root("systemctl show --property=MainPID --value ckpool-http")
    status = dict(line.split(":\t", 1) for line in ready.root(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert (status["CapEff"], status["CapBnd"], status["NoNewPrivs"], status["Seccomp"]) == (
        "0" * 16,
        "0" * 16,
        "1",
        "2",
    )
    assert status["Uid"].split()[0] == ready.root("id -u ckpool-http") != "0"


def wheels(site: Site, folder: Path) -> str:
    """A directory on a host with what its own Python needs."""
    version = site.root("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        f"--python-version={version}",
    ]
    subprocess.run([*command, f"--dest={folder}", *REQUIREMENTS], check=True, timeout=300)
    target = site.host.root / "srv/wheels"
    target.mkdir(parents=True)
    for path in folder.glob("*.whl"):
        (target / path.name).write_bytes(path.read_bytes())
    return "/srv/wheels"


@pytest.mark.wide
@pytest.mark.parametrize("suite", list(hosts.SUITES))
def test_with_a_virtual_environment(
    fleet: Fleet, ansible: Ansible, trees: Path, artifact: Path, tmp_path: Path, suite: str
) -> None:
    host = fleet[f"on-{suite}"]
    site = site_on(host, ansible, trees, artifact)
    site.variables = {"from": "venv", "pip_index": wheels(site, tmp_path)}
    if suite == "bullseye":
        assert "The packages of Debian 11" in site.refused(**{"from": "packages"})
    site.done()
    site.wait_for_health()
    assert site.done() == [] and site.done("--check") == []
    old = site.host.root / "opt/ckpool-http/venv/bin/python3"
    old.unlink()
    old.symlink_to("/usr/bin/python3.0")
    assert {"Remove one that does not run", "Install the libraries"} <= set(site.done())
    site.wait_for_health()
    site.done(state="absent")
    assert site.files() == []


@pytest.mark.wide
@pytest.mark.parametrize("suite", [suite for suite in hosts.SUITES if suite not in ("bullseye", hosts.ANY)])
def test_with_the_packages_of_other_releases(
    fleet: Fleet, ansible: Ansible, trees: Path, artifact: Path, suite: str
) -> None:
    site = site_on(fleet[f"on-{suite}"], ansible, trees, artifact)
    site.done()
    site.wait_for_health()
    assert site.done() == []
    site.done(state="absent")
    assert site.files() == []
