"""Texts that are longer than the judge reads: refused before any work, as pools are scored after all is painted.

The tokenizer is the one of open_clip's SimpleTokenizer, counted without torch, whose import takes seconds; both engines
read params.yaml often.
"""

from __future__ import annotations

import gzip
import html
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from unpaint.errors import UserError
from unpaint.params.sections import Params, Presence, Question

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from unpaint.diversify.grammar import Lists
    from unpaint.worlds import World

DEFAULT = 77
"""What a text tower of open_clip reads whose config does not say it, in tokens."""
MERGES = 49152 - 256 - 2
"""Merges that CLIP knows, of the file that open_clip ships."""
PIECES = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""What is merged, each by itself: open_clip's own expression."""


@cache  # concepts share prompts
def tokens(text: str) -> int:
    """How many tokens CLIP makes of a text, with those of its begin and end."""
    import ftfy

    cleaned = html.unescape(html.unescape(ftfy.fix_text(text)))
    return len(_tokenizer().encode(" ".join(cleaned.split()).lower())) + 2


def refuse_long(params: Params, lists: Mapping[str, Mapping[str, Lists]], world: World, limit: int) -> None:
    """Refuse a test prompt, or a text of a question, of which the judge would read the beginning alone.

    Args:
        lists: the prompts by concept and split. Those of a table are others' and are cut off, which is no mistake.
        limit: what it reads, in tokens.

    Raises:
        UserError: which text is too long, and by how much.
    """
    for where, texts in _texts(params, lists, world):
        for text in dict.fromkeys(texts):
            if (found := tokens(text)) > limit:
                raise UserError(
                    f"{where}: {text!r} has {found} tokens, and the judge reads {limit}; shorten it (or, of a judge "
                    "that is trained here, raise judge.tokens)"
                )


def _texts(
    params: Params, lists: Mapping[str, Mapping[str, Lists]], world: World
) -> Iterator[tuple[str, Iterator[str]]]:
    """All that the judge is given to read, by its place in params.yaml."""
    for name, question in params.questions.items():
        yield f"questions.{name}", _asked(params, name, question, world)
    for name, found in lists.items():
        test = found["test"]
        yield f"concepts.{name}.test", (row.prompt for row in (*test.forget, *test.retain))


def _asked(params: Params, name: str, question: object, world: World) -> Iterator[str]:
    if isinstance(question, Question):
        for grammar in params.grammars.values():
            yield from map(question.text.format, grammar.values[name].both if name in grammar.values else ())
        yield from map(question.text.format, world.values.get(name, ()))
        yield from question.none
    elif isinstance(question, Presence):
        for concept in params.concepts.values():
            yield from (question.shown.format(value) for dimension, value in concept.targets if dimension == name)
        yield from question.otherwise


@cache
def _tokenizer() -> Tokenizer:
    """CLIP's byte pairs, from the merges that open_clip ships."""
    from tokenizers import Regex, Tokenizer, models
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    found = find_spec("open_clip")  # where it is; to import it would import torch
    if not found or not found.origin:
        raise UserError("open_clip is not installed, and the judge is a model of it; run make env")
    packed = Path(found.origin).with_name("bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode().split("\n")
    merges = [(first, second) for first, second in map(str.split, lines[1 : MERGES + 1])]
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges)]
    numbered = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=numbered, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(PIECES), "removed", invert=True), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.add_special_tokens(["<start_of_text>", "<end_of_text>"])
    return tokenizer
