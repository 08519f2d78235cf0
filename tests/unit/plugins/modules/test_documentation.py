# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the modules agrees with their code, and with itself where several modules document the same."""

from __future__ import annotations

import importlib
import re
import typing as t
from pathlib import Path
from unittest import mock

import pytest

yaml = pytest.importorskip("yaml")
action_base = pytest.importorskip("ansible.plugins.action")

from ansible.errors import AnsibleActionFail
from ansible.module_utils import basic
from ansible_collections.ckpool.fleet.plugins.module_utils._sources.registry import CHOICES

from tests.support import Simulated

if t.TYPE_CHECKING:
    from .conftest import Run

Json = t.Dict[str, t.Any]
ROOT = "ansible_collections.ckpool.fleet.plugins"
PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
ACTIONS = sorted(path.stem for path in (PLUGINS / "action").glob("*.py") if path.stem in MODULES)
COMMON = yaml.safe_load((Path(__file__).parent / "common_returns.yml").read_text(encoding="utf-8"))

#: return values of a common name that say something of their own
OWN_RETURNS = {
    "ckpool_bitcoind_info": {"phase"},
    "ckpool_block_info": {"as_of"},
    "ckpool_clients": {"problems"},
    "ckpool_config": {"path", "phase"},
    "ckpool_dropuser": {"problems", "source"},
    "ckpool_fleet_report": {"problems"},
    "ckpool_health_info": {"as_of", "instance", "instances", "source"},
    "ckpool_health_report": {"instance", "msg", "problems"},
    "ckpool_info": {"as_of", "instances", "problems", "source"},
    "ckpool_install_info": {"instances", "phase"},
    "ckpool_instance_info": {"hint", "instances", "path", "phase", "reason"},
    "ckpool_loglevel": {"problems"},
    "ckpool_metrics": {"as_of", "instances", "phase", "source"},
    "ckpool_metrics_report": {"msg", "problems"},
    "ckpool_monitor": {"msg"},
    "ckpool_outcome": {"msg"},
    "ckpool_release": {"phase"},
    "ckpool_restart": {"reason"},
    "ckpool_shutdown": {"reason"},
    "ckpool_upgrade": {"reason"},
    "ckpool_user_report": {"msg", "problems"},
    "ckpool_wait": {"reason"},
    "ckpool_watch_report": {"problems"},
    "ckpool_window": {"hint", "path", "phase", "reason"},
    "ckpool_workbase_info": {"as_of", "source"},
}
#: what a task needs besides the option that is tried
REQUIRED: t.Dict[str, Json] = {
    "ckpool_bitcoind_info": {"path": "/nowhere/at/all"},
    "ckpool_clients": {"state": "dropped"},
    "ckpool_command": {"command": "ping"},
    "ckpool_config": {"path": "/nowhere/at/all", "name": "x", "config": {"x": 1}},
    "ckpool_dropuser": {"users": ["bob"]},
    "ckpool_loglevel": {"level": "5"},
    "ckpool_metrics_report": {"textfile": "/nowhere/at/all.prom"},
    "ckpool_outcome": {"outcome": "healthy", "msg": "x"},
    "ckpool_release": {"version": "1.0"},
    "ckpool_upgrade": {"instance": "main"},
    "ckpool_watch_report": {"step": "begin", "state_file": "/nowhere/at/all.json", "channels": ["webhook"]},
}
#: numbers that name something
IDENTITIES = {"base_pid", "pid", "started"}
#: the limits of an exchange with a socket, and the modules that have none themselves
EXCHANGE = {"max_reply", "timeout"}
ASK_NOBODY = {
    "ckpool_instance_info",
    "ckpool_monitor",
    "ckpool_restart",
    "ckpool_shutdown",
    "ckpool_upgrade",
    "ckpool_wait",
}
#: options that are paths on the host, which the controller must not expand
HOST_PATHS = {"log_dir", "prefix", "socket_dir", "src"}
RANGE = (
    r"from V\((?P<least>[\d.]+)\) to V\((?P<most>\d+)\)|at least V\((?P<at_least>\d+)\)|more than V\((?P<above>\d+)\)"
)


class Captured(Exception):
    """The argument specification of a module or an action."""


def merged(own: t.Any, shared: t.Any) -> t.Any:
    """An option or an attribute as Ansible merges it with that of a fragment: by its keys."""
    return {**shared, **own}


