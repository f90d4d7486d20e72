"""`Bundle` beside `goodnet classify` on the same pictures."""

import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from goodnet import BadInput, Bundle
from PIL import Image


@pytest.fixture(scope="module")
def bundle(root):
    return Bundle(root / "models")


@pytest.fixture(scope="module")
def pictures(root, tmp_path_factory):
    """Pictures of every size, mode and orientation that Pillow reads as the command does: made from the bundle's samples."""
    folder = tmp_path_factory.mktemp("pictures")
    samples = sorted((root / "models/samples").glob("*.png"))
    assert len(samples) == 8
    faces = [Image.open(sample).convert("RGB") for sample in samples]
    for number, face in enumerate(faces):
        face.save(folder / f"{number}.png")
        face.save(folder / f"{number}.bmp")
        face.save(folder / f"{number}.webp", lossless=True)
        for width, height in ((94, 110), (300, 211), (31, 40), (47, 200), (640, 55)):
            face.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number}_{width}.png")
        face.quantize(200).save(folder / f"{number}_palette.png")
        face.quantize(200).save(folder / f"{number}.gif")
        face.convert("L").save(folder / f"{number}_grey.png")
        see_through = face.convert("RGBA")
        see_through.putalpha(90)
        see_through.save(folder / f"{number}_alpha.png")
        Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 251 + 77).save(folder / f"{number}_16.png")
        exif = Image.Exif()
        exif[0x0112] = number + 1
        face.save(folder / f"{number}_turned.png", exif=exif)
    return sorted(folder.iterdir())


def asked(program, root, pictures, *options, bundle=None):
    bundle = bundle or root / "models"
    done = subprocess.run(
        [program, "classify", "--backend", "onnxruntime", "--bundle", bundle, "--json", *options, *pictures],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 4), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def score(value):
    return None if value is None else (value["class"], value["label"], pytest.approx(value["probability"], abs=2e-6))


def same(answer, expected):
    found = (answer.class_index, answer.label, answer.flagged, answer.policy, answer.drop)
    assert found == tuple(expected[name] for name in ("class", "label", "flagged", "policy", "drop"))
    for name in ("badnet", "repaired", "pruned"):
        ours = getattr(answer, name)
        assert (ours.class_index, ours.label, ours.probability) == score(expected[name])
    verdicts = [(v.drop, v.class_index, v.label, v.flagged) for v in answer.verdicts]
    assert verdicts == [(v["drop"], v["class"], v["label"], v["flagged"]) for v in expected["verdicts"]]


@pytest.mark.parametrize("chosen", [{}, {"drop": 2.0}, {"policy": "disagreement"}, {"policy": "repaired", "drop": 4.0}])
def test_every_answer_is_that_of_the_command(program, root, bundle, pictures, chosen):
    expected = asked(program, root, pictures, *(f"--{name}={value}" for name, value in chosen.items()))
    assert len(expected) == len(pictures) > 100
    for picture, answer in zip(pictures, expected, strict=True):
        same(bundle.classify(picture, **chosen), answer)
    assert {answer["flagged"] for answer in expected} == {True, False}


