"""gpupanel completion: a script for bash, made from the table of commands."""

import argparse
from collections.abc import Iterator

from .commands import build_parser
from .context import CommandContext

FILE_METAVARS = {"FILE", "DIR"}
SYNC_ID_METAVARS = {"SYNC_ID", "TEXT"}
BASH = """\
_gpupanel() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command= word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in {commands}) command=$word; break;; esac
  done
  case $command:$previous in
{values}
  esac
  if [[ $current != -* ]]; then
    case $command in
      {bundles})
        [[ ${{#current}} -ge 4 ]] && COMPREPLY=($(gpupanel list --ids --limit 20 "$current" 2>/dev/null))
        return;;
    esac
  fi
  case $command in
{options}
  esac
}}
complete -F _gpupanel gpupanel"""


def run(context: CommandContext) -> int:
    """JSON: {script}."""
    script = bash_script()
    context.emit({"script": script}, [script])
    return 0


def bash_script() -> str:
    """Return the function that bash calls to complete a word."""
    parser = build_parser()
    commands = _commands(parser)
    common = set(_options(parser))
    values = [*_value_cases("*", parser, set())]
    values += [case for name, command in commands.items() for case in _value_cases(name, command, common)]
    options = [_word_case("''", [*commands, *_options(parser)])]
    options += [_word_case(name, [*_options(command), *_choices(command)]) for name, command in commands.items()]
    bundles = [name for name, command in commands.items() if _takes_sync_ids(command)]
    return BASH.format(
        commands="|".join(commands), values="\n".join(values), bundles="|".join(bundles), options="\n".join(options)
    )


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [text for action in parser._actions for text in action.option_strings if text.startswith("--")]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    """Return the words that may stand without an option."""
    return [str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()]


def _takes_sync_ids(parser: argparse.ArgumentParser) -> bool:
    return any(action.metavar in SYNC_ID_METAVARS for action in parser._actions)


def _value_cases(name: str, parser: argparse.ArgumentParser, excluded: set[str]) -> Iterator[str]:
    """Yield a case for each option whose value is a choice or a file."""
    for action in parser._actions:
        is_file = action.metavar in FILE_METAVARS
        words = f"-W '{' '.join(action.choices)}'" if action.choices else "-f" if is_file else None
        if words and action.option_strings and action.option_strings[-1] not in excluded:
            yield f'    {name}:{action.option_strings[-1]}) COMPREPLY=($(compgen {words} -- "$current")); return;;'


def _word_case(name: str, words: list[str]) -> str:
    return f"    {name}) COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$current\"));;"
