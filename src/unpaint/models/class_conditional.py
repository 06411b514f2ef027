"""Diffusion by class: DiT on latents, and U-Nets on pixels, by DDPM or by EDM (arXiv 2206.00364).

A prompt is the name of a class, as the checkpoint calls it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from unpaint.corpus import read_json
from unpaint.errors import UserError, some
from unpaint.models.conditions import Conditions
from unpaint.models.discrete import Discrete, training_schedule, training_schedule_in
from unpaint.models.edm import LabelledEDM
from unpaint.models.text_to_image import latents_of, open_network, open_pipeline

BY_SEED = ("DDIM", "DEIS", "DPMSolver", "Euler", "Heun", "KDPM2", "LMS", "PNDM", "UniPC")
"""How the samplers are called that draw no noise after the first, less the words that others have, too."""


class LabelledTransformer(Discrete):
    """A `DiTTransformer2DModel` with its training schedule; implements `Denoiser`. Its condition is `label` (n,)."""

    def predict(self, noised: Tensor, conditions: Conditions, times: Tensor) -> Tensor:
        """See Discrete."""
        predicted: Tensor = self.module(noised, timestep=times, class_labels=conditions["label"]).sample
        return predicted


class LabelledUNet(Discrete):
    """A `UNet2DModel` with its training schedule; implements `Denoiser`. Its condition is `label` (n,)."""

    def predict(self, noised: Tensor, conditions: Conditions, times: Tensor) -> Tensor:
        """See Discrete."""
        predicted: Tensor = self.module(noised, times, class_labels=conditions["label"]).sample
        return predicted


class Labels:
    """The names of a checkpoint's classes: a label as a whole, and each name between its commas."""

    def __init__(self, named: Mapping[str, str], empty: int | None) -> None:
        """Take `id2label`, and the label that stands for none."""
        self.numbers: dict[str, set[int]] = {}
        for number, label in named.items():
            for name in {label, *label.split(",")}:
                self.numbers.setdefault(name.strip(), set()).add(int(number))
        self.count, self.empty = len(named), empty

    @property
    def prompts(self) -> list[str]:
        """The names that one class alone has."""
        return sorted(name for name, numbers in self.numbers.items() if len(numbers) == 1)

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """A label per prompt.

        Raises:
            UserError: no class has this name, or several have.
        """
        return {"label": torch.tensor([self._number(prompt) for prompt in prompts])}

    def unprompted(self) -> Conditions:
        """The label of no class; nothing, where the checkpoint was trained without one."""
        return {} if self.empty is None else {"label": torch.tensor(self.empty)}

    def _number(self, prompt: str) -> int:
        found = sorted(self.numbers.get(prompt.strip(), ()))
        if not found:
            known = some(list(self.numbers), 8)
            raise UserError(f"{prompt!r} is no class of the base model; its {self.count} classes are called {known}")
        if len(found) > 1:
            raise UserError(
                f"{prompt!r} is the name of {len(found)} classes of the base model, {found}; write the whole label of "
                "one"
            )
        return found[0]


class ByClass(ABC):
    """What base models by class have in common."""

    network: ClassVar[str]

    def __init__(self, pipeline: Any, side: int, guidance: float) -> None:
        """Take a pipeline with `id2label` that paints pictures of `side` pixels with so much guidance."""
        self.pipeline, self.side, self.guidance = pipeline, side, guidance
        self.frame = (side, side)  # it paints no other
        self.labels = Labels(pipeline.id2label, self._empty())

    @classmethod
    def refuse_unread(cls, folder: Path, prompts: Sequence[str]) -> None:
        """See Family."""
        Labels(_names(folder), None).conditions(prompts)

    def refuse_long(self, prompts: Sequence[str]) -> None:
        """See BaseModel; a name is never too long, but it must be one."""
        self.labels.conditions(prompts)

    def conditions(self, prompts: Sequence[str]) -> Conditions:
        """See BaseModel."""
        return self.labels.conditions(prompts)

    def unprompted(self) -> Conditions:
        """See BaseModel."""
        return self.labels.unprompted()

    @abstractmethod
    def _empty(self) -> int | None:
        """The label of no class."""


