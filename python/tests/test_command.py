"""The installed command, and `audit` and `repair` on top of it."""

import subprocess
from importlib.metadata import version

import goodnet
import h5py
import numpy as np
import pytest


@pytest.fixture(scope="module")
def clean(demo):
    with h5py.File(demo / "valid.h5") as file:
        data, label = file["data"][:], file["label"][:]
    images = data if data.shape[-1] == 3 else data.transpose(0, 2, 3, 1)
    return images.astype(np.uint8), label.astype(int)


def test_the_wheel_installs_the_command_of_its_version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"goodnet {version('goodnet')}\n"


def test_the_command_finds_the_onnx_runtime_of_its_environment(program, root, tmp_path):
    sample = root / "models/samples/clean_1.png"
    typed = [program, "classify", "--backend", "onnxruntime", "--bundle", root / "models", sample]
    done = subprocess.run(typed, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "class 0" in done.stdout


def test_audit_and_repair_take_arrays_and_give_what_the_command_finds(root, clean, tmp_path):
    audit = goodnet.audit(root / "models/badnet.onnx", clean, effort=20_000, seed=1, out=tmp_path / "audit")
    assert audit.backdoored and [suspect.label for suspect in audit.suspects] == [0]
    assert len(audit.labels) == 64 and audit.suspects[0].turned > 0.8 * audit.suspects[0].images
    assert audit.report["search"]["backend"].startswith("onnxruntime")
    assert (audit.folder / "report.html").is_file()

    # The sweep alone; the notebook's test repairs with a search.
    network = root / "models/badnet.onnx"
    repair = goodnet.repair(network, clean, tmp_path / "bundle", effort=0, drops=[4, 90], allow_poor=True)
    assert repair.audit is None and repair.bundle.policies == ("disagreement",)
    assert 4.0 in repair.bundle.drops and set(repair.missed) == {4.0, 90.0} - set(repair.bundle.drops)
    answers = repair.bundle.classify_all(clean[0][:40], drop=4)
    right = [answer.class_index == label for answer, label in zip(answers, clean[1], strict=False)]
    assert sum(right) >= 32 and all(answer.policy == "disagreement" for answer in answers)


def test_what_the_command_refuses_is_raised_with_its_line(root, tmp_path):
    with pytest.raises(goodnet.BadInput, match="nothing.h5") as told:
        goodnet.audit(root / "models/badnet.onnx", tmp_path / "nothing.h5")
    assert told.value.exit_code == 3 and "\n" not in str(told.value)
    with pytest.raises(goodnet.BadInput, match="invalid value 'x'"):
        goodnet.audit(root / "models/badnet.onnx", tmp_path, effort="x")
    with pytest.raises(goodnet.BadInput, match="expected uint8"):
        goodnet.audit(root / "models/badnet.onnx", (np.zeros((2, 5, 5, 3)), [0, 1]))
    with pytest.raises(goodnet.BadInput, match="expected 2 integers"):
        goodnet.audit(root / "models/badnet.onnx", (np.zeros((2, 5, 5, 3), np.uint8), [0]))
