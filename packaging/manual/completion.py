"""The completion of bash."""

from collections.abc import Sequence

from .commands import Command, Option

HEAD = """\
# Completion of hailo-whisper for bash. Made by script/generate.
_hailo_whisper() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} given='' word words='' values=''
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) given+="$word " ;; esac
  done
  COMPREPLY=()
  case $given in
"""
TAIL = """\
  esac
  if [ -n "$values" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
  elif [[ $current == -* ]] || [ "$words" != "${words#[a-z]}" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  else
    # Files, and folders on the way to them.
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null || true
  fi
}
complete -F _hailo_whisper hailo-whisper
"""


def script(commands: Sequence[Command]) -> str:
    """The whole script."""
    groups: dict[str, list[str]] = {}
    for command in commands:
        if len(command.words) > 1:
            groups.setdefault(command.words[0], []).append(command.words[1])
    cases = [_case(command) for command in commands]
    cases += [f'    "{group} "*) words="{" ".join([*names, "--help"])}" ;;\n' for group, names in groups.items()]
    first = " ".join(dict.fromkeys(command.words[0] for command in commands))
    return HEAD + "".join(cases) + f'    *) words="{first} --help --version" ;;\n' + TAIL


def _case(command: Command) -> str:
    names = [name for option in command.options for name in option.names]
    valued = "".join(_values(option) for option in command.options if option.names and option.choices)
    inner = f"\n      case $before in\n{valued}      esac\n      ;;\n" if valued else " ;;\n"
    return f'    "{" ".join(command.words)} "*) words="{" ".join([*names, "--help"])}"{inner}'


def _values(option: Option) -> str:
    return f'        {"|".join(option.names)}) values="{" ".join(option.choices)}" ;;\n'
