"""Running the `goodnet` command."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ._errors import BadInput, GoodnetError, GoodnetWarning

# Exit codes, as `goodnet --help` lists them.
_WRONG_USAGE, _BAD_INPUT = 2, 3

Option = str | int | float | bool | os.PathLike[str] | Sequence[float] | None


def program() -> Path:
    """The command: GOODNET_PROGRAM, else the one of this Python environment, else the first on the path."""
    if named := os.environ.get("GOODNET_PROGRAM"):
        return Path(named)
    name = "goodnet.exe" if sys.platform == "win32" else "goodnet"
    schemes = (None, sysconfig.get_preferred_scheme("user"))
    for scheme in schemes:
        folder = sysconfig.get_path("scripts", scheme) if scheme else sysconfig.get_path("scripts")
        if (beside := Path(folder) / name).is_file():
            return beside
    if found := shutil.which(name):
        return Path(found)
    raise GoodnetError("expected the goodnet command in this Python environment or on the path, found none")


def options(values: Mapping[str, Option]) -> list[str]:
    """`{"max_loss": 1.0, "force": True}` as `["--max-loss", "1.0", "--force"]`; what is None or False is left out."""
    typed: list[str] = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        typed.append(f"--{name.replace('_', '-')}")
        if value is True:
            continue
        if isinstance(value, (str, int, float, os.PathLike)):
            typed[-1] += f"={os.fspath(value) if isinstance(value, os.PathLike) else value}"
        else:
            typed[-1] += "=" + ",".join(str(number) for number in value)
    return typed


def run_json(command: str, values: Mapping[str, Option], fine: Collection[int]) -> tuple[Any, int]:
    """What `goodnet COMMAND --json` prints, and its exit code, which is one of `fine`.

    Raises GoodnetError or BadInput with the command's line where it ends otherwise.
    """
    typed = [str(program()), command, "--json", *options(values)]
    try:
        done = subprocess.run(typed, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", check=False)
    except OSError as error:
        raise GoodnetError(f"{typed[0]}: {error.strerror}") from error
    lines = [line.removeprefix("goodnet: ") for line in done.stderr.splitlines() if line.strip()]
    if done.returncode not in fine:
        raise _error(lines, done.returncode)
    for line in lines:
        warnings.warn(line.removeprefix("warning: "), GoodnetWarning, stacklevel=4)
    return json.loads(done.stdout), done.returncode


def _error(lines: list[str], code: int) -> GoodnetError:
    if code == _WRONG_USAGE:
        # clap says what is wrong first and repeats the usage after it.
        return BadInput(lines[0].removeprefix("error: ") if lines else "a wrong command line", code)
    line = lines[-1] if lines else f"the command ended with code {code} and said nothing"
    return BadInput(line, code) if code == _BAD_INPUT else GoodnetError(line, code)
