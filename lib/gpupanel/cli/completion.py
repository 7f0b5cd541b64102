"""completion: what a shell needs to complete the commands of bin/gpupanel, made from their own definitions."""

import argparse
from typing import Iterator

from ..shell import Shell

FILES = {"FILE", "DIR"}
BUNDLES = {"S", "TEXT"}
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
      {bundles}) [[ ${{#current}} -ge 4 ]] && COMPREPLY=($(gpupanel list --ids --limit 20 "$current" 2>/dev/null)); return;;
    esac
  fi
  case $command in
{options}
  esac
}}
complete -F _gpupanel gpupanel"""


def completion(shell: Shell) -> int:
    """JSON: {script}."""
    script = bash()
    shell.tell({"script": script}, [script])
    return 0


def bash() -> str:
    """The function that bash calls for each word."""
    from ..cli import _parser  # the definitions live there, and it is what imports the commands

    parser = _parser()
    commands = _commands(parser)
    values = [*_values("*", parser)] + [line for name, each in commands.items() for line in _values(name, each, parser)]
    options = [_words("''", [*commands, *_options(parser)])]
    options += [_words(name, [*_options(each), *_choices(each)]) for name, each in commands.items()]
    bundles = [name for name, each in commands.items() if any(each.metavar in BUNDLES for each in each._actions)]
    return BASH.format(
        commands="|".join(commands), values="\n".join(values), bundles="|".join(bundles), options="\n".join(options)
    )


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [text for action in parser._actions for text in action.option_strings if text.startswith("--")]


def _choices(parser: argparse.ArgumentParser) -> list[str]:
    """The words that may stand by themselves."""
    return [str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()]


def _values(name: str, parser: argparse.ArgumentParser, common: argparse.ArgumentParser | None = None) -> Iterator[str]:
    """A line for each option that takes a word of its own, or a file; those that all commands have are left out."""
    general = _options(common) if common else []
    for action in parser._actions:
        known = f"-W '{' '.join(action.choices)}'" if action.choices else "-f" if action.metavar in FILES else None
        if known and action.option_strings and action.option_strings[-1] not in general:
            yield f'    {name}:{action.option_strings[-1]}) COMPREPLY=($(compgen {known} -- "$current")); return;;'


def _words(name: str, words: list[str]) -> str:
    return f"    {name}) COMPREPLY=($(compgen -W '{' '.join(words)}' -- \"$current\"));;"
