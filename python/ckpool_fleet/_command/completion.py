# Copyright (c) 2026, The ckpool.fleet contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The completion of the command for shells, from its parser: a script that needs nothing but the shell.

Sources: bash(1) Programmable Completion, zshcompsys(1), complete of fish.
"""

from __future__ import annotations

import argparse
import typing as t


class _Option(t.NamedTuple):
    """One option of a command. Its value is one of the choices, a directory, or anything."""

    flags: t.Sequence[str]
    text: str
    has_value: bool
    choices: t.Sequence[str]
    is_folder: bool


class _Command(t.NamedTuple):
    """One command: its options, and the words that it takes."""

    name: str
    text: str
    options: t.Sequence[_Option]
    words: t.Sequence[str]


def script(parser: argparse.ArgumentParser, shell: str, programs: t.Sequence[str]) -> t.List[str]:
    """The lines of the script.

    :arg shell: C(bash), C(zsh) or C(fish).
    :arg programs: the names by which the command is called.
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_commands(parser), programs)


def _commands(parser: argparse.ArgumentParser) -> t.List[_Command]:
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return [_command(name, texts[name], one) for name, one in action.choices.items()]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> _Command:
    options, words = [], []
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        if action.option_strings:
            is_folder = action.metavar == "DIR"
            options.append(_Option(action.option_strings, action.help or "", action.nargs != 0, choices, is_folder))
        else:
            words += choices
    return _Command(name, text, options, words)


def _bash(commands: t.Sequence[_Command], programs: t.Sequence[str]) -> t.List[str]:
    names = " ".join([*(command.name for command in commands), "--help", "--version"])
    lines = [
        "_ckpool() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}",
        '    [[ $cur == "=" ]] && cur=""',
        '    [[ $prev == "=" ]] && prev=${COMP_WORDS[COMP_CWORD-2]}',
        "    COMPREPLY=()",
        "    if ((COMP_CWORD == 1)); then",
        f'        mapfile -t COMPREPLY < <(compgen -W {_quoted(names)} -- "$cur")',
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]} $prev" in',
    ]
    lines += [f"        {patterns}) {_bash_value(option)} ;;" for patterns, option in _with_values(commands)]
    lines += ["        *)", '            case "${COMP_WORDS[1]}" in']
    for command in commands:
        words = " ".join([*command.words, *(flag for option in command.options for flag in option.flags)])
        lines.append(
            f'                {command.name}) mapfile -t COMPREPLY < <(compgen -W {_quoted(words)} -- "$cur") ;;'
        )
    return [*lines, "            esac ;;", "    esac", "}", f"complete -F _ckpool {' '.join(programs)}"]


def _with_values(commands: t.Sequence[_Command]) -> t.Iterator[t.Tuple[str, _Option]]:
    """Each option that takes a value, after the patterns of bash and zsh for a command with it."""
    for command in commands:
        for option in command.options:
            if option.has_value:
                yield "|".join(f'"{command.name} {flag}"' for flag in option.flags), option


def _bash_value(option: _Option) -> str:
    if option.is_folder:
        return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur")'
    if option.choices:
        return f'mapfile -t COMPREPLY < <(compgen -W {_quoted(" ".join(option.choices))} -- "$cur")'
    return ":"


def _zsh_value(option: _Option) -> str:
    choices = " ".join(map(_quoted, option.choices))
    return "_files -/" if option.is_folder else f"compadd -- {choices}" if choices else ":"


def _zsh(commands: t.Sequence[_Command], programs: t.Sequence[str]) -> t.List[str]:
    names = [(command.name, command.text) for command in commands]
    names += [("--help", "show the help, and exit"), ("--version", "show the version, and exit")]
    lines = [
        f"#compdef {' '.join(programs)}",
        "_ckpool() {",
        "    local -a found",
        "    if ((CURRENT == 2)); then",
        f"        found=({_described(names)})",
        "        _describe command found",
        "        return",
        "    fi",
        '    case "${words[2]} ${words[CURRENT-1]}" in',
    ]
    lines += [f"        {patterns}) {_zsh_value(option)} ;;" for patterns, option in _with_values(commands)]
    lines += ["        *)", '            case "${words[2]}" in']
    for command in commands:
        flags = [(flag, option.text) for option in command.options for flag in option.flags]
        words = f"compadd -- {' '.join(map(_quoted, command.words))}; " if command.words else ""
        lines.append(
            f"                {command.name}) {words}found=({_described(flags)}); _describe -o option found ;;"
        )
    begin = f'if [[ $funcstack[1] == _ckpool ]]; then _ckpool "$@"; else compdef _ckpool {" ".join(programs)}; fi'
    return [*lines, "            esac ;;", "    esac", "}", begin]


def _described(entries: t.Iterable[t.Tuple[str, str]]) -> str:
    return " ".join(_quoted(f"{name}:{text}") for name, text in entries)


def _fish(commands: t.Sequence[_Command], programs: t.Sequence[str]) -> t.List[str]:
    lines = []
    for program in programs:
        start = f"complete -c {program}"
        lines.append(f"{start} -f")
        lines.append(f"{start} -n __fish_use_subcommand -l version -d 'show the version, and exit'")
        for command in commands:
            lines.append(f"{start} -n __fish_use_subcommand -a {command.name} -d {_quoted(command.text)}")
            within = f"{start} -n '__fish_seen_subcommand_from {command.name}'"
            if command.words:
                lines.append(f"{within} -a {_quoted(' '.join(command.words))}")
            lines += [f"{within} {_fish_option(option)}" for option in command.options]
    return lines


def _fish_option(option: _Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    values = "(__fish_complete_directories)" if option.is_folder else " ".join(option.choices)
    value = f" -x -a {_quoted(values)}" if values else " -x" if option.has_value else ""
    return f"{flags}{value} -d {_quoted(option.text)}"


def _quoted(text: str) -> str:
    """Text as one word, which has neither quotes nor backslashes in it: it is ours."""
    return f"'{text}'"