class DiT(ByClass):
    """A DiT pipeline as a base model; implements `BaseModel`."""

    network = "transformer"

    def __init__(self, pipeline: Any, side: int, guidance: float) -> None:
        """See ByClass.

        Raises:
            UserError: its sampler may draw noise, which its pipeline leaves to chance.
        """
        super().__init__(pipeline, side, guidance)
        _refuse_drawing(type(pipeline.scheduler).__name__, pipeline.scheduler.config)

    @staticmethod
    def open(folder: Path, dtype: torch.dtype) -> Any:
        """The pipeline in a folder, every part of one type."""
        pipeline = open_pipeline(folder, dtype)
        pipeline.id2label = _names(folder)
        return pipeline

    @property
    def denoiser(self) -> LabelledTransformer:
        """See BaseModel."""
        return LabelledTransformer(self.pipeline.transformer, training_schedule(self.pipeline.scheduler.config))

    def latents(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """See BaseModel."""
        return latents_of(self.pipeline, pictures)

    def paint(self, prompts: Sequence[str], generators: Sequence[torch.Generator], steps: int) -> Any:
        """See BaseModel."""
        return self.pipeline(
            class_labels=self.labels.conditions(prompts)["label"].tolist(),
            generator=list(generators),
            num_inference_steps=steps,
            guidance_scale=self.guidance,
            output_type="np",
        ).images

    def _empty(self) -> int:
        empty: int = self.pipeline.transformer.config.num_embeds_ada_norm
        return empty


class PixelUNet(ByClass):
    """A labelled `UNet2DModel` with its scheduler as a base model; implements `BaseModel`.

    diffusers has no pipeline that gives one its labels, so the sampler is ours: the scheduler's own steps, and
    classifier-free guidance where there is a label of no class.
    """

    network = "unet"

    def __init__(self, pipeline: Any, side: int, guidance: float) -> None:
        """See ByClass.

        Raises:
            UserError: there is to be guidance, and no label of no class.
        """
        super().__init__(pipeline, side, guidance)
        if guidance > 1 and self.labels.empty is None:
            raise UserError(
                f"sampling.guidance {guidance}: the base model was trained without a label of no class, so there is "
                "nothing to be guided away from; write 1.0"
            )

    @staticmethod
    def open(folder: Path, dtype: torch.dtype) -> Any:
        """U-Net, scheduler and class names as a pipeline of diffusers, which exports them; it cannot paint by label."""
        from diffusers import DDPMPipeline

        unet = open_network("UNet2DModel", folder / "unet", "cpu", dtype)
        pipeline = DDPMPipeline(unet=unet, scheduler=_scheduler(folder))
        pipeline.id2label = _names(folder)
        return pipeline

    @property
    def denoiser(self) -> LabelledUNet | LabelledEDM:
        """See BaseModel."""
        return _labelled(self.pipeline.unet, self.pipeline.scheduler)

    def latents(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """See BaseModel; it works on pixels."""
        pixels = pictures.to(self.pipeline.device).float() / 127.5 - 1
        return pixels, torch.zeros_like(pixels)

    def paint(self, prompts: Sequence[str], generators: Sequence[torch.Generator], steps: int) -> Any:
        """See BaseModel."""
        unet, scheduler = self.pipeline.unet, self.pipeline.scheduler
        shape = (unet.config.in_channels, self.side, self.side)
        pixels = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        labels = self.labels.conditions(prompts)["label"].to(unet.device)
        scheduler.set_timesteps(steps)
        pixels = pixels.to(unet.device) * scheduler.init_noise_sigma
        # the noise of a sampler that draws some is each picture's own
        drawn = {"generator": list(generators)} if "generator" in signature(scheduler.step).parameters else {}
        for time in scheduler.timesteps:
            given = scheduler.scale_model_input(pixels, time).to(unet.dtype)
            found = unet(given, time, class_labels=labels).sample.float()
            if self.guidance > 1 and self.labels.empty is not None:
                without = unet(given, time, class_labels=torch.full_like(labels, self.labels.empty)).sample.float()
                found = without + self.guidance * (found - without)
            pixels = scheduler.step(found, time, pixels, **drawn).prev_sample
        return (pixels / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()

    def _empty(self) -> int | None:
        """The label after the last name, where the network has one more than there are names."""
        return _unnamed(self.pipeline.unet.config.num_class_embeds, self.pipeline.id2label)


def described(folder: Path) -> dict[str, Any]:
    """What a pin keeps of a checkpoint by class: the prompts that it knows, and whether it has a label of no class.

    Raises:
        UserError: its classes have no names, or not as many as it has labels; or its pictures would depend on chance.
    """
    named, index = _names(folder), read_json(folder / "model_index.json")
    if index["_class_name"] == "DiTPipeline":
        _refuse_drawing(index["scheduler"][1], read_json(folder / "scheduler" / "scheduler_config.json"))
        empty = True
    else:
        empty = _unnamed(read_json(folder / "unet" / "config.json").get("num_class_embeds"), named) is not None
    return {"classes": Labels(named, None).prompts, "label_of_none": empty}


def _refuse_drawing(sampler: str, config: Mapping[str, Any]) -> None:
    name = re.sub("Scheduler|Discrete|Multistep|Singlestep", "", sampler)
    if name not in BY_SEED or str(config.get("algorithm_type")).startswith("sde"):
        raise UserError(
            f"scheduler_config.json: {sampler} may draw noise that no picture's seed decides in DiT's pipeline; save "
            "the checkpoint with another, such as DDIMScheduler"
        )


def load_dit(folder: Path, device: str, dtype: torch.dtype) -> LabelledTransformer:
    """See Family."""
    network = open_network("DiTTransformer2DModel", folder / "transformer", device, dtype)
    return LabelledTransformer(network, training_schedule_in(folder))


def load_unet(folder: Path, device: str, dtype: torch.dtype) -> LabelledUNet | LabelledEDM:
    """The denoiser with the schedule it was trained by."""
    return _labelled(open_network("UNet2DModel", folder / "unet", device, dtype), _scheduler(folder))


def _labelled(unet: Any, scheduler: Any) -> LabelledUNet | LabelledEDM:
    from diffusers import EDMEulerScheduler

    if hasattr(scheduler, "precondition_outputs"):
        return LabelledEDM(unet, EDMEulerScheduler.from_config(scheduler.config))
    return LabelledUNet(unet, training_schedule(scheduler.config))


def _scheduler(folder: Path) -> Any:
    """The scheduler that the checkpoint names, of those that diffusers has."""
    import diffusers

    name = read_json(folder / "scheduler" / "scheduler_config.json").get("_class_name", "")
    kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if kind is None:
        raise UserError(f"{folder}/scheduler/scheduler_config.json: diffusers has no scheduler {name!r}")
    return kind.from_pretrained(folder / "scheduler")


def _unnamed(labels: int | None, named: Mapping[str, str]) -> int | None:
    """The label that stands for no class, the one after the last name; None, where each has a name."""
    names = len(named)
    if labels not in (names, names + 1) or set(named) != {str(number) for number in range(names)}:
        raise UserError(
            f"unet/config.json: {labels or 0} classes, and model_index.json names {names}; it should name as many, "
            "numbered from 0, or all but one, which then stands for no class"
        )
    return names if labels > names else None


def _names(folder: Path) -> dict[str, str]:
    names = read_json(folder / "model_index.json").get("id2label")
    if not isinstance(names, dict) or not names:
        raise UserError(
            f"{folder}/model_index.json: no id2label, so nobody knows what its labels are called; add it, a mapping of "
            "numbers to names"
        )
    return names
