"""Discrete diffusion (DDPM): integer timesteps, drawn evenly; what is predicted is the noise, v or the sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unpaint.corpus import read_json
from unpaint.errors import UserError
from unpaint.intact import PREDICTIONS
from unpaint.models.conditions import Conditions


class Discrete(ABC):
    """A network with a DDPM schedule; implements `Denoiser` but for how the network is called."""

    def __init__(self, module: nn.Module, scheduler: Any) -> None:
        """Take a network and the schedule that it was trained by.

        Raises:
            UserError: nobody knows what it predicts.
        """
        self.module, self.scheduler = module, scheduler
        self.timesteps = int(scheduler.config.num_train_timesteps)
        if scheduler.config.prediction_type not in PREDICTIONS:
            raise UserError(
                f"scheduler_config.json: prediction_type {scheduler.config.prediction_type} is none of "
                f"{', '.join(PREDICTIONS)}"
            )

    @abstractmethod
    def predict(self, noised: Tensor, conditions: Conditions, times: Tensor) -> Tensor:
        """What the network makes of noised latents; channels beyond theirs (a learned variance) are not used."""

    def draw(self, random: torch.Generator) -> Tensor:
        """See Denoiser."""
        return torch.randint(self.timesteps, (), generator=random)

    def spread(self, count: int) -> Tensor:
        """See Denoiser."""
        return (torch.arange(count) * self.timesteps + self.timesteps // 2) // count

    def weights(self, times: Tensor) -> Tensor | None:  # noqa: ARG002
        """See Denoiser; all weigh the same."""
        return None

    def residuals(self, latents: Tensor, conditions: Conditions, noise: Tensor, times: Tensor) -> Tensor:
        """See Denoiser; of the checkpoint's own prediction type."""
        noised = self.scheduler.add_noise(latents, noise, times)
        predicted = self.predict(noised, conditions, times)[:, : latents.shape[1]]
        match self.scheduler.config.prediction_type:
            case "epsilon":
                target = noise
            case "v_prediction":
                target = self.scheduler.get_velocity(latents, noise, times)
            case _:
                target = latents
        return predicted.float() - target.float()


def training_schedule_in(folder: Path) -> Any:
    """That of the checkpoint in a folder (see `training_schedule`)."""
    return training_schedule(read_json(folder / "scheduler" / "scheduler_config.json"))


def training_schedule(config: Mapping[str, Any]) -> Any:
    """The schedule of training, whatever sampler a checkpoint names in its scheduler_config.json.

    Raises:
        UserError: it was not trained by DDPM.
    """
    from diffusers import DDPMScheduler

    if "beta_schedule" not in config or config.get("use_flow_sigmas"):
        raise UserError(
            f"scheduler_config.json: {config.get('_class_name')} names no schedule of betas, so the checkpoint was "
            "trained otherwise than its family; it is not known here"
        )
    return DDPMScheduler.from_config(dict(config))
