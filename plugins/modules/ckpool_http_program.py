# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which builds the file on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ckpool_http_program
short_description: Put the program of the HTTP service on a host
version_added: 1.0.0
author: The ckpool.fleet contributors (@ckpool-fleet)
description:
  - Builds one file, which Python runs, of the HTTP service and of the files with which the modules of this collection ask pools, and
    copies it to the host.
  - The same sources make the same bytes, on any controller, so a second run changes nothing.
  - The file is owned by root, and has the mode C(0644). It needs the packages starlette, uvicorn and prometheus_client on the host. The
    role P(ckpool.fleet.http_api#role) uses this module, and installs these too.
extends_documentation_fragment:
  - ckpool.fleet.attributes
attributes:
  action:
    support: full
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the controller.
  async:
    support: none
    description: Supports being used with the C(async) keyword.
  check_mode:
    support: full
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    support: full
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    details:
      - The diff shows checksum, mode and owner of the file.
  idempotent:
    support: full
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  dest:
    description:
      - Path of the file on the host. Its directory must exist.
    type: str
    required: true
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Copy the program of the service
  ckpool.fleet.ckpool_http_program:
    dest: /opt/ckpool-http/ckpool-http.pyz
  become: true
"""

RETURN = r"""
dest:
  description: Path of the file on the host.
  returned: success
  type: str
  sample: /opt/ckpool-http/ckpool-http.pyz
checksum:
  description: Checksum of the file.
  returned: success
  type: str
  sample: sha256:0f343b0931126a20f133d67c2b018a3b5e4fa6d1c5a8f0d1b1c2b8f1c5b0c9aa
size:
  description: Size of the file in bytes.
  returned: success
  type: int
  sample: 912345
msg:
  description: The result in one sentence.
  returned: always
  type: str
  sample: /opt/ckpool-http/ckpool-http.pyz became the HTTP service of ckpool.fleet
"""
