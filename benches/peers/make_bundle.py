"""A second and a third network to serve, as a bundle: ResNet-18 at 64 x 64, MobileNetV2 at 224 x 224, weights drawn.

    python make_bundle.py resnet18|mobilenetv2 GOODNET OUT
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.append(str(Path(__file__).parent.parent / "growth"))
import networks


class Builder:
    """Nodes with folded batch normalisation: every convolution has a bias."""

    def __init__(self) -> None:
        self.random, self.nodes, self.weights = np.random.default_rng(1), [], []

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def tensor(self, values: np.ndarray) -> str:
        name = f"weights_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolution(self, x: str, before: int, after: int, size: int, stride: int = 1, group: int = 1) -> str:
        shape = (after, before // group, size, size)
        kernel = self.tensor(self.random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])))
        bias = self.tensor(self.random.standard_normal(after) / 10)
        return self.node("Conv", [x, kernel, bias], strides=[stride] * 2, pads=[size // 2] * 4, group=group)

    def clip(self, x: str) -> str:
        return self.node("Clip", [x, self.tensor(np.array(0)), self.tensor(np.array(6))])

    def model(self, x: str, channels: int, classes: int, side: int) -> onnx.ModelProto:
        features = self.node("Flatten", [self.node("GlobalAveragePool", [x])])
        dense = self.tensor(self.random.standard_normal((classes, channels)) / np.sqrt(channels))
        self.weights.append(numpy_helper.from_array(np.zeros(classes, np.float32), "dense_b"))
        self.nodes.append(helper.make_node("Gemm", [features, dense, "dense_b"], ["logits"], transB=1))
        images = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, side, side])
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])
        graph = helper.make_graph(self.nodes, "peer", [images], [logits], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        networks.centre(model.graph, model.SerializeToString(), side)
        return model


def resnet18() -> onnx.ModelProto:
    """He et al. 2015, 200 classes."""
    build = Builder()
    x = build.node("Relu", [build.convolution("input", 3, 64, 7, 2)])
    x = build.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    before = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and width > 64 else 1
            y = build.node("Relu", [build.convolution(x, before, width, 3, stride)])
            y = build.convolution(y, width, width, 3)
            shortcut = x if before == width else build.convolution(x, before, width, 1, stride)
            x, before = build.node("Relu", [build.node("Add", [y, shortcut])]), width
    return build.model(x, 512, 200, 64)


def mobilenetv2() -> onnx.ModelProto:
    """Sandler et al. 2018, 1000 classes: expansion, channels, blocks, stride of each stage."""
    build = Builder()
    x, before = build.clip(build.convolution("input", 3, 32, 3, 2)), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, channels, blocks, first in stages:
        for block in range(blocks):
            stride, wide = first if block == 0 else 1, before * expansion
            y = x if expansion == 1 else build.clip(build.convolution(x, before, wide, 1))
            y = build.clip(build.convolution(y, wide, wide, 3, stride, group=wide))
            y = build.convolution(y, wide, channels, 1)
            x = build.node("Add", [x, y]) if stride == 1 and before == channels else y
            before = channels
    return build.model(build.clip(build.convolution(x, before, 1280, 1)), 1280, 1000, 224)


def main(name: str, goodnet: str, out: str) -> None:
    model = {"resnet18": resnet18, "mobilenetv2": mobilenetv2}[name]()
    side = model.graph.input[0].type.tensor_type.shape.dim[3].dim_value
    with tempfile.TemporaryDirectory() as folder:
        network, images = Path(folder) / f"{name}.onnx", Path(folder) / "clean.h5"
        onnx.save(model, network)
        networks.write_images(images, network, 64, side)
        command = [goodnet, "repair", "--model", network, "--clean", images, "--scale", "1/255", "--effort", "0", "--allow-poor", "--quiet", "--force", "--out", out]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
