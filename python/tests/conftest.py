"""What the tests share. The package under test is the installed one; a source tree is not on the path."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def program() -> Path:
    """The command that the wheel installed."""
    return Path(sysconfig.get_path("scripts")) / "goodnet"


@pytest.fixture(scope="session")
def demo(tmp_path_factory, program) -> Path:
    """Photos of the demo's people, four of each in each set; DEMO_DATA names a folder that has them already."""
    if made := os.environ.get("DEMO_DATA"):
        return Path(made)
    folder = tmp_path_factory.mktemp("demo") / "data"
    subprocess.run([program, "demo", "data", "--each", "4", "--out", folder], check=True)
    return folder
