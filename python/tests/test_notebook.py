"""The notebook from its first cell to its last."""

import nbformat
import pytest
from nbclient import NotebookClient


# The messages of the kernel's own libraries are none of ours.
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_ends_with_its_plot(root, demo, tmp_path, monkeypatch):
    monkeypatch.setenv("GOODNET_LAB", str(demo))
    monkeypatch.setenv("GOODNET_LAB_MODEL", str(root / "models/badnet.onnx"))
    monkeypatch.setenv("GOODNET_EFFORT", "4000")
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(root / "notebooks/csaw-lab.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    text = "".join(output.get("text", "") for output in outputs)
    assert "Backdoor likely" in text and "repaired" in text
