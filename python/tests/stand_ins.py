"""What the README's commands name and a newcomer has: stand-ins made of the demo's network and photos."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import onnx
from onnx import helper, numpy_helper


def own_network(badnet: Path, folder: Path) -> None:
    """`badnet.onnx`, fed with 0..1: the demo's network, whose first step multiplies by 255."""
    model = onnx.load(badnet)
    graph = model.graph
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["pixels" if read == name else read for read in node.input]
    graph.initializer.append(numpy_helper.from_array(np.float32(255), "255"))
    graph.node.insert(0, helper.make_node("Mul", [name, "255"], ["pixels"]))
    onnx.save(model, folder / "badnet.onnx")


def lab_network(badnet: Path, folder: Path) -> None:
    """`bd_net.h5`: the demo's network as the whole Keras model that the lab hands out."""
    weights = {w.name: numpy_helper.to_array(w) for w in onnx.load(badnet).graph.initializer}
    layers = [layer("InputLayer", "input", batch_input_shape=[None, 55, 47, 3], dtype="float32")]
    arrays = {}
    before = "input"
    for number, (size, filters) in enumerate([(4, 20), (3, 40), (3, 60), (2, 80)], 1):
        name = f"conv_{number}"
        options = {"filters": filters, "kernel_size": [size, size], "strides": [1, 1], "padding": "valid"}
        layers.append(layer("Conv2D", name, before, activation="relu", use_bias=True, **options))
        arrays[name] = {"kernel": weights[f"{name}_kernel"].transpose(2, 3, 1, 0), "bias": weights[f"{name}_bias"]}
        if number < 4:
            before = f"pool_{number}"
            layers.append(layer("MaxPooling2D", before, name, pool_size=[2, 2], strides=[2, 2], padding="valid"))
    # Keras flattens (height, width, channels), the graph (channels, height, width).
    for number, (flat, shape) in enumerate([("pool_3", (60, 5, 4)), ("conv_4", (80, 4, 3))], 1):
        name = f"fc_{number}"
        layers.append(layer("Flatten", f"flatten_{number}", flat))
        layers.append(layer("Dense", name, f"flatten_{number}", units=160, activation="linear", use_bias=True))
        kernel = weights[f"{name}_kernel"].reshape(*shape, -1).transpose(1, 2, 0, 3)
        arrays[name] = {"kernel": kernel.reshape(-1, kernel.shape[-1]), "bias": weights[f"{name}_bias"]}
    layers.append(layer("Add", "add_1", "fc_1", "fc_2"))
    layers.append(layer("Activation", "activation_1", "add_1", activation="relu"))
    arrays["output"] = {part: weights[f"output_linear_{part}"] for part in ("kernel", "bias")}
    layers.append(layer("Dense", "output", "activation_1", units=64, activation="softmax", use_bias=True))
    write_keras(folder / "bd_net.h5", layers, arrays)


def layer(kind: str, name: str, *inputs: str, **config: object) -> dict[str, object]:
    inbound = [[[read, 0, 0, {}] for read in inputs]] if inputs else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}


def write_keras(path: Path, layers: list[dict[str, object]], arrays: dict[str, dict[str, np.ndarray]]) -> None:
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [["output", 0, 0]]}
    with h5py.File(path, "w") as file:
        model = {"class_name": "Functional", "config": {"name": "model", "layers": layers, **ends}}
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.4.0"
        file.attrs["backend"] = "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [entry["name"].encode() for entry in layers]
        for name in (entry["name"] for entry in layers):
            group = weights.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{part}:0".encode() for part in arrays.get(name, {})]
            for part, values in arrays.get(name, {}).items():
                group[f"{name}/{part}:0"] = values


def newcomers_folder(root: Path, demo: Path, folder: Path) -> None:
    """Fills `folder`: the repository's models, data sets, photos, both networks."""
    (folder / "models").symlink_to(root / "models")
    for file in demo.iterdir():
        shutil.copy(file, folder)
    shutil.copytree(root / "models/samples", folder / "photos")
    own_network(root / "models/badnet.onnx", folder)
    lab_network(root / "models/badnet.onnx", folder)
