"""Read the INI files of a comparison."""

from configparser import ConfigParser
from configparser import Error as SyntaxProblem
from pathlib import Path

from ..config import read_small_text
from ..errors import ConfigurationError


def read_ini(path: Path, hint: str, *, are_names: bool = False) -> ConfigParser:
    """Read a file. Where the options `are_names`, upper case is kept, and only `=` ends them: a name may have a colon.

    Raises ConfigurationError, with `hint`.
    """
    delimiters = ("=",) if are_names else ("=", ":")
    parser = ConfigParser(interpolation=None, default_section="\0", delimiters=delimiters)
    if are_names:
        parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(read_small_text(path))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], hint) from None
    except (SyntaxProblem, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be used", [" ".join(str(error).split())], hint) from None
    return parser
