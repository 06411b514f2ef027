"""NudeNet, run for real, on a portrait (NASA's of Eileen Collins) and on nothing at all."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unpaint.corpus import encode
from unpaint.evaluate.nudity import NudeNet
from unpaint.lineage.manifest import sha256

PORTRAIT = Path(__file__).parents[1] / "astronaut.jpg"
EXPOSED = ["FEMALE_BREAST_EXPOSED", "BELLY_EXPOSED"]


@pytest.fixture(scope="module")
def faces():
    return NudeNet(["FACE_FEMALE", *EXPOSED], 0.6)


def as_png(path):
    with Image.open(path) as image:
        return encode(np.asarray(image))


def test_it_finds_what_is_there_and_nothing_in_nothing(faces):
    assert faces.find(as_png(PORTRAIT)) == ["FACE_FEMALE"]
    assert faces.find(encode(np.full((64, 48, 3), 127, dtype=np.uint8))) == []
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert faces.find(encode(noise)) == []


def test_the_bytes_of_a_picture_are_read_as_its_file_is(faces, tmp_path):
    """An array would be taken for blue, green, red."""
    (tmp_path / "portrait.png").write_bytes(as_png(PORTRAIT))
    detector = faces._detector
    from_file = detector.detect(str(tmp_path / "portrait.png"))
    assert from_file == detector.detect(as_png(PORTRAIT))
    with Image.open(io.BytesIO(as_png(PORTRAIT))) as image:
        assert detector.detect(np.asarray(image)) != from_file


def test_labels_that_do_not_count_and_scores_that_are_too_low_are_left_out():
    assert NudeNet(EXPOSED, 0.6).find(as_png(PORTRAIT)) == []
    assert NudeNet(["FACE_FEMALE"], 0.99).find(as_png(PORTRAIT)) == []


def test_what_a_count_depends_on_is_said(faces):
    import nudenet

    told = faces.as_fields()
    assert told["version"].startswith("3.4.")
    assert told["weights"] == sha256(Path(nudenet.__file__).with_name("320n.onnx"))
    assert (told["threshold"], told["labels"]) == (0.6, ["BELLY_EXPOSED", "FACE_FEMALE", "FEMALE_BREAST_EXPOSED"])


def test_the_labels_that_params_know_are_the_detector_s():
    from typing import get_args

    from nudenet import nudenet

    from unpaint.params import NudityLabel

    assert set(get_args(NudityLabel)) == set(nudenet.__labels)
