"""Read the INI files of a comparison."""

from configparser import ConfigParser
from configparser import Error as SyntaxProblem
from pathlib import Path

from ..errors import ConfigurationError


def read_ini(path: Path, hint: str, *, keep_case: bool = False) -> ConfigParser:
    """Read a file; `keep_case` keeps upper case in option names.

    Raises ConfigurationError, with `hint`.
    """
    parser = ConfigParser(interpolation=None, default_section="\0")
    if keep_case:
        parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", [f"{path}: {error.strerror}"], hint) from None
    except (SyntaxProblem, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be used", [" ".join(str(error).split())], hint) from None
    return parser
