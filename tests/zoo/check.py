"""Takes every network of a folder through goodnet and writes what came of it.

    python check.py GOODNET FOLDER [--table docs/ZOO.md] [NAME...]

For each network: `inspect`, `repair` on 60 clean images labelled by the network's own answers, `evaluate`, `classify` on one image.
Every step of the sweep is compared with a masked evaluation by ONNX Runtime alone: the mask is put into `badnet.onnx` here, by other
code than goodnet's. Exit code 1 where a step differs, a command fails otherwise than by a refusal before the work, or an answer is
not the bundle's.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from PIL import Image

onnxruntime.set_default_logger_severity(3)
IMAGES = 60
# Steps that are compared where a network has many channels.
MAX_STEPS = 60
REFUSED = 3
# One command of goodnet.
SECONDS = 600


def images(channels, height, width):
    """Coarse patterns of all brightnesses with noise, (n, C, H, W) bytes; the same for every network of this size."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (IMAGES, channels, 4, 4)).astype(np.float32)
    fine = coarse.repeat(-(-height // 4), 2).repeat(-(-width // 4), 3)[:, :, :height, :width]
    fine = fine * rng.random((IMAGES, 1, 1, 1)) + rng.integers(0, 40, (IMAGES, channels, height, width))
    return np.clip(fine, 0, 255).astype(np.uint8)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def answers(run, pixels, extra):
    """Scores of (n, C, H, W) bytes, fed in the network's own layout and scaled to 0 to 1."""
    feed = run.get_inputs()[0]
    values = pixels.astype(np.float32) / np.float32(255)
    if feed.shape[-1] == pixels.shape[1] and feed.shape[1] != pixels.shape[1]:
        values = values.transpose(0, 2, 3, 1)
    scores = run.run(None, {feed.name: np.ascontiguousarray(values), **extra})[0]
    return scores.reshape(len(pixels), -1)


def masked(model, site, channels):
    """The network with its site times a further input."""
    mask = "mask_of_the_check"
    model.graph.input.append(helper.make_tensor_value_info(mask, 1, [1, channels, 1, 1]))
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            if name == site:
                node.input[at] = "masked_by_the_check"
    at = next(at for at, node in enumerate(model.graph.node) if site in node.output)
    model.graph.node.insert(at + 1, helper.make_node("Mul", [site, mask], ["masked_by_the_check"]))
    del model.graph.value_info[:]
    return session(model), mask


def sweep_differences(bundle, manifest, pixels, labels):
    with open(f"{bundle}/sweep.json") as file:
        sweep = json.load(file)
    channels = manifest["site"]["channels"]
    run, mask = masked(onnx.load(f"{bundle}/badnet.onnx"), manifest["site"]["tensor"], channels)
    steps = sweep["steps"][:: -(-len(sweep["steps"]) // MAX_STEPS)]
    differences = 0
    for step in steps:
        factors = np.ones((1, channels, 1, 1), np.float32)
        factors[0, sweep["ranking"][: step["step"]]] = 0
        found = answers(run, pixels, {mask: factors}).argmax(1)
        differences += abs((found == labels).mean() - step["clean_accuracy"]) > 1e-9
    return differences, len(steps)


class Failed(Exception):
    """The result to write down."""


def command(goodnet, *arguments):
    done = subprocess.run([goodnet, *arguments], capture_output=True, text=True, timeout=SECONDS)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done, lines[-1] if lines else ""


def reason(line):
    """A refusal without the file's name."""
    return re.sub(r"^(goodnet: )?(/\S+: )*", "", line)


def one(goodnet, path, row):
    """Fills `row`; raises Failed where something is not as it must be."""
    done, line = command(goodnet, "inspect", path, "--json")
    if done.returncode:
        row["result"] = f"refused: {reason(line)}"
        if done.returncode != REFUSED:
            raise Failed(f"inspect: exit code {done.returncode}: {line}")
        return
    shown = json.loads(done.stdout)
    with tempfile.TemporaryDirectory() as folder:
        ready = f"{folder}/ready.onnx"
        done, line = command(goodnet, "import", path, "--out", ready)
        if done.returncode:
            row["result"] = f"refused: {reason(line)}"
            if done.returncode != REFUSED:
                raise Failed(f"import: exit code {done.returncode}: {line}")
            return
        run = session(onnx.load(ready))
        shape = run.get_inputs()[0].shape
        channels, height, width = shape[1:] if shape[1] in (1, 3) else (shape[3], shape[1], shape[2])
        pixels = images(channels, height, width)
        labels = answers(run, pixels, {}).argmax(1)
        row["classes"] = len(set(labels))
        with h5py.File(f"{folder}/clean.h5", "w") as file:
            file["data"], file["label"] = pixels, labels.astype(np.float32)
        bundle = f"{folder}/bundle"
        done, line = command(
            goodnet, "repair", "--model", path, "--clean", f"{folder}/clean.h5", "--out", bundle, "--scale", "1/255",
            "--effort", "0", "--allow-poor", "--samples", "0")
        if done.returncode:
            row["result"] = f"refused: {reason(line)}"
            if done.returncode != REFUSED:
                raise Failed(f"repair: exit code {done.returncode}: {line}")
            return
        with open(f"{bundle}/manifest.json") as file:
            manifest = json.load(file)
        fill(row, manifest)
        differences, steps = sweep_differences(bundle, manifest, pixels, labels)
        row["sweep"] = f"{differences} of {steps}"
        if differences:
            raise Failed(f"{differences} of {steps} steps differ from a masked evaluation")
        done, line = command(goodnet, "evaluate", "--bundle", bundle, "--clean", f"{folder}/clean.h5", "--json")
        if done.returncode:
            raise Failed(f"evaluate: exit code {done.returncode}: {line}")
        image = f"{folder}/image.png"
        plane = pixels[0].transpose(1, 2, 0)
        Image.fromarray(plane[..., 0] if channels == 1 else plane).save(image)
        done, line = command(goodnet, "classify", "--bundle", bundle, "--json", image)
        if done.returncode not in (0, 4):
            raise Failed(f"classify: exit code {done.returncode}: {line}")
        said = json.loads(done.stdout.splitlines()[0])["badnet"]["class"]
        if said != labels[0]:
            raise Failed(f"classify: class {said}, expected {labels[0]}")
    row["result"] = "passes"
    row["shown"] = shown.get("default_site")


def fill(row, manifest):
    site = manifest["site"]
    row["site"] = f"{site['op']}, {site['channels']}" if "op" in site else str(site["channels"])
    pruned = [drop["pruned"] for drop in manifest["drops"] if drop["pruned"]]
    methods = sorted({one["method"] for one in pruned})
    row["channels"] = ", ".join(methods) or "no drop reached"
    reasons = sorted({one["reason"] for one in pruned if one.get("reason")})
    if reasons:
        row["channels"] += f": {reasons[0]}"
    fused = manifest.get("goodnet") or {}
    row["fused"] = "yes" if fused.get("shared") else fused.get("reason") or "no"


def checked(goodnet, path):
    name = os.path.basename(path)
    row = {"name": name, "site": "–", "channels": "–", "fused": "–", "sweep": "–", "result": ""}
    try:
        one(goodnet, path, row)
        row["failed"] = False
    except Failed as failed:
        row.update(failed=True, result=f"FAILS: {failed}")
    except Exception as error:  # A network that this check itself cannot run is a failure too.
        row.update(failed=True, result=f"FAILS: {type(error).__name__}: {str(error)[:200]}")
    print(json.dumps(row, ensure_ascii=False), flush=True)
    return row


def table(rows):
    """The table as Markdown, and the shares below it."""
    escape = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    kinds = ["name", "site", "channels", "fused", "sweep", "result"]
    lines = ["| network | site, channels | removed or masked | fused | steps that differ | result |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(escape(row[kind]) for kind in kinds) + " |" for row in rows]
    passed = [row for row in rows if row["result"] == "passes"]
    pruned = [row for row in passed if row["channels"] != "no drop reached"]
    share = lambda part, whole: f"{len(part)} of {len(whole)}"
    lines += [
        "",
        f"- networks: {len(rows)}; they pass: {share(passed, rows)}; refused before the work: "
        f"{sum(row['result'].startswith('refused') for row in rows)}; fail: {sum(row['failed'] for row in rows)}.",
        f"- channels removed for real: {share([r for r in pruned if r['channels'] == 'removed'], pruned)} of those that reach a drop.",
        f"- `goodnet.onnx` fused: {share([r for r in passed if r['fused'] == 'yes'], passed)}.",
    ]
    return "\n".join(lines) + "\n"


def main():
    goodnet, folder, *rest = sys.argv[1:]
    out = None
    if rest[:1] == ["--table"]:
        out, rest = rest[1], rest[2:]
    files = sorted(f for f in os.listdir(folder) if f.endswith((".onnx", ".keras", ".h5")))
    files = [f"{folder}/{f}" for f in files if not rest or any(f.startswith(name) for name in rest)]
    workers = int(os.environ.get("ZOO_JOBS", "1"))
    with ThreadPoolExecutor(workers) as pool:
        rows = list(pool.map(lambda path: checked(goodnet, path), files))
    if out:
        with open(f"{os.path.dirname(__file__)}/head.md") as file:
            head = file.read()
        with open(out, "w") as file:
            file.write(head + table(rows))
    failed = [row["name"] for row in rows if row["failed"]]
    print(f"{len(rows)} networks, {len(failed)} fail: {', '.join(failed)}" if failed else f"{len(rows)} networks, none fails")
    sys.exit(bool(failed) or not rows)


if __name__ == "__main__":
    main()
