# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment of docs/awx: ansible-builder makes it of the collection's archive, and ansible-runner runs it.

Its context is checked wherever ansible-builder is installed. Where podman works, the image is also built and run, on a tree
of Debian in place of the image that the definition names, and with wheels in place of an index: neither a registry nor a
network is needed in it.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.system import containers, hosts, remains

pytest.importorskip("ansible_builder", reason="needs ansible-builder: nox -s execution-environment")
yaml = pytest.importorskip("yaml")

SUITE, PYTHON = "trixie", "3.13"
"""The release of Debian that the definition names, and its Python."""
DEFINITION = ROOT / "docs" / "awx" / "execution-environment.yml"
WHY_NOT = containers.why_not() or ("" if SUITE in hosts.SUITES else f"no tree of {SUITE}")
BUILT_WITH = ["bindep", "dumb-init==1.2.5", "packaging", "pip", "pyyaml"]
"""What ansible-builder installs by itself."""
PLAYBOOK = """
- name: Start simulated pools
  hosts: localhost
  gather_facts: false
  roles:
    - role: ckpool.fleet.simulated_pool
      simulated_pool_count: 2

- name: Check their health
  ansible.builtin.import_playbook: ckpool.fleet.health_check
"""


def run(*words: str | Path) -> str:
    """Run a program of this Python's environment outside of the checkout, where Ansible finds no collection. What it printed."""
    program = Path(sys.executable).with_name(str(words[0]))
    done = subprocess.run(
        [program, *words[1:]], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, as it would be published."""
    folder = tmp_path_factory.mktemp("archive")
    run("ansible-galaxy", "collection", "build", "--output-path", folder, ROOT)
    (built,) = folder.glob("*.tar.gz")
    return built.rename(folder / "ckpool-fleet.tar.gz")


@pytest.fixture
def definition(archive: Path, tmp_path: Path) -> dict[str, Any]:
    """The definition of docs/awx, and beside where it is to be written, the archive that it names."""
    shutil.copy2(archive, tmp_path)
    loaded: dict[str, Any] = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    return loaded


def write(definition: dict[str, Any], folder: Path) -> Path:
    path = folder / "execution-environment.yml"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")
    return path


def test_the_context_has_the_collection(definition: dict[str, Any], archive: Path, tmp_path: Path) -> None:
    context = tmp_path / "context"
    run("ansible-builder", "create", "--file", write(definition, tmp_path), "--context", context)
    assert (context / "_build" / archive.name).read_bytes() == archive.read_bytes()
    wanted = yaml.safe_load((context / "_build" / "requirements.yml").read_text(encoding="utf-8"))
    assert wanted == {"collections": [{"name": f"/build/{archive.name}", "type": "file"}]}
    steps = (context / "Containerfile").read_text(encoding="utf-8")
    assert f'ARG EE_BASE_IMAGE="debian:{SUITE}-slim"' in steps
    assert all(step in steps for step in definition["additional_build_steps"]["prepend_base"])


def test_the_builder_finds_what_the_collection_needs(archive: Path, tmp_path: Path) -> None:
    """By the metadata in the archive itself: what an environment gets that only lists the collection."""
    run("ansible-galaxy", "collection", "install", "--collections-path", tmp_path, archive)
    found = yaml.safe_load(run("ansible-builder", "introspect", tmp_path).partition("---\n")[2])
    needed = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in needed if line and not line.startswith("#")]
    assert [line.partition("  #")[0] for line in found["python"]] == names
    assert not found.get("system")


@pytest.fixture(scope="module")
def run_folder() -> Iterator[Path]:
    with remains.workspace() as folder:
        remains.uses_podman(folder)
        yield folder


@pytest.fixture
def image(definition: dict[str, Any], run_folder: Path, tmp_path: Path, trees: Path) -> str:
    """The image, built on a tree of Debian, of wheels that are downloaded outside."""
    base = containers.base_image(f"{run_folder.name}-base", hosts.tree(SUITE, trees))
    needed = definition["dependencies"]
    machine = platform.machine()
    run(
        "pip", "download", "--quiet", "--dest", tmp_path / "wheels", "--only-binary=:all:", "--python-version", PYTHON,
        *(f"--platform={tag}_{machine}" for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")),
        "--requirement", ROOT / "meta" / "ee-requirements.txt", *BUILT_WITH,
        needed["ansible_core"]["package_pip"], needed["ansible_runner"]["package_pip"],
    )  # fmt: skip
    definition["images"]["base_image"]["name"] = base
    definition["additional_build_files"].append({"src": "wheels", "dest": "wheels"})
    definition["additional_build_steps"]["prepend_base"] = [
        "COPY _build/wheels /wheels",
        "ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels",
        "RUN PYTHONPATH=$(echo /wheels/pip-*.whl) $PYCMD -m pip install pip",
    ]
    name = f"localhost/{run_folder.name}-ee:latest"
    options = " ".join([*containers.RUN, "--network=host", "--isolation=chroot", "--layers=false"])
    file = write(definition, tmp_path)
    run(
        "ansible-builder", "build", "--file", file, "--context", tmp_path / "context", "--tag", name,
        f"--extra-build-cli-args={options}",
    )  # fmt: skip
    return name


@pytest.mark.hosts
@pytest.mark.skipif(bool(WHY_NOT), reason=f"{WHY_NOT}: of the execution environment, only the context is checked")
def test_pools_are_checked_in_the_environment(image: str, tmp_path: Path) -> None:
    """Simulated pools run in the container too, which reaches nothing else."""
    project = tmp_path / "runner" / "project"
    project.mkdir(parents=True)
    (project / "check.yml").write_text(PLAYBOOK, encoding="utf-8")
    (project.parent / "inventory").write_text("localhost ansible_connection=local\n", encoding="utf-8")
    options = [*(f"{name}={value}" for name, value in zip(containers.RUN[::2], containers.RUN[1::2])), "--user=root"]
    shown = run(
        "ansible-runner", "run", project.parent, "--playbook", "check.yml", "--ident", "one", "--process-isolation",
        "--process-isolation-executable", "podman", "--container-image", image,
        *(f"--container-option={option}" for option in [*options, "--network=none"]),
    )  # fmt: skip
    events = [json.loads(path.read_text()) for path in (project.parent / "artifacts/one/job_events").glob("*.json")]
    results = [event["event_data"]["res"] for event in events if event["event"] == "runner_on_ok"]
    assert {result["outcome"] for result in results if "outcome" in result} == {"healthy"}, shown
