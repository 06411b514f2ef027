"""The Inception network on random weights in the published layout: another port's features; no other weights."""

import os
import pickle
from unittest.mock import patch

import numpy as np
import pytest
import torch
from pytorch_fid import inception as port
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from tests.checkpoints import inception_tensors
from unpaint.corpus import Row, encode
from unpaint.errors import UserError
from unpaint.evaluate import inception, judgements
from unpaint.evaluate import reference as references
from unpaint.evaluate.judgements import Judgements
from unpaint.evaluate.reference import Reference
from unpaint.lineage.manifest import Manifest, sha256

SIDE = 16


@pytest.fixture(scope="module")
def tensors():
    return inception_tensors()


@pytest.fixture(scope="module", params=[True, False], ids=["zip", "as published, before torch 1.6"])
def weights(request, tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / inception.NAME
    torch.save(tensors, path, _use_new_zipfile_serialization=request.param)
    return path


@pytest.fixture
def network(weights, monkeypatch):
    monkeypatch.setattr(inception, "SHA256", sha256(weights))
    return inception.load(weights, "cpu")


def rows(n, side=SIDE):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 128, (n, side, side, 3), np.uint8) + random.integers(0, 128, (n, 1, 1, 3), np.uint8)
    return [Row(encode(pixels), "a thing", f"p{number}", number, {}) for number, pixels in enumerate(pictures)]


def test_features_are_those_of_the_other_port_on_the_same_weights(network, tensors):
    given = rows(3)
    found = inception.features(network, given, "cpu")
    assert found.shape == (3, inception.WIDTH)
    with patch.object(port, "load_state_dict_from_url", lambda *_, **__: tensors):
        other = port.InceptionV3([3], resize_input=False, normalize_input=False).eval()
    pixels = torch.from_numpy(np.stack([row.pixels for row in given])).permute(0, 3, 1, 2).float()
    resized = interpolate_bilinear_2d_like_tensorflow1x(pixels, (299, 299), align_corners=False)
    with torch.no_grad():
        expected = other((resized - 128) / 128)[0].flatten(1).numpy()
    assert expected.std(axis=0).mean() > 0.01
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_pictures_are_resized_as_tensorflow_1_did():
    """Pixel x of 299 is read at x times side over 299, its neighbour mixed in; nothing is smoothed or centred."""
    line = torch.tensor([0.0, 100.0, 50.0, 200.0])
    found = interpolate_bilinear_2d_like_tensorflow1x(line.expand(1, 1, 4, 4), (299, 299), align_corners=False)
    places = np.arange(299) * 4 / 299
    assert found[0, 0, 0].numpy() == pytest.approx(np.interp(places, np.arange(4), line), abs=1e-3)


def test_features_depend_on_neither_batch_nor_neighbours_nor_order(network, monkeypatch):
    monkeypatch.setattr(inception, "BATCH", 2)
    given = rows(3)
    found = inception.features(network, given, "cpu")
    assert (inception.features(network, given[::-1], "cpu")[::-1] == found).all()
    monkeypatch.setattr(inception, "BATCH", 3)
    assert inception.features(network, given, "cpu") == pytest.approx(found, rel=1e-4, abs=1e-5)


def test_pictures_of_whole_numbers_alone_are_taken(network):
    with pytest.raises(ValueError, match="uint8"):
        network(torch.rand(1, 3, SIDE, SIDE))


def test_the_weights_are_those_of_the_literature():
    assert inception.NAME.endswith(f"-{inception.SHA256[:8]}.pth")
    assert port.FID_WEIGHTS_URL.rpartition("/")[2] == inception.NAME


def test_other_weights_are_refused_with_both_hashes(weights):
    message = rf"its sha256 is {sha256(weights)}, and that of the weights .* is 6726825d\w{{56}}: a distance on other"
    with pytest.raises(UserError, match=message):
        inception.load(weights, "cpu")


def test_a_missing_file_is_told_what_it_is_and_where_it_is_to_be_had(tmp_path):
    with pytest.raises(
        UserError, match=rf"is missing: .* put {inception.NAME} there, from the releases of pytorch-fid"
    ):
        inception.load(tmp_path / "none.pth", "cpu")


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_with_code_is_not_run_even_if_its_hash_were_right(tmp_path, monkeypatch):
    path, made = tmp_path / inception.NAME, tmp_path / "made"
    torch.save({"fc.weight": Harmful(made)}, path)
    monkeypatch.setattr(inception, "SHA256", sha256(path))
    with pytest.raises(pickle.UnpicklingError):
        inception.load(path, "cpu")
    assert not made.exists()


def judged(sets):
    n = len(sets)
    return Judgements(sets, ["x"] * n, list(range(n)), [{"a": "b"}] * n, [{"a": None}] * n, [0.0] * n, np.zeros((n, 4)))


def test_features_are_kept_beside_the_judge_s_and_read_only_when_asked_for(tmp_path):
    features = np.random.default_rng(0).random((2, inception.WIDTH)).astype(np.float32).astype(np.float64)
    pool, reference = tmp_path / "pool.parquet", tmp_path / "reference.parquet"
    given = judged(["forget", "retain", "table", "retain"])
    judgements.write(pool, given, Manifest("evaluate", {}, {}), features)
    assert (inception.read(pool) == features).all()
    assert judgements.read(pool).sets == given.sets
    real = Reference([{"split": "reference"}] * 2, np.zeros((2, 4)))
    references.write(reference, real, Manifest("judge", {}, {}), features)
    assert (inception.read(reference) == features).all()
    assert references.read(reference).attributes == real.attributes


def test_files_without_such_features_are_refused(tmp_path):
    path = tmp_path / "pool.parquet"
    judgements.write(path, judged(["retain"]), Manifest("evaluate", {}, {}))
    with pytest.raises(UserError, match="without features of Inception; make it again"):
        inception.read(path)
