"""What is said of published models before they are pinned, held against their published configs."""

import diffusers
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from tests.world import ROOT
from unpaint import known
from unpaint.models import families
from unpaint.params import plain

LARGE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
HUGE = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
XXL = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
SEES = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}


def clip(sizes, kind=CLIPTextModel):
    width = sizes["hidden_size"]
    return kind(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, projection_dim=width, **sizes))


def t5():
    return T5EncoderModel(T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **XXL))


def safety_checker():
    seen = {**SEES, "patch_size": 14, "image_size": 224}
    return StableDiffusionSafetyChecker(CLIPConfig(vision_config=seen, text_config={}, projection_dim=768))


def autoencoder(channels):
    own = channels == 4
    return diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=channels,
        use_quant_conv=own,
        use_post_quant_conv=own,
    )


BESIDE = {
    "sd14": lambda: (autoencoder(4), clip(LARGE), safety_checker()),
    "sdxl": lambda: (autoencoder(4), clip(LARGE), clip(HUGE, CLIPTextModelWithProjection)),
    "sd3": lambda: (
        autoencoder(16),
        clip(LARGE, CLIPTextModelWithProjection),
        clip(HUGE, CLIPTextModelWithProjection),
        t5(),
    ),
    "flux": lambda: (autoencoder(16), clip(LARGE), t5()),
}


@pytest.mark.parametrize("name", known.CHECKPOINTS)
def test_the_size_of_a_checkpoint_is_that_of_its_published_configs(name):
    found = known.CHECKPOINTS[name]
    kind, config = known.NETWORKS[found.network]
    with torch.device("meta"):
        parts = (getattr(diffusers, kind)(**config), *BESIDE[found.network]())
    assert found.parameters == sum(values.numel() for part in parts for values in part.parameters())
    assert families.named(found.family).network == ("unet" if "UNet" in kind else "transformer")


def test_the_size_of_the_judge_is_that_of_its_config():
    import open_clip

    judge = open_clip.create_model("ViT-B-32")
    assert sum(values.numel() for values in judge.parameters()) == known.VIT_B_32


@pytest.mark.parametrize("preset", sorted(ROOT.glob("presets/*.yaml")), ids=lambda path: path.stem)
def test_what_a_preset_says_to_pin_is_known(preset):
    text = preset.read_text(encoding="utf-8")
    if preset.stem.startswith("tiny"):
        return
    given = plain(preset)
    for key, kept in (("base", known.CHECKPOINTS), ("judge", known.OTHERS), ("world", known.OTHERS)):
        source = given[key].get("source", "results/")
        if source.startswith("data/"):
            found = kept[source.rpartition("/")[2].removesuffix(".json")]
            said = found.repository if key == "base" else found.source
            assert (
                f"#   unpaint pin {'' if key == 'base' else '--judge ' if key == 'judge' else '--dataset '}{said}\n"
                in text
            )
