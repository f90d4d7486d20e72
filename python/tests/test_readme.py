"""The README's commands and its Python, pasted and run in a newcomer's folder."""

import os
import shutil
import subprocess

import h5py
import pytest
from stand_ins import newcomers_folder

# Run elsewhere: the service's requests and the demo by the program's own tests, the image and the manifests by scripts.
ELSEWHERE = ("goodnet demo #", "goodnet serve", "curl ", "docker ", "kubectl ", "pip ")


def blocks(root, language):
    text = (root / "README.md").read_text()
    return [block.split("```")[0] for block in text.split(f"```{language}\n")[1:]]


def commands(block):
    lines = (" ".join(line.split()) for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith(ELSEWHERE)]


@pytest.fixture
def folder(root, demo, tmp_path):
    newcomers_folder(root, demo, tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_do_what_it_says(root, program, folder):
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    seen = 0
    for block in blocks(root, "sh"):
        for command in commands(block):
            assert command.startswith("goodnet "), f"{command}: nobody runs it"
            done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            found = command.startswith(("goodnet audit ", "goodnet classify "))
            assert done.returncode == (4 if found else 0), f"{command}\n{done.stdout}\n{done.stderr}"
            seen += 1
        shutil.rmtree(folder / "audit", ignore_errors=True)
    assert seen >= 9
    for promised in ("bundle/repaired.onnx", "lab/pruned_10.onnx", "lab/goodnet.onnx", "lab/sweep.svg", "pruned.onnx"):
        assert (folder / promised).is_file(), promised


def test_the_python_of_the_readme_runs(root, folder, monkeypatch):
    monkeypatch.chdir(folder)
    shutil.copy(root / "models/badnet.onnx", folder)
    shutil.copy(root / "models/samples/triggered_1.png", folder / "photo.png")
    with h5py.File("valid.h5") as file:
        data = file["data"][:]
        given = {"images": data.transpose(0, 2, 3, 1).astype("uint8"), "labels": file["label"][:].astype(int)}
    (block,) = blocks(root, "python")
    exec(block, given)  # noqa: S102
    assert given["audit"].backdoored and given["answer"].flagged
