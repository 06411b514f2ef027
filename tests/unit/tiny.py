"""A U-Net and an encoded corpus of a few numbers each."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from unpaint.encoded import Encoded

# `make test` puts it there, and not where every job would import it
sys.path.append(str(Path(sys.prefix) / "adam8bit"))
ADAM8BIT = pytest.param(
    "adam8bit", marks=pytest.mark.skipif(not find_spec("bitsandbytes"), reason="`make test` brings bitsandbytes")
)


def unet(seed=0, side=8, **changes):
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        layers_per_block=1,
        attention_head_dim=2,
        norm_num_groups=4,
        **{"block_out_channels": (8,), "cross_attention_dim": 8, **changes},
    )


def pairs(rows=6, seed=0, dtype=torch.float32):
    random = torch.Generator().manual_seed(seed)
    return Encoded(
        mean=torch.randn(rows, 4, 8, 8, generator=random).to(dtype),
        std=torch.full((rows, 4, 8, 8), 0.01, dtype=dtype),
        conditions={"text": torch.randn(3, 5, 8, generator=random).to(dtype)},
        prompt=torch.arange(rows) % 3,
        anchor=torch.arange(1, rows + 1) % 3,
        unprompted={"text": torch.randn(5, 8, generator=random).to(dtype)},
    )