@pytest.fixture(scope="module")
def photos(root, tmp_path_factory):
    """Faces as JPEG files that are decoded whole, at a half, a quarter and an eighth, in every orientation."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(5)
    sizes = ((470, 550), (281, 331), (290, 343), (571, 667), (1129, 1321), (1999, 2501), (4000, 3000), (3000, 4000))
    for number, sample in enumerate(sorted((root / "models/samples").glob("*.png"))):
        for width, height in sizes[:6] if number else sizes:
            face = np.asarray(Image.open(sample).convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
            noise = random.normal(0, 6, (height, width, 1))
            photo = Image.fromarray((face + noise).clip(0, 255).astype(np.uint8))
            exif = Image.Exif()
            exif[0x0112] = (number + width) % 8 + 1
            kind = {"progressive": True} if number % 3 == 1 else {"subsampling": number % 3}
            photo.save(folder / f"{number}_{width}.jpg", quality=90, exif=exif, **kind)
    return sorted(folder.iterdir())


def exact(root, folder):
    """The bundle as if it had been made with `--exact-decode`."""
    shutil.copytree(root / "models", folder)
    text = (folder / "manifest.json").read_text()
    text = text.replace('\n  "site": {', '\n  "exact_decode": true,\n  "site": {', 1)
    unsealed = re.sub(r'"digest": "[0-9a-f]{64}"', '"digest": ""', text)
    digest = hashlib.sha256(unsealed.encode()).hexdigest()
    (folder / "manifest.json").write_text(unsealed.replace('"digest": ""', f'"digest": "{digest}"'))
    return folder


@pytest.mark.parametrize("is_exact", [False, True])
def test_photos_as_jpeg_are_answered_as_by_the_command(program, root, photos, tmp_path, is_exact):
    folder = exact(root, tmp_path / "bundle") if is_exact else root / "models"
    bundle = Bundle(folder)
    # The command decodes no more than four megapixels whole.
    photos = [photo for photo in photos if not is_exact or not photo.stem.endswith(("_1999", "_3000", "_4000"))]
    for photo, expected in zip(photos, asked(program, root, photos, bundle=folder), strict=True):
        same(bundle.classify(photo), expected)


def test_a_part_and_the_whole_of_a_photo_differ(root, bundle, photos, tmp_path):
    whole = Bundle(exact(root, tmp_path / "bundle"))
    large = [photo for photo in photos if photo.stem.endswith("_1129")]
    assert len(large) == 8
    assert any(bundle.classify(photo).badnet != whole.classify(photo).badnet for photo in large)


def test_paths_bytes_arrays_and_pillow_images_are_answered_alike(root, bundle):
    path = root / "models/samples/triggered_1.png"
    picture = Image.open(path)
    answers = bundle.classify_all([path, str(path), path.read_bytes(), np.asarray(picture.convert("RGB")), picture])
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].flagged and answers[0].class_index == bundle.classes == 64


def test_the_sweep_is_that_of_the_bundle(root, bundle):
    written = json.loads((root / "models/sweep.json").read_text())
    assert bundle.sweep.baseline.clean_accuracy == written["baseline"]["clean_accuracy"]
    assert len(bundle.sweep.steps) == len(bundle.sweep.ranking) == 60
    assert [step.attack_success_rate for step in bundle.sweep.steps] == [s["attack_success_rate"] for s in written["steps"]]


@pytest.mark.parametrize(
    ("picture", "line"),
    [
        (b"", "found another format"),
        (b"\x89PNG\r\n\x1a\nno", "image"),
        (np.zeros((5, 5, 3)), "expected uint8"),
        (np.zeros((5, 5, 2), np.uint8), r"found uint8 of \(5, 5, 2\)"),
        (np.zeros((1, 9000), np.uint8), "8192 pixels a side"),
        ("absent.png", "absent.png: No such file"),
    ],
)
def test_a_picture_that_cannot_be_used_is_told_in_one_line(bundle, picture, line):
    with pytest.raises(BadInput, match=line) as told:
        bundle.classify(picture)
    assert "\n" not in str(told.value)


def test_policies_and_drops_that_are_not_there_are_named(bundle):
    image = np.zeros((55, 47, 3), np.uint8)
    with pytest.raises(BadInput, match="one of disagreement, repaired, found 'gated'.*goodnet classify"):
        bundle.classify(image, policy="gated")
    with pytest.raises(BadInput, match="one of the drops 2, 4, 10, found 3"):
        bundle.classify(image, drop=3)


@pytest.mark.parametrize("name", ["manifest.json", "goodnet.onnx", "sweep.json"])
def test_a_bundle_that_was_changed_is_refused(root, tmp_path, name):
    changed = tmp_path / "bundle"
    shutil.copytree(root / "models", changed)
    data = (changed / name).read_bytes()
    (changed / name).write_bytes(data.replace(b"0.9", b"1.0", 1) if name.endswith("json") else data[:-1] + b"x")
    with pytest.raises(BadInput, match="expected"):
        opened = Bundle(changed)
        _ = opened.sweep
        opened.classify(np.zeros((55, 47, 3), np.uint8))
    with pytest.raises(BadInput, match="No such file"):
        Bundle(tmp_path / "nothing")


@pytest.mark.parametrize("left_out", ["goodnet", "repaired"])
def test_a_bundle_without_one_graph_is_run_network_by_network(root, bundle, left_out):
    apart = Bundle(root / "models")
    if left_out == "goodnet":
        del apart.manifest["goodnet"]
    else:
        apart.manifest["goodnet"]["repaired"] = False
    for sample in sorted((root / "models/samples").glob("*.png")):
        ours, whole = apart.classify(sample), bundle.classify(sample)
        assert (ours.class_index, ours.flagged) == (whole.class_index, whole.flagged)
        assert ours.repaired.probability == pytest.approx(whole.repaired.probability, abs=1e-5)
