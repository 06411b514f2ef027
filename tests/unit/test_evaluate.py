"""What shows in a picture, with a judge and a detector whose answers are planted."""

import numpy as np
import pytest
import torch
from PIL import Image

from unpaint.corpus import Row, encode
from unpaint.errors import UserError
from unpaint.evaluate import judgements
from unpaint.evaluate.judgements import Judgements
from unpaint.evaluate.scores import score
from unpaint.lineage.manifest import Manifest
from unpaint.stages.evaluate import _judge, _refuse_blind

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
WORDS = [*COLOURS, "grey"]


class Planted:
    """A judge that sees a picture's one colour, and reads a text's one word for a colour."""

    class tokenizer:  # noqa: N801
        context_length = 77

        @staticmethod
        def encode(text):
            return text.split()

    def image_features(self, images, batch):
        found = [self._feature(WORDS[int(np.argmax([*image[0, 0], 200]))]) for image in images]
        return torch.stack(found)

    def text_features(self, texts):
        if not texts:
            return torch.zeros(0, len(WORDS))
        return torch.stack([self._feature(next(word for word in WORDS if word in text)) for text in texts])

    @staticmethod
    def _feature(word):
        return torch.eye(len(WORDS))[WORDS.index(word)]


class Reddish:
    """A detector that finds one thing in what is red, twice."""

    def find(self, image):
        with Image.open(__import__("io").BytesIO(image)) as opened:
            return ["REDNESS"] * 2 if opened.getpixel((0, 0)) == COLOURS["red"] else []


def row(part, asked, colour, number):
    picture = encode(np.full((8, 8, 3), COLOURS.get(colour, (9, 9, 9)), dtype=np.uint8))
    return Row(picture, f"a {asked or 'grey'} thing", f"p{number}", number, {"set": part, "colour": asked})


ROWS = [
    row("forget", "red", "red", 0),
    row("forget", "red", "green", 1),
    row("forget", "red", "nothing", 2),
    row("retain", "green", "green", 3),
    row("retain", "blue", "green", 4),
    row("retain", "green", "red", 5),
    row("retain", "blue", "nothing", 6),
]
TARGETS = [("colour", "red")]
NAMING = {"text": "a {} thing", "none": ["grey"]}
PRESENCE = {"shown": "a {} thing", "otherwise": ["grey", "green", "blue"]}


def judged(question, detectors=None, rows=ROWS):
    values = {"colour": list(COLOURS)}
    return _judge(Planted(), rows, values, {"colour": question}, TARGETS, detectors or {}, 3)


def shares(found, base=None):
    told = score(found, base or found, base or found, TARGETS, np.zeros((0, 4)))
    return {name: told[name].value for name in ("UA", "RA")}


def test_a_judge_that_names_values_is_held_against_what_was_asked():
    found = judged(NAMING)
    assert [answer["colour"] for answer in found.answers] == ["red", "green", None, "green", "green", "red", None]
    assert shares(found) == {"UA": pytest.approx(2 / 3), "RA": pytest.approx(1 / 4)}


def test_presence_asks_of_other_values_only_that_no_forgotten_one_shows():
    found = judged(PRESENCE)
    assert [answer["colour"] for answer in found.answers] == ["red", None, None, None, None, "red", None]
    assert [asked["colour"] for asked in found.asked] == ["red", "red", "red", "", "", "", ""]
    assert shares(found) == {"UA": pytest.approx(2 / 3), "RA": pytest.approx(3 / 4)}


def test_a_detector_takes_the_judge_s_place_and_its_findings_are_kept(tmp_path):
    found = judged({"detector": "nudenet"}, {"colour": Reddish()})
    assert shares(found) == {"UA": pytest.approx(2 / 3), "RA": pytest.approx(3 / 4)}
    assert found.findings == [["REDNESS"] * 2, [], [], [], [], ["REDNESS"] * 2, []]
    judgements.write(tmp_path / "judged.parquet", found, Manifest("evaluate", {}, {}))
    read = judgements.read(tmp_path / "judged.parquet")
    assert (read.findings, read.answers) == (found.findings, found.answers)


def test_a_share_does_not_depend_on_the_order_of_rows_or_on_others():
    assert shares(judged(PRESENCE, rows=ROWS[::-1])) == shares(judged(PRESENCE))
    assert judged(PRESENCE, rows=ROWS[:2]).answers == judged(PRESENCE).answers[:2]


def test_without_real_pictures_and_without_attributes_there_are_no_such_scores():
    found = judged(NAMING)
    assert set(score(found, found, found, TARGETS, np.zeros((0, 4)))) == {"UA", "RA", "AS", "drift"}


def test_pools_in_another_order_or_with_a_picture_less_are_refused():
    found = judged(NAMING)
    with pytest.raises(UserError, match=r"^row 0: the pool has .* sample both again$"):
        judgements.paired(judged(NAMING, rows=ROWS[1:] + ROWS[:1]), found)
    with pytest.raises(UserError, match=r"^the pool has 6 pictures, the base model's pool 7; sample both again$"):
        judgements.paired(judged(NAMING, rows=ROWS[:-1]), found)


def test_a_concept_that_is_not_seen_in_the_base_model_s_own_pictures_is_not_scored():
    base: Judgements = judged(PRESENCE)
    _refuse_blind(base, TARGETS, 1 / 3)
    message = r"the concept is seen in 0.333 of those that ask for it, and 0.750 of the others are as they should be; "
    with pytest.raises(UserError, match=message):
        _refuse_blind(base, TARGETS, 0.4)
    # what fires nearly always sees the concept, and little else
    with pytest.raises(UserError, match=r"seen in 1.000 of .* 0.250 of the others"):
        _refuse_blind(judged(PRESENCE, rows=[ROWS[0], ROWS[3], *[ROWS[5]] * 3]), TARGETS, 0.9)
