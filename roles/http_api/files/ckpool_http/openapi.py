# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of the service by OpenAPI 3.1. What rows have is taken from the records themselves."""

from __future__ import annotations

import typing as t

from ckpool_fleet._health import CRITICAL, OK, SKIPPED, STATES, WARNING
from ckpool_fleet._records import Block, PoolStats, UserStats, Workbase, WorkerStats

from . import VERSION, queries
from .errors import JSON

if t.TYPE_CHECKING:
    from .settings import Settings

_Schema = t.Dict[str, t.Any]
_NOTE = (
    "Read-only. Hashrates are in H/s, times in epoch seconds, shares as sums of difficulty. What a source does not give is null."
    " One look at a pool serves all readers: the header Age and as_of tell how old an answer is."
)
_OF_TYPE: t.Dict[str, t.Any] = {
    "str": "string", "int": "integer", "bool": "boolean", "float": "number", "Number": ["number", "null"],
    "t.Optional[int]": ["integer", "null"], "t.Optional[str]": ["string", "null"], "t.Optional[bool]": ["boolean", "null"],
}  # fmt: skip
_TEXT: _Schema = {"type": "string"}
_MAYBE_TEXT: _Schema = {"type": ["string", "null"]}
_MAYBE_WHOLE: _Schema = {"type": ["integer", "null"]}
_WHOLE: _Schema = {"type": "integer", "minimum": 0}
_REASONS: _Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_STATE: _Schema = {"type": ["string", "null"], "enum": [*STATES, None]}
_ABOUT: t.Dict[str, str] = {
    "stats": "The pool's statistics. The figures also lie at the top.",
    "users": "Users with their workers.",
    "workers": "Workers of all users.",
    "summary": "Statistics, version, age of the work, and the last block.",
    "blocks": "The blocks that the pool found, the newest first, from its log.",
    "workbase": "The template that the pool makes its work from. Null in a mode that has none.",
    "health": "The verdict, with every check; what the module ckpool_health_info returns. 503 if a check of any pool is critical.",
    "metrics": "Metrics for Prometheus.",
}
_PARAMETERS: t.Dict[str, str] = {
    "limit": f"How many rows at most; {queries.LIMIT} by default.",
    "offset": "How many rows to leave out before them.",
    "user": "Only this user, or workers of this user.",
    "worker": "Only this worker.",
    "state": "Only workers that are active, or idle.",
    "active_within": "Seconds since the last share. Of users and workers, only those who are active.",
    "sort_by": "Names ascend, all else descends.",
}


def description(settings: Settings) -> _Schema:
    """What C(/openapi.json) gives."""
    paths = {
        **{f"/{name}": _operation(name, settings) for name in _ABOUT},
        **{f"/pools/{{pool}}/{name}": _operation(name, settings, of_one=True) for name in _ABOUT},
        "/pools": {"get": _plain("pools", "The pools of this host, by name.", settings)},
        "/openapi.json": {"get": _plain("openapi", "This description.", settings)},
    }
    found: _Schema = {
        "openapi": "3.1.0",
        "info": {"title": "ckpool.fleet", "version": VERSION, "description": _NOTE},
        "paths": paths,
        "components": {"schemas": _schemas()},
    }
    if settings.token_file:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _operation(name: str, settings: Settings, of_one: bool = False) -> _Schema:
    is_text = name == "metrics"
    parameters = [_parameter(key, rule) for key, rule in queries.PARAMETERS.get(name, {}).items()]
    if of_one:
        path = {"name": "pool", "in": "path", "required": True, "schema": {**_TEXT, "minLength": 1}}
        parameters.insert(0, {**path, "description": "A name of /pools."})
    good = {"text/plain": {"schema": _TEXT}} if is_text else {JSON: {"schema": _ref(f"{name}_answer")}}
    operation: _Schema = {
        "operationId": f"{name}_of_one" if of_one else name,
        "summary": _ABOUT[name],
        "parameters": parameters,
        "responses": {"200": {"description": "The answer.", "content": good}, **_errors(name, settings, of_one)},
    }
    if is_text and settings.metrics_public:
        operation["security"] = []
    return {"get": operation}


def _plain(name: str, summary: str, settings: Settings) -> _Schema:
    schema = _ref("pools_answer") if name == "pools" else {"type": "object"}
    answer = {"200": {"description": "The answer.", "content": {JSON: {"schema": schema}}}}
    responses = {**answer, **_errors(name, settings, False)}
    return {"operationId": name, "summary": summary, "parameters": [], "responses": responses}


def _errors(name: str, settings: Settings, of_one: bool) -> _Schema:
    bad = {JSON: {"schema": _ref("error")}}
    found = {"400": "A parameter is unknown or wrong.", "default": "Another error, in the same form."}
    if name in queries.PARAMETERS or name in ("stats", "summary", "workbase"):
        found["503"] = "The pool is down, hung or has no answer; the error has the verdict."
        if not of_one:
            found["409"] = "Several pools run here: ask for one."
    if of_one:
        found["404"] = "No pool has this name."
    if settings.token_file:
        found["401"] = "The token is missing or wrong."
    else:
        found["421"] = "Without a token, the service is only known as localhost, or by an address of loopback."
    answers: _Schema = {status: {"description": text, "content": bad} for status, text in found.items()}
    if name == "health":
        either = {"anyOf": [_ref("health_answer"), _ref("error")]}
        answers["503"] = {
            "description": "A check is critical, or no pool was found.",
            "content": {JSON: {"schema": either}},
        }
    return answers


