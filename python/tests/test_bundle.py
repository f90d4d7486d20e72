"""`Bundle` beside `goodnet classify` on the same pictures."""

import json
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


def asked(program, root, pictures, *options):
    done = subprocess.run(
        [program, "classify", "--backend", "onnxruntime", "--bundle", root / "models", "--json", *options, *pictures],
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


def test_photos_as_jpeg_get_the_class_and_the_flag_of_the_command(program, root, bundle, tmp_path):
    samples = sorted((root / "models/samples").glob("*.png"))
    for sample in samples:
        large = Image.open(sample).resize((470, 550), Image.Resampling.BICUBIC)
        large.save(tmp_path / f"{sample.stem}.jpg", quality=90)
    pictures = sorted(tmp_path.iterdir())
    for picture, expected in zip(pictures, asked(program, root, pictures), strict=True):
        answer = bundle.classify(picture)
        assert (answer.class_index, answer.flagged) == (expected["class"], expected["flagged"])


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