def documentation(name: str) -> Json:
    """DOCUMENTATION with the options and attributes of its fragments."""
    doc: Json = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.{name}").DOCUMENTATION)
    for slug in doc.pop("extends_documentation_fragment", []):
        module, _dot, section = slug[len("ckpool.fleet.") :].partition(".")
        fragment = importlib.import_module(f"{ROOT}.doc_fragments.{module}").ModuleDocFragment
        shared = yaml.safe_load(getattr(fragment, section.upper() or "DOCUMENTATION"))
        for key in ("options", "attributes"):
            entries = doc.setdefault(key, {})
            for option, entry in (shared.get(key) or {}).items():
                entries[option] = merged(entries.get(option, {}), entry)
    return doc


def action(name: str) -> t.Any:
    """An action plugin that reaches no host."""
    plugin = importlib.import_module(f"{ROOT}.action.{name}").ActionModule(
        task=mock.Mock(async_val=0, check_mode=True, diff=False, no_log=False, args={}),
        connection=mock.Mock(),
        play_context=mock.Mock(check_mode=True),
        loader=mock.Mock(),
        templar=mock.Mock(),
        shared_loader_obj=mock.Mock(),
    )
    plugin._load_name = name
    plugin._execute_module = mock.Mock(side_effect=AssertionError("the host was asked"))
    return plugin


def argument_spec(name: str, monkeypatch: pytest.MonkeyPatch) -> Json:
    """The options as the code has them."""

    def capture(_self: t.Any, argument_spec: Json, **_more: t.Any) -> t.NoReturn:
        raise Captured(argument_spec)

    if name in ACTIONS:
        monkeypatch.setattr(action_base.ActionBase, "validate_argument_spec", capture)
        plugin = action(name)

        def call() -> None:
            plugin.run(task_vars={"inventory_hostname": "pool1", "hostvars": {}})
    else:
        monkeypatch.setattr(basic.AnsibleModule, "__init__", capture)
        call = importlib.import_module(f"{ROOT}.modules.{name}").main
    with pytest.raises(Captured) as caught:
        call()
    spec: Json = caught.value.args[0]
    return spec


def facts_of(options: Json, nested: str) -> Json:
    """What documentation and code both say of options."""
    return {
        name: (
            option.get("type", "str"),
            option.get("default"),
            option.get("required", False),
            option.get("elements"),
            sorted(option.get("choices") or ()),
            facts_of(option.get(nested) or {}, nested),
        )
        for name, option in options.items()
    }


@pytest.mark.parametrize("name", MODULES)
def test_options_are_those_of_the_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = documentation(name)["options"]
    if name in ACTIONS:
        options = {key: {**entry, "type": "str"} if key in HOST_PATHS else entry for key, entry in options.items()}
    documented = facts_of(options, "suboptions")
    assert documented == facts_of(argument_spec(name, monkeypatch), "options")


def refusal(name: str, run_any: Run, /, **options: t.Any) -> str:
    """The message with which options are refused."""
    if name not in ACTIONS:
        nowhere = {"socket_dir": "/nowhere/at/all"} if "socket_dir" in documentation(name)["options"] else {}
        result = run_any(name, **nowhere, **options)
        assert result.get("reason") == "out_of_range", result
        return str(result["msg"])
    plugin = action(name)
    plugin._task.args = options
    try:
        result = plugin.run(task_vars={"inventory_hostname": "pool1", "hostvars": {}})
    except AnsibleActionFail as exc:
        return str(exc)
    assert result.get("reason") == "out_of_range", result
    return str(result["msg"])


def numbers(name: str) -> t.Iterator[t.Tuple[str, str, str]]:
    """The numeric options of a module: name, type and description."""
    for option, entry in documentation(name)["options"].items():
        if entry.get("type") in ("int", "float") and option not in IDENTITIES | (
            EXCHANGE if name in ASK_NOBODY else set()
        ):
            yield option, entry["type"], " ".join(entry["description"])


NUMBERS = [(name, *number) for name in MODULES for number in numbers(name)]