def _parameter(name: str, rule: t.Any) -> _Schema:
    if isinstance(rule, int):
        schema: _Schema = {**_TEXT, "minLength": 1, "maxLength": rule}
    elif isinstance(rule[0], str):
        schema = {**_TEXT, "enum": list(rule)}
    else:
        schema = {"type": "integer", "minimum": rule[0], "maximum": rule[1]}
    return {"name": name, "in": "query", "required": False, "description": _PARAMETERS[name], "schema": schema}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _record(kind: t.Any, **more: _Schema) -> _Schema:
    """The schema of a record's dictionary."""
    fields = {name: {"type": _OF_TYPE[type_]} for name, type_ in kind.__annotations__.items() if type_ in _OF_TYPE}
    return _object({**fields, **more})


def _object(properties: t.Dict[str, _Schema], optional: t.Container[str] = ()) -> _Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list_of(name: str) -> _Schema:
    return {"type": "array", "items": _ref(name)}


def _schemas() -> t.Dict[str, _Schema]:
    common = {"instance": _ref("instance"), "source": _MAYBE_TEXT, "as_of": _MAYBE_WHOLE, "problems": _REASONS}
    page = {"total": _WHOLE, "offset": _WHOLE, "limit": _WHOLE, "next": _MAYBE_TEXT, "left_out": _WHOLE, **common}
    of_blocks = {"is_complete": {"type": "boolean"}, "reached": _MAYBE_WHOLE}
    nullable = [{"type": "null"}]
    texts = {"type": "array", "items": _TEXT}
    return {
        **_parts(),
        "stats_answer": {"allOf": [_ref("stats"), _object({"stats": _ref("stats"), **common})]},
        "users_answer": _object({"users": _list_of("user"), **page}),
        "workers_answer": _object({"workers": _list_of("worker"), **page}),
        "blocks_answer": _object({"blocks": _list_of("block"), **page, **of_blocks}),
        "workbase_answer": _object({"workbase": {"anyOf": [_ref("workbase"), *nullable]}, **common}),
        "summary_answer": _object({"summary": _ref("summary"), **common}),
        "pools_answer": _object({"pools": _list_of("pool"), "host": _TEXT, "version": _TEXT}),
        "judged_by": _object(
            {"thresholds": {"type": "object"}, "skip_checks": texts, "socket_dirs": texts, "log_dir": _MAYBE_TEXT}
        ),
        "health_answer": {
            "allOf": [
                _ref("checked"),
                _object(
                    {
                        "instances": _list_of("checked"),
                        "host": _TEXT,
                        "now": {"type": "number"},
                        "version": _TEXT,
                        "judged_by": _ref("judged_by"),
                    },
                ),
            ]
        },
    }


def _parts() -> t.Dict[str, _Schema]:
    nullable = [{"type": "null"}]
    status = {**_TEXT, "enum": [OK, WARNING, CRITICAL]}
    texts = {"type": "array", "items": _TEXT}
    check = {
        "name": _TEXT, "status": {**_TEXT, "enum": [OK, WARNING, CRITICAL, SKIPPED]}, "observed": {}, "expected": _TEXT, "reason": _TEXT,
        "hint": _TEXT, "summary": _TEXT,
    }  # fmt: skip
    instance = {
        "name": _TEXT, "mode": _TEXT, "socket_dir": _TEXT, "log_dir": _MAYBE_TEXT, "pid": _MAYBE_WHOLE, "started": _MAYBE_WHOLE,
        "root": _TEXT, "user": _MAYBE_TEXT, "state": _STATE,
    }  # fmt: skip
    error = {"status": {"type": "integer"}, "reason": _TEXT, "message": _TEXT, "hint": _TEXT, "health": _ref("health")}
    checked = {
        "instance": {"anyOf": [_ref("instance"), *nullable]}, "health": _ref("health"), "stats": {"anyOf": [_ref("stats"), *nullable]},
        "work_age": {"type": ["number", "null"]}, "clients": _MAYBE_WHOLE, "source": _MAYBE_TEXT, "as_of": _MAYBE_WHOLE,
        "problems": _REASONS, "msg": _TEXT, "log_tail": texts,
    }  # fmt: skip
    summary = {
        "name": _TEXT, "mode": _TEXT, "pid": _MAYBE_WHOLE, "state": _STATE, "version": _MAYBE_TEXT,
        "work_age": {"type": ["number", "null"]}, "last_block": {"anyOf": [_ref("block"), *nullable]},
    }  # fmt: skip
    return {
        "error": _object({"error": _object(error, optional=("health",))}),
        "check": _object(check),
        "health": _object({
            "state": _STATE, "ok": {"type": "boolean"}, "status": status, "wrong": texts, "checks": _list_of("check"),
        }),
        "instance": _object(instance),
        "checked": _object(checked, optional=("log_tail",)),
        "pool": _object({"name": _TEXT, "instance": _ref("instance"), "href": _TEXT}),
        "stats": _record(PoolStats),
        "user": _record(UserStats, workers=_list_of("worker")),
        "worker": _record(WorkerStats),
        "block": _record(Block),
        "workbase": _record(Workbase),
        "summary": {"allOf": [_ref("stats"), _object(summary)]},
    }  # fmt: skip
