# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A maintenance window of a pool in a container: a new image takes the place of the old one, and no miner is left."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ansible import Ansible, local
from tests.support.paths import SIMULATOR
from tests.system import containers, hosts, remains
from tests.system.containers import podman

RUN = (*containers.RUN, "--network=host")

pytestmark = [pytest.mark.hosts, pytest.mark.skipif(bool(containers.why_not()), reason=containers.why_not() or "never")]


@pytest.fixture(scope="module")
def run_folder() -> Iterator[Path]:
    with remains.workspace() as folder:
        yield folder


@pytest.fixture(scope="module")
def images(run_folder: Path, trees: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two releases of a simulated pool as images."""
    stem = run_folder.name
    remains.uses_podman(run_folder)
    base = containers.base_image(f"{stem}-base", hosts.tree(hosts.ANY, trees))
    made = []
    for release in ("1", "2"):
        folder = tmp_path_factory.mktemp(f"image{release}")
        (folder / "ckpool").write_text(f"#!/usr/bin/python3\n# release {release}\n" + SIMULATOR.read_text())
        (folder / "ckpool").chmod(0o755)
        config = {"logdir": "/var/log/pool", "simulation": {"status_interval": 1, "users": 3}}
        (folder / "ckpool.conf").write_text(json.dumps(config))
        (folder / "Containerfile").write_text(
            f"FROM {base}\nCOPY ckpool /usr/local/bin/ckpool\nCOPY ckpool.conf /etc/ckpool.conf\n"
            'ENTRYPOINT ["/usr/local/bin/ckpool", "-s", "/run/ckpool", "-c", "/etc/ckpool.conf"]\n'
        )
        podman("build", "-q", "--runtime", "runc", "-t", f"{stem}:{release}", str(folder))
        made.append(f"localhost/{stem}:{release}")
    return made


@pytest.fixture
def container(run_folder: Path, images: list[str]) -> Iterator[str]:
    """The name of a container that runs the first release."""
    name = f"{run_folder.name}-pool"
    podman("run", "-d", "--name", name, *RUN, images[0])
    yield name
    podman("rm", "-f", "-t", "2", name)


@pytest.fixture
def other_pool() -> Iterator[str]:
    """The address of what accepts miners in the meantime."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_new_image_takes_the_place_of_the_old_one(
    container: str, images: list[str], other_pool: str, ansible: Ansible
) -> None:
    pid = int(podman("inspect", "--format", "{{.State.Pid}}", container))
    steps = [
        {"ckpool.fleet.ckpool_wait": {"pid": pid, "state": "ready", "clients_min": 3, "wait_timeout": 60}},
        {"ckpool.fleet.ckpool_restart": {"pid": pid}, "check_mode": True, "ignore_errors": True},
        {"ckpool.fleet.ckpool_shutdown": {"pid": pid, "redirect_to": other_pool, "drain_timeout": 60}},
        {"ansible.builtin.command": {"argv": ["podman", "rm", "-f", container]}},
        {"ansible.builtin.command": {"argv": ["podman", "run", "-d", "--name", container, *RUN, images[1]]}},
        {
            "ansible.builtin.command": {
                "argv": ["podman", "inspect", "--format", "{{ '{{' }}.State.Pid{{ '}}' }}", container]
            },
            "register": "after",
        },
        {"ckpool.fleet.ckpool_wait": {"pid": "{{ after.stdout }}", "state": "ready", "wait_timeout": 60}},
        {"ckpool.fleet.ckpool_instance_info": {}},
    ]
    run = ansible.playbook(
        [{"hosts": "localhost", "gather_facts": False, "tasks": steps}], inventory={"localhost": local()}
    )
    assert run.status == 0, run.text
    (refused,) = run.results("ckpool_restart")
    assert refused["obstacles"][0]["reason"] == "first_process", refused["msg"]
    (ended,) = run.results("ckpool_shutdown")
    assert ended["sent_away"] == ended["clients_before"] > 0
    (found,) = run.results("ckpool_instance_info")
    pid = run.records[5].result["stdout"]
    program = Path("/proc", pid, "root", "usr/local/bin/ckpool")
    assert pid in {str(i["pid"]) for i in found["instances"]}
    assert "# release 2" in program.read_text()