@pytest.mark.parametrize(("name", "option", "kind", "text"), NUMBERS, ids=[f"{one[0]}-{one[1]}" for one in NUMBERS])
def test_a_documented_range_is_that_of_the_code(name: str, option: str, kind: str, text: str, run_any: Run) -> None:
    found = re.search(RANGE, text)
    assert found, f"{option} of {name} is documented without a range"
    number: t.Callable[[str], float] = int if kind == "int" else float
    ends = {end: number(value) for end, value in found.groupdict().items() if value}
    step = 1 if kind == "int" else 0.005
    beyond = {"least": -step, "most": step, "at_least": -step, "above": 0}
    for end, value in ends.items():
        message = refusal(name, run_any, **REQUIRED.get(name, {}), **{option: value + beyond[end]})
        said = re.search(
            rf"\b{option} must be (?:from|at least|more than) ([\d.e+]+)(?: to ([\d.e+]+))?,? not ", message
        )
        assert said, message
        assert [float(value) for value in said.groups() if value] == [float(value) for value in ends.values()], message


def test_the_ranges_of_thresholds(run_any: Run) -> None:
    thresholds = documentation("ckpool_health_info")["options"]["thresholds"]
    percent, other = re.findall(r"from V\(0\) to V\((\d+)\)", " ".join(thresholds["description"]))
    for name, entry in thresholds["suboptions"].items():
        if entry["type"] == "str":
            continue
        most = int(
            percent
            if re.search(r"percentage|^The same.*critical", entry["description"][0])
            and entry.get("default", 1e3) <= 100
            else other
        )
        for value in (-1, most + 1):
            message = refusal("ckpool_health_info", run_any, thresholds={name: value})
            assert re.search(rf"thresholds.{name} must be from 0 to ([\d.e+]+), not", message), message
            assert float(re.findall(r" to ([\d.e+]+)", message)[0]) == most, (name, message)


def test_no_section_of_a_fragment_is_called_like_a_fragment() -> None:
    """Ansible would take C(attributes.polling) for the fragment C(polling)."""
    fragments = {path.stem for path in (PLUGINS / "doc_fragments").glob("*.py")}
    for name in fragments:
        fragment = importlib.import_module(f"{ROOT}.doc_fragments.{name}").ModuleDocFragment
        assert not fragments & {section.lower() for section in vars(fragment)}


def agrees(own: Json, common: Json) -> bool:
    """Whether a return value is documented with the common text. It may contain more, and have a sample of its own."""
    for key, value in common.items():
        if key == "contains":
            if not all(agrees(own.get("contains", {}).get(name, {}), entry) for name, entry in value.items()):
                return False
        elif own.get(key) != value:
            return False
    return True


@pytest.mark.parametrize("name", MODULES)
def test_common_return_values_have_one_text(name: str) -> None:
    module = importlib.import_module(f"{ROOT}.modules.{name}")
    fragments = yaml.safe_load(module.DOCUMENTATION).get("extends_documentation_fragment", [])
    common = dict(COMMON["any"])
    for fragment in ("polling", "report"):
        if f"ckpool.fleet.{fragment}" in fragments:
            common.update(COMMON[fragment])
    returned = yaml.safe_load(module.RETURN)
    differing = {key for key in returned if key in common and not agrees(returned[key], common[key])}
    assert differing == OWN_RETURNS.get(name, set()) & set(returned)


def test_the_figures_of_the_waiting_modules_have_one_text() -> None:
    figures = COMMON["polling"]["stats_before"]["contains"]
    for name in ("ckpool_wait", "ckpool_step"):
        assert yaml.safe_load(importlib.import_module(f"{ROOT}.modules.{name}").RETURN)["stats"]["contains"] == figures


def test_instances_are_documented_in_one_way() -> None:
    common = COMMON["any"]["instance"]["contains"]
    returned = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.ckpool_health_info").RETURN)
    assert returned["instance"]["contains"] == returned["instances"]["contains"]["instance"]["contains"] == common
    listed = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.ckpool_instance_info").RETURN)["instances"][
        "contains"
    ]
    assert {key for key in common if listed[key] != common[key]} == {"pid", "state"}


def test_workers_are_documented_in_one_way() -> None:
    user_info = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.ckpool_user_info").RETURN)
    worker_info = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.ckpool_worker_info").RETURN)
    of_users, of_all = user_info["users"]["contains"]["workers"]["contains"], worker_info["workers"]["contains"]
    assert {key for key in of_all if of_users[key] != of_all[key]} == {"idle"}


def leaves(values: Json, path: str = "") -> t.Iterator[t.Tuple[str, Json]]:
    """Every return value, with those that it contains."""
    for name, entry in values.items():
        yield f"{path}{name}", entry
        yield from leaves(entry.get("contains") or {}, f"{path}{name}.")


