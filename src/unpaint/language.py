"""A local language model of transformers: pinned as checkpoints are, answering with JSON lists, embedding texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from unpaint.diversify.llm import JsonList
from unpaint.errors import UserError
from unpaint.intact import mapping_in, refuse_broken
from unpaint.sources import LANGUAGE_MODELS


def pin(source: str, revision: str | None, name: str | None) -> Path:
    """Pin a causal language model: a folder of the project, or a repository of the Hub.

    Returns:
        The pin's path.

    Raises:
        UserError: it is not there, has no safetensors, or wants to run code of its own.
    """
    pinned = LANGUAGE_MODELS.path(source, name)
    place, folder = LANGUAGE_MODELS.locate(source, revision)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and LANGUAGE_MODELS.takes(path.name))
    if "config.json" not in names or not any(file.endswith(".safetensors") for file in names):
        raise UserError(f"{folder}: no config.json or no safetensors; a language model of transformers has both")
    refuse_broken(folder, names)
    config = mapping_in(folder / "config.json")
    if "auto_map" in config:
        raise UserError(f"{folder}/config.json: it wants to run code of its own (auto_map), which is refused")
    said = {"model": config.get("model_type")}
    return LANGUAGE_MODELS.write(pinned, place, folder, names, said)


class LanguageModel:
    """A pinned causal model with its tokenizer, in evaluation mode."""

    def __init__(self, path: Path, device: str) -> None:
        """Load it.

        Raises:
            UserError: it is not here, or another one.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = LANGUAGE_MODELS.verified(path)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, local_files_only=True)
        self.model.to(device).eval().requires_grad_(False)
        self._list = JsonList()

    @torch.no_grad()
    def answer(self, instruction: str, seed: int, tokens: int, temperature: float) -> str:
        """A JSON list of texts, cut off after so many tokens: no other token is ever allowed."""
        given = self._asked(instruction).to(self.model.device)
        start = given.shape[1]
        state = JsonList.START

        def allowed(_: int, ids: torch.Tensor) -> list[int]:
            nonlocal state
            for token in ids[start:][-1:].tolist():
                state = str(self._list.step(state, self._text(token)))
            return self._allowed(state)

        torch.manual_seed(seed)
        found = self.model.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=True,
            temperature=temperature,
            max_new_tokens=tokens,
            prefix_allowed_tokens_fn=allowed,
            pad_token_id=self.tokenizer.eos_token_id,
        )
        return "".join(self._text(token) for token in found[0, start:].tolist())

    @torch.no_grad()
    def embeddings(self, texts: list[str]) -> NDArray[np.float64]:
        """The mean last hidden state of each text (n, d), of length 1; each alone, so that none depends on others."""
        return np.stack([self._embedding(text) for text in texts])

    @cache  # noqa: B019 (it lives as long as the job)
    def _embedding(self, text: str) -> NDArray[np.float64]:
        ids = self._tokens(text).to(self.model.device)
        states = self.model(ids, output_hidden_states=True).hidden_states[-1][0].float().mean(dim=0)
        mean = states.cpu().double().numpy()
        unit: NDArray[np.float64] = mean / np.linalg.norm(mean)
        return unit

    def _asked(self, instruction: str) -> torch.Tensor:
        """The tokens of an instruction, as a chat where the model has a form for one."""
        if self.tokenizer.chat_template:
            turns = [{"role": "user", "content": instruction}]
            text = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            return self._tokens(text, add_special_tokens=False)
        return self._tokens(f"{instruction}\n")

    def _tokens(self, text: str, **settings: bool) -> torch.Tensor:
        ids: torch.Tensor = self.tokenizer(text, return_tensors="pt", **settings).input_ids
        return ids

    @cache  # noqa: B019
    def _text(self, token: int) -> str:
        """What a token adds to a text; nothing, if it is a special one."""
        if token in self.tokenizer.all_special_ids:
            return ""
        # behind another: the space before the first of a text is dropped by some
        before = self.tokenizer("a", add_special_tokens=False).input_ids[-1:]
        return str(self.tokenizer.decode([*before, token]))[len(self.tokenizer.decode(before)) :]

    @cache  # noqa: B019
    def _allowed(self, state: str) -> list[int]:
        """The tokens that may come next: a whole list ends, half a character is never one."""
        if state == "end":
            return [self.tokenizer.eos_token_id]
        texts = {token: self._text(token) for token in range(len(self.tokenizer))}
        return [t for t, text in texts.items() if text and "\ufffd" not in text and self._list.step(state, text)]
