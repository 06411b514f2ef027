"""A base model by class: a U-Net on pixels that reads a label, trained from scratch by EDM (arXiv 2206.00364).

The paper's setting for CIFAR-10 (section 4.1). What comes out is a folder in diffusers' layout whose index names the
classes, as `unpaint pin` takes them from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from diffusers import DDPMPipeline, EDMDPMSolverMultistepScheduler, UNet2DModel
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from unpaint.models.edm import LabelledEDM
from unpaint.params import LabelledDenoiser
from unpaint.resume import Resume
from unpaint.train.fit import Record, fit, generator, seed_of

HEAD = 64
"""Width of an attention head."""
ENDS = (2**-24, 1 - 2**-24)
"""Shares are rounded to 0 or 1 once in some ten thousand steps, at which a noise level is none or infinite."""
DATA = 0.5
"""Standard deviation of the pixels in -1..1, as EDM takes it to be."""


def build(settings: LabelledDenoiser, classes: int, side: int, seed: int) -> DDPMPipeline:
    """An untrained network for pictures of `side` pixels, its weights drawn from `seed`, and its sampler."""
    kinds = [("Attn" if attends else "") for attends in settings.attention]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DModel(
            sample_size=side,
            block_out_channels=tuple(settings.channels),
            down_block_types=tuple(f"{kind}DownBlock2D" for kind in kinds),
            up_block_types=tuple(f"{kind}UpBlock2D" for kind in reversed(kinds)),
            layers_per_block=settings.layers,
            dropout=settings.dropout,
            attention_head_dim=math.gcd(HEAD, *settings.channels),
            norm_num_groups=math.gcd(32, *settings.channels),
            # the label scales and shifts every layer, as in the paper's network
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=classes + (settings.unprompted > 0),
        )
        with torch.no_grad():
            for block in unet.modules():
                if isinstance(block, ResnetBlock2D):
                    block.conv2.weight.zero_()
    scheduler = EDMDPMSolverMultistepScheduler(sigma_data=DATA)
    return DDPMPipeline(unet=unet.eval(), scheduler=scheduler)


def fit_denoiser(
    pipeline: DDPMPipeline,
    pixels: Tensor,
    labels: Sequence[int],
    classes: int,
    settings: LabelledDenoiser,
    seed: int,
    resume: Resume | None = None,
) -> Iterator[Record]:
    """Train the network on `pixels` (uint8, n x 3 x side x side) and their `labels`, by EDM's weighted loss.

    Raises:
        UserError: the loss is not finite.
    """
    unet = pipeline.unet
    denoiser = LabelledEDM(unet, pipeline.scheduler)
    numbers = torch.tensor(labels)

    def loss(step: int) -> Tensor:
        random = generator(seed, 0, step)
        rows = torch.randint(len(pixels), (settings.batch,), generator=random)
        clean = pixels[rows].float() / 127.5 - 1
        noise = torch.randn(clean.shape, generator=random)
        # one level in each of `batch` equal spans is a steadier gradient than independent levels
        shares = (torch.arange(settings.batch) + torch.rand(settings.batch, generator=random)) / settings.batch
        levels = denoiser.levels(shares.clamp(*ENDS))
        said = torch.rand(settings.batch, generator=random) >= settings.unprompted
        label = torch.where(said, numbers[rows], classes)
        clean, noise, levels, label = (part.to(unet.device) for part in (clean, noise, levels, label))
        # dropout draws from the global generator, which must depend on the step alone, too
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(seed, 1, step))
            residuals = denoiser.residuals(clean, {"label": label}, noise, levels)
        value: Tensor = (denoiser.weights(levels) * residuals.square().mean(dim=(1, 2, 3))).mean()
        return value

    unet.train()
    yield from fit(
        {"unet": unet},
        loss,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        average=settings.average,
        resume=resume,
    )
    unet.eval()
