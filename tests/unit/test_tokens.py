"""Texts that a tokenizer would cut off are refused before anything is trained."""

import open_clip
import pytest

from unpaint.errors import UserError
from unpaint.params import Question
from unpaint.stages import base, judge
from unpaint.train.base import _tokenizer

FITS, LONG = "a red one", "a red one at the top of it"


def test_a_caption_longer_than_the_base_model_s_tokens_is_refused():
    base._refuse_long(_tokenizer(8), [FITS])
    message = r"^the caption 'a red one at the top of it' has 10 tokens, more than base.denoiser.tokens 8; raise that,"
    with pytest.raises(UserError, match=message):
        base._refuse_long(_tokenizer(8), [FITS, LONG])


def test_a_text_longer_than_the_judge_s_tokens_is_refused():
    tokenizer = open_clip.SimpleTokenizer(context_length=8)
    judge._refuse_long(tokenizer, [FITS], {"digit": Question(text="a {}", none=[])})
    for captions, text in (([LONG], "a {}"), ([FITS], f"{LONG} {{}}")):
        with pytest.raises(UserError, match=r"tokens, more than judge.tokens 8; raise that"):
            judge._refuse_long(tokenizer, captions, {"digit": Question(text=text, none=[])})
