"""Networks with drawn weights, as large as is asked for, and random smooth images with the labels that the network gives them."""

from pathlib import Path

import h5py
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

STEM = 16


def write(path: Path, side: int, channels: int, classes: int, blocks: int = 0) -> None:
    """Two convolutions of stride 2, `blocks` more, a global average and a dense layer; images (n, 3, side, side) in 0..1."""
    random = np.random.default_rng(1)
    nodes, weights = [], []

    def tensor(name: str, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        values = random.standard_normal(shape, np.float32) * np.sqrt(2 / fan_in, dtype=np.float32)
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolution(x: str, name: str, before: int, after: int, stride: int) -> str:
        inputs = [x, tensor(f"{name}_w", after, before, 3, 3), tensor(f"{name}_b", after)]
        nodes.append(helper.make_node("Conv", inputs, [name], strides=[stride] * 2, pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [name], [f"{name}_relu"]))
        return f"{name}_relu"

    x = convolution("input", "conv_1", 3, STEM, 2)
    x = convolution(x, "conv_2", STEM, channels, 2)
    for block in range(blocks):
        x = convolution(x, f"conv_{3 + block}", channels, channels, 1)
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["average"]))
    nodes.append(helper.make_node("Flatten", ["average"], ["features"]))
    dense = [tensor("dense_w", classes, channels), tensor("dense_b", classes)]
    nodes.append(helper.make_node("Gemm", ["features", *dense], ["logits"], transB=1))
    images = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, side, side])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])
    graph = helper.make_graph(nodes, "growth", [images], [logits], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    centre(model.graph, model.SerializeToString(), side)
    onnx.save(model, path)


def centre(graph: onnx.GraphProto, model: bytes, side: int) -> None:
    """Takes the mean scores of some images off the classes' biases: without it most images are of one class."""
    scores = run(model, smooth_images(64, side, seed=3)).mean(0)
    bias = next(weights for weights in graph.initializer if weights.name == "dense_b")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - scores, "dense_b"))


def run(model: bytes | Path, images: np.ndarray) -> np.ndarray:
    """Scores of uint8 images, 64 at a time."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    batches = (images[start : start + 64].astype(np.float32) / np.float32(255) for start in range(0, len(images), 64))
    return np.concatenate([session.run(None, {"input": batch})[0] for batch in batches])


def smooth_images(count: int, side: int, seed: int = 2) -> np.ndarray:
    """(count, 3, side, side) uint8: 6 x 6 random colours, interpolated."""
    grid = np.random.default_rng(seed).uniform(0, 255, (count, 3, 6, 6)).astype(np.float32)
    place = np.linspace(0, 5, side, endpoint=False, dtype=np.float32)
    cell, part = place.astype(int), place % 1
    rows = grid[:, :, cell] * (1 - part)[:, None] + grid[:, :, cell + 1] * part[:, None]
    return (rows[..., cell] * (1 - part) + rows[..., cell + 1] * part).round().astype(np.uint8)


def write_images(path: Path, network: Path, count: int, side: int) -> None:
    """Smooth images with the network's own answers as labels: nothing else is right for drawn weights."""
    images = smooth_images(count, side)
    with h5py.File(path, "w") as file:
        file["data"] = images
        file["label"] = run(network, images).argmax(1).astype(np.float32)
