# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template that a pool makes its work from: the guide's C(current.workbase), or C(getbase) of the generator."""

from __future__ import annotations

import re
import typing as t

from .._errors import PoolError, Unparsable
from .._fields import Fields, note
from .._records import Transaction, Workbase, mapping
from .._state import BITCOIND_MODES
from .._text import JSON
from .._wire import BadReply, ClosedWithoutReply

if t.TYPE_CHECKING:
    from .._instance import Instance
    from .._types import Json
    from .exchange import Sockets

_HASH = re.compile(r"[0-9A-Fa-f]{64}\Z")
_BITS = re.compile(r"[0-9A-Fa-f]{8}\Z")
_TARGET_1 = 0xFFFF << 208  #: the target of difficulty 1
#: what the generator answers instead of a template
_NO_TEMPLATE = {
    "failed": "its bitcoind gave it no block template",
    "notify": "it is notified of new blocks and has no template to give",
}
_LOOK_AT = "does its bitcoind run, and is it in sync? see the last lines of the log"


def of_generator(instance: Instance, sockets: Sockets, problems: t.Dict[str, str]) -> t.Optional[Workbase]:
    """A template that the generator gets from its bitcoind; None in a mode without one, with the reason in the problems.

    :raises PoolError: no bitcoind gives one, or the reply is something else.
    """
    if instance.mode not in BITCOIND_MODES:
        problems["workbase"] = (
            f"a {instance.mode} makes no work from a bitcoind of its own: ask the pool that it is in front of"
        )
        return None
    path = instance.socket("generator")
    try:
        reply = sockets.text("generator", "getbase")
    except ClosedWithoutReply as exc:
        # Every build with a bitcoind knows the command; one that has just lost it closes, and later says nothing.
        raise PoolError(
            "the generator closed the connection on 'getbase': it has lost its bitcoind",
            exc.path,
            _LOOK_AT,
            reason="no_bitcoind",
        ) from None
    word = reply.strip().lower()
    if word in _NO_TEMPLATE:
        raise PoolError(
            f"the generator answered '{reply.strip()}': {_NO_TEMPLATE[word]}", path, _LOOK_AT, reason="no_bitcoind"
        )
    try:
        return read(mapping(JSON.decode(reply), "the reply to 'getbase'"), problems)
    except (ValueError, RecursionError):
        raise BadReply(
            f"{path} answered 'getbase' with text that is not JSON: {reply[:60]!r}", path, "is this a ckpool's?"
        ) from None


def read(row: Json, problems: t.Dict[str, str]) -> Workbase:
    """A template from getblocktemplate's fields, or the daemon's own names of them.

    :arg problems: takes what in it makes no sense.
    :raises Unparsable: it is no template.
    """
    fields = Fields(row)
    rows = row.get("transactions", row.get("txns"))
    listed = rows if isinstance(rows, list) else None
    count = fields.integer("transactions", "txns") if listed is None else len(listed)
    bits = _hex(row, _BITS, "bits", "nbit")
    name = "transactions" if "transactions" in row else "txns"
    found = Workbase(
        height=fields.integer("height"),
        previous_block=_hex(row, _HASH, "previousblockhash", "previous_block"),
        transactions=count,
        coinbase_value=fields.integer("coinbasevalue", "coinbase_value"),
        bits=bits,
        difficulty=difficulty_of(_hex(row, _HASH, "target"), bits),
        version=fields.integer("version"),
        time=fields.integer("curtime", "time"),
        transaction_list=[_transaction(each, fields.problems) for each in fields.objects(name, "a transaction")]
        if listed is not None
        else [],
    )
    if found.height is None and found.previous_block is None:
        raise Unparsable("the reply holds no template: it has neither a height nor a previous block")
    note(problems, "workbase", fields.problems)
    return found


def difficulty_of(target: t.Optional[str], bits: t.Optional[str]) -> t.Optional[float]:
    """The difficulty of a target, given whole or in its compact form, both in hexadecimal digits."""
    value = int(target, 16) if target else 0
    if not value and bits:
        exponent, mantissa = int(bits[:2], 16), int(bits[2:], 16)
        value = mantissa << 8 * (exponent - 3) if exponent >= 3 else mantissa >> 8 * (3 - exponent)
    return _TARGET_1 / value if 0 < value < 2**256 else None


def _hex(fields: Json, pattern: t.Pattern[str], *names: str) -> t.Optional[str]:
    """The first of these fields, in lower case; None if it does not match the pattern."""
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    return value.lower() if isinstance(value, str) and pattern.match(value) else None


def _transaction(row: Json, problems: t.List[str]) -> Transaction:
    fields = Fields(row, problems)
    return Transaction(_hex(row, _HASH, "txid", "hash") or "", fields.integer("fee"), fields.integer("weight"))
