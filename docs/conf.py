# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx builds the site of `make docs`. tests/tools/docsite.py collects its sources."""

from __future__ import annotations

import typing as t
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode

project = title = html_title = "ckpool.fleet"
html_short_title = "ckpool.fleet"
project_copyright = "2026, The ckpool.fleet contributors"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# No sphinx.ext.intersphinx: a build must not need a network.
myst_heading_anchors = 4

html_theme = "sphinx_ansible_theme"
html_theme_options = {"vcs_pageview_mode": "", "documentation_home_url": "index.html"}
pygments_style = "ansible"
highlight_language = "YAML+Jinja"
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_use_modindex = False
default_role = "any"
# The guides and the changelog as docs.ansible.com has them: this site has them by their sources.
exclude_patterns = ["reference/docsite/*", "reference/changelog.rst"]

#: Title of the page that lists all plugins. antsibull-docs calls it Ckpool.Fleet.
_REFERENCE = "Modules, filters, tests and roles"

_PREFIX = "ckpool.fleet."
_NAME = "name of this collection"
#: The labels of Ansible's own documentation that the pages of the modules refer to. Any other missing label is an error.
_ANSIBLE = "https://docs.ansible.com/ansible/latest/"
_ANSIBLE_PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
_BUILTIN = "ansible_collections.ansible.builtin."


class LinkNames(SphinxTransform):
    """Make a link of each module, filter and playbook that a guide names in code."""

    default_priority = 400

    def apply(self, **kwargs: t.Any) -> None:
        """Wrap it in a reference, which `link_name` resolves."""
        if self.env.docname.startswith("reference/"):
            return
        pages = names(Path(self.env.srcdir))
        for node in list(self.document.findall(nodes.literal)):
            page = pages.get(node.astext())
            if page is None or isinstance(node.parent, (nodes.reference, addnodes.pending_xref, nodes.title)):
                continue
            link = addnodes.pending_xref("", reftype=_NAME, refdoc=self.env.docname, page=page[0], reftarget=page[1])
            node.replace_self(link)
            link += node


def names(source: Path) -> dict[str, tuple[str, str]]:
    """The names that are links in code: each with its page, and its label there."""
    found: dict[str, tuple[str, str]] = {}
    for path in (source / "reference").glob("*_*.rst"):
        name, _line, kind = path.stem.rpartition("_")
        if kind in ("module", "filter", "test", "role"):
            page = f"reference/{path.stem}", ""
            found[_PREFIX + name] = page
            if name.startswith("ckpool_"):
                found[name] = page
    # A role and a playbook may have the same name. The full name means the playbook, as it is the one to run.
    for line in (source / "playbooks.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. _playbook-"):
            found[_PREFIX + line[len(".. _playbook-") : -1].replace("-", "_")] = "playbooks", line[len(".. _") : -1]
    return found


def edit_reference(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the title of the page that lists all plugins, and leave out its lists of the guides and the changelog."""
    if page == "reference/index":
        title, line = "Ckpool.Fleet", "=" * len("Ckpool.Fleet")
        text = source[0].replace(f"{title}\n{line}\n", f"{_REFERENCE}\n{'=' * len(_REFERENCE)}\n", 1)
        before, label, plugins = text.partition(".. _plugin_index_for_ckpool.fleet:\n")
        source[0] = before.partition(".. _changelog_section_for_ckpool.fleet:\n")[0] + label + plugins


def link_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """A name in code as a link; it remains code."""
    if node["reftype"] != _NAME:
        return None
    return make_refnode(app.builder, node["refdoc"], node["page"], node["reftarget"], content)


def link_to_ansible(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """A reference to Ansible's own documentation, in place of the one that this site cannot resolve."""
    target = node.get("reftarget", "")
    page = _ANSIBLE_PAGES.get(target)
    if page is None and target.startswith(_BUILTIN):
        page = f"collections/ansible/builtin/{target[len(_BUILTIN) :]}.html"
    if page is None:
        return None
    link = nodes.reference("", "", internal=False, refuri=_ANSIBLE + page)
    link += content
    return link


def setup(app: Sphinx) -> dict[str, t.Any]:
    """Register the functions above with Sphinx."""
    app.add_transform(LinkNames)
    app.connect("source-read", edit_reference)
    app.connect("missing-reference", link_name)
    app.connect("missing-reference", link_to_ansible)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
