"""Texts that a tokenizer would cut off are refused before anything is trained."""

import subprocess
import sys

import open_clip
import pytest
from hypothesis import example, given, strategies

from unpaint.corpus import Row, refuse_long
from unpaint.errors import UserError
from unpaint.evaluate.judge import refuse_long as refuse_long_of_judge
from unpaint.params import Question, length
from unpaint.stages import evaluate, judge
from unpaint.train.base import _tokenizer

TOKENIZER = open_clip.SimpleTokenizer()
FITS, LONG = "a red one", "a red one at the top of it"


def test_a_caption_longer_than_the_base_model_s_tokens_is_refused():
    refuse_long([FITS], _tokenizer(8), 8)
    message = r"^'a red one at the top of it' has 10 tokens, and the base model reads 8; shorten it, or take"
    with pytest.raises(UserError, match=message):
        refuse_long([FITS, LONG], _tokenizer(8), 8)


def test_a_text_longer_than_the_judge_s_tokens_is_refused():
    tokenizer = open_clip.SimpleTokenizer(context_length=8)

    def given(caption=FITS, value="one", text="a {}", none="a blob"):
        row = Row(b"", caption, "", 0, {"split": "judge", "digit": value})
        return [row], {"digit": Question(text=text, none=[none])}

    refuse_long_of_judge(judge._texts(*given()), tokenizer)
    # a question is asked with each value in its place
    for long in ({"caption": LONG}, {"value": LONG}, {"text": f"{LONG} {{}}"}, {"none": LONG}):
        with pytest.raises(UserError, match=r"tokens, and the judge reads 8; shorten the text"):
            refuse_long_of_judge(judge._texts(*given(**long)), tokenizer)


def test_a_test_prompt_longer_than_the_judge_s_tokens_is_refused_before_it_is_scored():
    class Clip:
        tokenizer = open_clip.SimpleTokenizer(context_length=8)

    with pytest.raises(UserError, match=r"^'a red one at the top of it' has 10 tokens, and the judge reads 8;"):
        evaluate._judge(Clip(), [Row(b"", LONG, "", 0, {"set": "forget"})], {}, {}, [], {}, 1)


@given(strategies.text(max_size=60) | strategies.text("aeStz 's'12<&;>é\u0130ﬁ", max_size=60))
@example("<start_of_text> don't, it's <|endoftext|> &amp;amp; &nGt;")
@example("a photo of a person " + "very " * 90)
@example("a melancholic, undressed Person playing guitar in a bright, airy studio; 1024px, 日本の")
def test_tokens_are_counted_as_the_judge_s_own_tokenizer_does(text):
    assert length.tokens(text) == len(TOKENIZER.encode(text)) + 2


def test_counting_them_imports_no_torch():
    code = "import sys; from unpaint.params import length; print(length.tokens('a red one'), 'torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "5 False\n"
