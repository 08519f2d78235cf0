# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install releases of ckpool, and switch the current one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_release
short_description: Install releases of ckpool, and switch the current one
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Installs an artifact as C(PREFIX/releases/VERSION), and optionally switches the symbolic link C(PREFIX/current) to it. The
    artifact is a program, or a tar archive that contains one. Nothing is built.
  - The program is first run with C(-h), as the daemon's user without any other privilege, to verify that it runs on this host.
  - A release is installed completely or not at all, even if the run is interrupted, and is never modified afterwards. Another
    artifact for the same version is an error.
  - The links are switched atomically. C(PREFIX/previous) points to the release that was current before.
  - No pool is restarted. A unit that runs C(PREFIX/current/ckpool) uses the new release when it starts or hands over.
extends_documentation_fragment:
  - ckpool.fleet.attributes
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
    details:
      - It compares checksums first, and transfers or downloads an artifact only if the host does not have it.
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Nothing is transferred, downloaded or tried then. The checksum of an artifact on the controller is compared.
  diff_mode:
    support: full
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  version:
    description:
      - The name of the release. Letters, digits and V(._+~-).
      - With O(package) the version of the package, without its epoch, unless something else is given.
    type: str
  state:
    description:
      - V(present) places the release, V(current) also has C(PREFIX/current) lead to it, V(absent) removes it.
      - Without an artifact, V(current) switches to a release that is there.
      - What is current, was so before, or runs, is not removed.
    type: str
    choices: [present, current, absent]
    default: present
  src:
    description:
      - The artifact on the controller, or with O(remote_src) on the host.
      - A relative path on the controller is searched for as those of M(ansible.builtin.copy), then in the directory in which the run was
        started, and in that of the inventory.
    type: path
  remote_src:
    description:
      - Whether O(src) is on the host.
    type: bool
    default: false
  url:
    description:
      - Where the host gets the artifact from, which needs O(checksum). A user, a password and a query in it are neither shown
        nor kept.
    type: str
  origin:
    description:
      - What RV(release.source) shall say. By default where the artifact came from.
    type: str
  package:
    description:
      - A Debian package that is installed on the host. Its program is copied, so that it is still there to go back to when
        the package is upgraded.
    type: str
  checksum:
    description:
      - What the artifact's checksum has to be, as V(sha256:HEX) or V(sha512:HEX).
    type: str
  prefix:
    description:
      - Where the releases are. Nobody but root may be able to write to it, or to a folder above it.
    type: path
    default: /opt/ckpool
  program:
    description:
      - Where the program is in an archive, without the archive's outermost folder. By default it is looked for.
    type: str
  user:
    description:
      - The daemon's user, as whom the program is tried. Without it, the one that runs the module.
    type: str
  try_program:
    description:
      - Run the program with C(-h) before it is placed.
    type: bool
    default: true
  try_timeout:
    description:
      - Seconds that this may take, from V(1) to V(300).
    type: float
    default: 10.0
  keep:
    description:
      - How many old releases stay, besides the current one, the one before it, and those that run, from V(0) to V(1000). Without it,
        all.
    type: int
  max_size:
    description:
      - Bytes that an archive may unpack to, from V(1) to V(1099511627776).
    type: int
    default: 536870912
notes:
  - An archive is refused as a whole if anything in it is set-user-id, is no regular file, folder or link within it, or has a
    name or target outside it. It is read as C(tar), C(tar.gz), C(tar.bz2) or C(tar.xz).
seealso:
  - module: ckpool.fleet.ckpool_config
  - module: ckpool.fleet.ckpool_install_info
"""

EXAMPLES = r"""
- name: Place a program from the controller
  ckpool.fleet.ckpool_release:
    src: ckpool
    version: 1.1.1
    user: ckpool
  become: true

- name: Place an archive from a server, and make it current
  ckpool.fleet.ckpool_release:
    url: https://files.example.org/ckpool-1.2.0.tar.xz
    checksum: sha256:0f343b0931126a20f133d67c2b018a3b5e4fa6d1c5a8f0d1b1c2b8f1c5b0c9aa
    version: 1.2.0
    user: ckpool
    state: current
    keep: 3
  become: true

- name: Go back to an earlier one
  ckpool.fleet.ckpool_release:
    version: 1.1.1
    state: current
  become: true
