"""The commands of the program, as its parser knows them."""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """An option or an argument: `names` is empty for an argument, `value` for an option that takes none."""

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...]
    needed: bool
    many: bool


@dataclass(frozen=True)
class Command:
    """A command that can be run, by its words: `("models", "pull")`."""

    words: tuple[str, ...]
    text: str
    options: tuple[Option, ...]


def leaves(parser: argparse.ArgumentParser, words: tuple[str, ...] = (), text: str = "") -> list[Command]:
    """Every command that has no further ones, in the order of the parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            # An alias is the same parser again.
            return [
                leaf
                for name, child in action.choices.items()
                if name in helps
                for leaf in leaves(child, (*words, name), helps[name])
            ]
    said = parser.description or text
    return [Command(words, said[:1].upper() + said[1:].rstrip(".") + ".", tuple(_options(parser)))]


def _options(parser: argparse.ArgumentParser) -> list[Option]:
    formatter = parser._get_formatter()
    options = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        takes = action.nargs != 0
        value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
        options.append(
            Option(
                names=tuple(action.option_strings),
                value=str(value) if takes else "",
                help=formatter._expand_help(action) if action.help else "",
                choices=tuple(map(str, action.choices or ())),
                needed=action.required,
                many=action.nargs in ("*", "+"),
            )
        )
    return options