def test_only_the_option_lists_the_sources() -> None:
    """All else says "as O(source)", so that a new source is described once."""
    names = [f"V({name})" for name in CHOICES]
    fragment = importlib.import_module(f"{ROOT}.doc_fragments.pool").ModuleDocFragment
    option = yaml.safe_load(fragment.DOCUMENTATION)["options"]["source"]
    assert all(name in " ".join(option["description"]) for name in names)
    for name in MODULES:
        module = importlib.import_module(f"{ROOT}.modules.{name}")
        text = f"{module.DOCUMENTATION}{module.EXAMPLES}{module.RETURN}"
        copies = [line for line in text.splitlines() if sum(source in line for source in names[1:]) > 2]
        assert copies == [], name


KINDS: t.Dict[str, t.Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}


@pytest.mark.parametrize("name", MODULES)
def test_every_return_value_has_a_type_and_a_sample_of_it(name: str) -> None:
    for path, entry in leaves(yaml.safe_load(importlib.import_module(f"{ROOT}.modules.{name}").RETURN)):
        assert entry["description"], path
        if entry["type"] == "raw" or "contains" in entry:
            continue
        assert "sample" in entry, path
        sample = entry["sample"]
        assert sample is None or isinstance(sample, KINDS[entry["type"]]), path
        assert entry["type"] in ("bool", "list", "dict") or not isinstance(sample, bool), path


#: modules with options that have them return as much as they can
RESULTS: t.Sequence[t.Tuple[str, Json]] = (
    ("ckpool_block_info", {}),
    ("ckpool_clients", {"state": "accepting"}),
    ("ckpool_clients", {"state": "dropped", "wait": 0}),
    ("ckpool_command", {"command": "ping", "socket": "stratifier"}),
    ("ckpool_dropuser", {"workers": ["alice.rig0"], "watch": 0}),
    ("ckpool_health_info", {}),
    ("ckpool_info", {}),
    ("ckpool_instance_info", {}),
    ("ckpool_loglevel", {"level": "info", "restore_after": "1h"}),
    ("ckpool_metrics", {"top_users": 2}),
    ("ckpool_stats", {"raw": True}),
    ("ckpool_step", {"wants": ["stats", "handover", "holders", "connections", "log_tail"]}),
    ("ckpool_user_info", {}),
    ("ckpool_workbase_info", {"with_transactions": True}),
    ("ckpool_worker_info", {}),
)
#: what is documented as having the keys of another value, and these
WITH_MORE = {"summary"}


def deviations(value: t.Any, entry: Json, path: str) -> t.Iterator[str]:
    """Where a value is not as it is documented."""
    if value is None:
        return
    kind = KINDS.get(entry["type"], object)
    if not isinstance(value, kind) or (isinstance(value, bool) and entry["type"] not in ("bool", "raw")):
        yield f"{path} is {value!r}, not of type {entry['type']}"
        return
    for part in (value if isinstance(value, list) else [value]) if "contains" in entry else ():
        keys, documented = set(part), set(entry["contains"])
        if documented - keys or (keys - documented and path not in WITH_MORE):
            yield f"{path} has {sorted(keys - documented)} besides, and not {sorted(documented - keys)}"
        for name in documented & keys:
            yield from deviations(part[name], entry["contains"][name], f"{path}.{name}")


@pytest.mark.parametrize(
    ("name", "options"), RESULTS, ids=[f"{name}-{number}" for number, (name, _options) in enumerate(RESULTS)]
)
@pytest.mark.usefixtures("fakes_are_ours", "alone")  # ckpool_info asks every pool of the host
def test_results_are_as_documented(
    name: str, options: Json, run_any: Run, simulate: t.Callable[..., Simulated]
) -> None:
    daemon = simulate(layout="2026", user_names=["alice", "bob"], hashrate=6e15)
    daemon.wait_for_statistics()
    result = run_any(name, socket_dir=str(daemon.socket_dir), **options)
    returned = yaml.safe_load(importlib.import_module(f"{ROOT}.modules.{name}").RETURN)
    assert set(result) - {"changed", "diff", "failed", "warnings"} <= set(returned)
    assert not [
        text for key, entry in returned.items() if key in result for text in deviations(result[key], entry, key)
    ]
