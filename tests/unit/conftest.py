import pytest
import torch
from hypothesis import settings

from tests.checkpoints import SIDE, build, clip_tokenizer
from tests.unit.tiny import unet
from unpaint.lineage.manifest import Manifest
from unpaint.models.checkpoint import describe, strip_paths

torch.set_num_threads(1)
torch.backends.cuda.enable_cudnn_sdp(False)  # as for every stage
settings.register_profile("unit", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def tokenizer():
    return clip_tokenizer(16)


@pytest.fixture(scope="session")
def pipeline(tokenizer):
    """A random Stable Diffusion pipeline of 16x16 pictures."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(3)
    vae = AutoencoderKL(
        sample_size=16,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )
    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextModel(CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=16, **sizes, **ends))
    made = StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=unet(3).eval(),
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="session")
def checkpoints(tokenizer, tmp_path_factory):
    """Per family its base.json, built when it is first asked for."""
    made = {}

    def find(family):
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            build(family, tokenizer, folder / "pipeline")
            strip_paths(folder / "pipeline")
            describe(folder / "base.json", folder / "pipeline", Manifest("base", {"family": family}, {}), SIDE)
            made[family] = folder / "base.json"
        return made[family]

    return find