"""

RETURN = r"""
release:
  description: The release. Null where there is none, as after O(state=absent), or before it is placed in check mode.
  returned: success
  type: dict
  contains:
    version:
      description: Its name.
      type: str
      sample: 1.2.0
    path:
      description: Its folder.
      type: str
      sample: /opt/ckpool/releases/1.2.0
    program:
      description: The daemon's program in it. Null if it holds none.
      type: str
      sample: /opt/ckpool/releases/1.2.0/ckpool
    checksum:
      description: The checksum of the artifact that it was made from. Null if it was not placed by this module.
      type: str
      sample: sha256:0f343b0931126a20f133d67c2b018a3b5e4fa6d1c5a8f0d1b1c2b8f1c5b0c9aa
    source:
      description: What it was made from.
      type: str
      sample: https://files.example.org/ckpool-1.2.0.tar.xz
    bears:
      description: The version that the program itself bears. Null if it bears none.
      type: str
      sample: 1.2.0
    placed:
      description: When it was placed, in epoch seconds.
      type: int
      sample: 1795385226
version:
  description: Which release was meant.
  returned: success
  type: str
  sample: 1.2.0
current:
  description: The version that is current now. Null if none is.
  returned: success
  type: str
  sample: 1.2.0
previous:
  description: The version that was current before. Null if there was none.
  returned: success
  type: str
  sample: 1.1.1
releases:
  description: The versions that are there, the oldest first.
  returned: success
  type: list
  elements: str
  sample: ["1.1.1", "1.2.0"]
removed:
  description: The versions that were removed.
  returned: success
  type: list
  elements: str
  sample: ["1.0.0"]
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: "1.2.0 was placed, and is current instead of 1.1.1"
phase:
  description: What failed, V(options), V(find), V(read), V(parse), V(try) or V(write).
  returned: failure
  type: str
  sample: read
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

import typing as t

