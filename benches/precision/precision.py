"""What fewer bits give and cost: ONNX Runtime's own quantisers on a network, beside it in f32, one thread.

    python precision.py NETWORK --clean SET.h5 --test SET.h5 [--backdoored SET.h5] [--scale 1/255]
    python precision.py NETWORK --clean SET.h5 --scale 1/255 --trunk OUT.onnx
    python precision.py NETWORK OTHER.onnx --clean SET.h5 --scale 1/255

The first prints a table; the second writes the network with its convolutions in int8 and its dense layers in f32, calibrated on the
clean images, for `goodnet repair`; the third times one network over another. Sets hold data (n, 3, H, W) uint8 and label (n).
"""

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median, quantiles

import h5py
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

CALIBRATION, ROUNDS = 256, 61
U8, S8 = QuantType.QUInt8, QuantType.QInt8
TRUNK = ["Conv", "Relu", "Clip", "Add", "MaxPool"]


class Images(CalibrationDataReader):
    def __init__(self, name: str, images: np.ndarray):
        self.batches = ({name: images[start : start + 16]} for start in range(0, len(images), 16))

    def get_next(self) -> dict | None:
        return next(self.batches, None)


class Network:
    def __init__(self, path: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, {self.input.name: images})

    def answers(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self.run(images[start : start + 64])[0].argmax(1) for start in range(0, len(images), 64)])


def read(path: str, network: Network, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Images as the network takes them, and labels."""
    with h5py.File(path) as file:
        images, labels = file["data"][:].astype(np.float32) * np.float32(scale), file["label"][:].astype(int)
    channels_last = network.input.shape[3] == 3
    return images.transpose(0, 2, 3, 1) if channels_last else images, labels


def static(source: Path, out: Path, name: str, clean: np.ndarray, activations: QuantType, form: QuantFormat, **options: object) -> Path:
    reader = Images(name, clean[:CALIBRATION])
    quantize_static(source, out, reader, quant_format=form, per_channel=True, activation_type=activations, weight_type=S8, **options)
    return out


def variants(source: Path, name: str, clean: np.ndarray, folder: Path) -> dict[str, Path]:
    """The network in each precision; the first is as it came."""
    prepared, half, dynamic = folder / "prepared.onnx", folder / "f16.onnx", folder / "dynamic.onnx"
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    onnx.save(convert_float_to_float16(onnx.load(prepared), keep_io_types=True), half)
    quantize_dynamic(prepared, dynamic, per_channel=True, weight_type=S8)
    make = lambda file, *kind, **options: static(prepared, folder / file, name, clean, *kind, **options)
    return {
        "f32": source,
        "int8, QDQ, u8 x s8": make("a.onnx", U8, QuantFormat.QDQ),
        "the same, dense layers in f32": make("b.onnx", U8, QuantFormat.QDQ, op_types_to_quantize=TRUNK),
        "int8, QDQ, s8 x s8": make("c.onnx", S8, QuantFormat.QDQ),
        "int8, QOperator, u8 x s8": make("d.onnx", U8, QuantFormat.QOperator),
        "int8, dynamic": dynamic,
        "f16": half,
    }


def gains(networks: list[Network], images: np.ndarray, repeat: int) -> list[str]:
    """Throughput over the first's, networks in turn: median and middle 80 % of the rounds."""
    times = []
    for _ in range(ROUNDS + 1):
        row = []
        for network in networks:
            started = time.perf_counter()
            for _ in range(repeat):
                network.run(images)
            row.append(time.perf_counter() - started)
        times.append(row)
    told = []
    for index in range(len(networks)):
        ratios = [row[0] / row[index] for row in times[1:]]
        tenths = quantiles(ratios, n=10)
        told.append(f"{median(ratios):.2f} ({tenths[0]:.2f} to {tenths[-1]:.2f})")
    return told


def table(paths: dict[str, Path], clean: np.ndarray, test: str | None, backdoored: str | None, scale: float) -> None:
    networks = {name: Network(path) for name, path in paths.items()}
    first = next(iter(networks.values()))
    batches = [gains(list(networks.values()), clean[:size], repeat) for size, repeat in ((1, 24), (16, 3))]
    sets = [read(path, first, scale) for path in (test, backdoored) if path]
    before = [first.answers(images) for images, _ in sets]
    print("| precision | batch 1 | batch 16 |" + "".join(f" right of {len(labels)} | changed |" for _, labels in sets))
    print("|---|---|---|" + "---|---|" * len(sets))
    for (name, network), *told in zip(networks.items(), *batches):
        cells = [name, *told]
        for (images, labels), old in zip(sets, before):
            answers = network.answers(images)
            cells += [f"{100 * (answers == labels).mean():.2f} %", str((answers != old).sum())]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--clean", required=True)
    parser.add_argument("--test")
    parser.add_argument("--backdoored")
    parser.add_argument("--scale", type=Fraction, default=Fraction(1))
    parser.add_argument("--trunk", type=Path)
    args = parser.parse_args()
    source, scale = args.networks[0], float(args.scale)
    network = Network(source)
    clean, _ = read(args.clean, network, scale)
    with tempfile.TemporaryDirectory() as folder:
        if args.trunk:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            static(prepared, args.trunk, network.input.name, clean, U8, QuantFormat.QDQ, op_types_to_quantize=TRUNK)
            return
        others = args.networks[1:]
        paths = {str(path): path for path in args.networks} if others else variants(source, network.input.name, clean, Path(folder))
        table(paths, clean, args.test, args.backdoored, scale)


if __name__ == "__main__":
    main()