from ansible_collections.ckpool.fleet.plugins.module_utils import _compile_once  # noqa: F401  # pylint: disable=unused-import
from ansible_collections.ckpool.fleet.plugins.module_utils._errors import BadInput, NotFound, PoolError
from ansible_collections.ckpool.fleet.plugins.module_utils._host.access import owner_named
from ansible_collections.ckpool.fleet.plugins.module_utils._host.checksum import (
    digests_of,
    parse_checksum,
    wrong_checksum,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._host.package import program_of_package
from ansible_collections.ckpool.fleet.plugins.module_utils._host.releases import (
    PROGRAM,
    Release,
    Releases,
    check_version,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._host_module import HostModule, run_on_host
from ansible_collections.ckpool.fleet.plugins.module_utils._install import trial
from ansible_collections.ckpool.fleet.plugins.module_utils._install.release_options import (
    NEEDS_ARTIFACT,
    OPTIONS,
    RANGES,
)
from ansible_collections.ckpool.fleet.plugins.module_utils._module import Result
from ansible_collections.ckpool.fleet.plugins.module_utils._text import without_credentials


class Artifact(t.NamedTuple):
    """What a release is made from: a file on the host, and what it is called; no path if it is not here yet."""

    path: t.Optional[str]
    name: str


def work(module: HostModule) -> Result:
    """Do what is wanted, and say what is there."""
    options = module.params
    module.check_ranges(**RANGES)
    releases = Releases(options["prefix"])
    artifact = artifact_of(options)
    before = overview(releases)
    version = check_version(options["version"])
    if options["state"] == "absent":
        done = remove(module, releases, version)
    else:
        done = bring(module, releases, version, artifact)
    after = {**overview(releases), **done.pop("predicted", {})}
    result: Result = {
        "release": None,
        "removed": [],
        **done,
        **after,
        "version": version,
        "changed": before != after,
    }
    result["msg"] = sentence(before, result)
    if module._diff:
        header = releases.prefix
        texts = ["".join(f"{name}: {value}\n" for name, value in sorted(view.items())) for view in (before, after)]
        result["diff"] = dict(zip(("before", "after"), texts), before_header=header, after_header=header)
    return result


def overview(releases: Releases) -> Result:
    """What is there."""
    return {
        "current": releases.current(),
        "previous": releases.previous(),
        "releases": [release.version for release in releases.all()],
    }


def artifact_of(options: Result) -> t.Optional[Artifact]:
    """What the release is made from, where that is on the host. Fills in the version of a package.

    :raises BadInput: the options do not go together.
    """
    if options["url"] and not options["checksum"]:
        raise BadInput("url needs checksum: what comes from elsewhere has to be known", reason="bad_option")
    if options["checksum"]:
        parse_checksum(options["checksum"])
    if options["package"]:
        path, version = program_of_package(options["package"], PROGRAM)
        options["version"] = options["version"] or version.partition(":")[2] or version
        return Artifact(path, f"package {options['package']} {version}")
    if not options["version"]:
        raise BadInput("version is needed, but for a package", reason="bad_option")
    url = without_credentials(options["url"] or "")[0]
    if options["src"]:
        return Artifact(options["src"], options["origin"] or url or options["src"])
    return Artifact(None, options["origin"] or url) if url else None


def bring(module: HostModule, releases: Releases, version: str, artifact: t.Optional[Artifact]) -> Result:
    """Have a release there, and current if that is wanted."""
    options = module.params
    release = releases.find(version)
    checksum = wanted_checksum(options, artifact)
    if release and checksum and not release.is_made_from(checksum):
        raise PoolError(
            f"release {version} is already installed, from another artifact ({release.source or 'unknown'})",
            release.path,
            "give the artifact another version: a release is never replaced, so that pools can be rolled back to it",
            phase="find",
            reason="another_artifact",
        )
    if release:
        releases.require_unchanged(release)
    elif not checksum and (artifact is None or artifact.path is None):
        raise NotFound(f"release {version} is not in {releases.folder}, and no artifact was given", reason="no_release")
    elif not module.check_mode and (artifact is None or artifact.path is None):
        raise NotFound(f"release {version} is not there, and its artifact is not here", reason=NEEDS_ARTIFACT)
    if module.check_mode:
        return predicted(module, releases, version, release)
    with releases.locked():
        if releases.find(version) is None:
            place(module, releases, version, t.cast("Artifact", artifact))
        if options["state"] == "current":
            releases.switch(version)
        removed = releases.superfluous(options["keep"], (version, releases.current(), releases.previous()))
        for old in removed:
            releases.remove(old)
    return {"release": t.cast("Release", releases.find(version)).as_dict(), "removed": removed}


def wanted_checksum(options: Result, artifact: t.Optional[Artifact]) -> t.Optional[str]:
    """The checksum of the artifact that is meant; None where none is.

    :raises PoolError: the artifact is here, and has another one.
    """
    given: t.Optional[str] = options["checksum"]
    if artifact is None or artifact.path is None:
        return given
    found = digests_of(artifact.path)
    if given:
        algorithm, digest = parse_checksum(given)
        if found[algorithm] != digest:
            raise wrong_checksum(artifact.name, algorithm, found[algorithm], digest)
    return f"sha256:{found['sha256']}"


def predicted(module: HostModule, releases: Releases, version: str, release: t.Optional[Release]) -> Result:
    """What would be there after."""
    view = overview(releases)
    if release is None:
        view["releases"] = [*view["releases"], version]
    if module.params["state"] == "current" and view["current"] != version:
        view["current"], view["previous"] = version, view["current"] or view["previous"]
    removed = releases.superfluous(module.params["keep"], (version, view["current"], view["previous"]))
    view["releases"] = [one for one in view["releases"] if one not in removed]
    return {"release": release.as_dict() if release else None, "removed": removed, "predicted": view}


def place(module: HostModule, releases: Releases, version: str, artifact: Artifact) -> None:
    """Make a release of an artifact, try it, and put it in its place."""
    options = module.params
    path = t.cast("str", artifact.path)
    with releases.draft() as draft:
        draft.take(path, artifact.name)
        if options["checksum"]:
            draft.require_checksum(options["checksum"], artifact.name)
        draft.unpack(artifact.name, options["program"], options["max_size"])
        if options["try_program"]:
            owner = owner_named(options["user"])
            trial.require_runs(draft.program, artifact.name, owner, options["try_timeout"])
        draft.place(version, artifact.name)


def remove(module: HostModule, releases: Releases, version: str) -> Result:
    """Have a release gone."""
    if releases.find(version) is None:
        return {}
    if version in (releases.current(), releases.previous()):
        raise PoolError(
            f"release {version} is the current or the previous one, and stays", releases.folder, reason="needed"
        )
    if module.check_mode:
        view = overview(releases)
        return {
            "removed": [version],
            "predicted": {**view, "releases": [one for one in view["releases"] if one != version]},
        }
    with releases.locked():
        releases.remove(version)
    return {"removed": [version]}


def sentence(before: Result, after: Result) -> str:
    """What was done, for a person."""
    version = after["version"]
    parts = []
    if version in after["releases"]:
        is_new = version not in before["releases"]
        parts.append(f"{version} was installed" if is_new else f"{version} is installed")
        if after["current"] == version and before["current"] != version:
            parts.append("is current" + (f" instead of {before['current']}" if before["current"] else ""))
    else:
        parts.append(f"{version} was removed" if version in before["releases"] else f"{version} is not installed")
    text = ", and ".join(parts)
    others = [old for old in after["removed"] if old != version]
    return text + (f"; removed {', '.join(others)}" if others else "")


def main() -> None:
    """Run the module."""
    module = HostModule(
        OPTIONS,
        mutually_exclusive=[("src", "package"), ("url", "package")],
        required_one_of=[("version", "package")],
    )
    module.no_log_values |= without_credentials(module.params["url"] or "")[1]
    run_on_host(module, work)


if __name__ == "__main__":
    main()
