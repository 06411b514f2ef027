"""A tiny checkpoint of every family, in the layout of the Hub, with random weights of diffusers' own classes."""

import gzip
import json
import shutil
import tempfile
from pathlib import Path

import torch

SIDE = 16
LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def clip_tokenizer(length=77):
    """CLIP's own words in small: bytes, bytes that end a word, the first merges; quick to load."""
    from open_clip.tokenizer import SimpleTokenizer, default_bpe
    from transformers import CLIPTokenizer

    words = list(SimpleTokenizer().encoder)[: 512 + 300]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    with gzip.open(default_bpe(), "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:301]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def autoencoder(**changes):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=SIDE,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        **changes,
    ).eval()


def clip(tokenizer, width=8, projected=False):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=tokenizer.model_max_length,
        hidden_size=width,
        projection_dim=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        **ends,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


SENTENCE = "a red two, a blue seven: the quick brown fox jumps over the lazy dog"


def pieces(folder):
    """A sentencepiece model of few words, as the Hub has it: no tokenizer.json beside it."""
    from sentencepiece import SentencePieceTrainer

    folder.mkdir(parents=True, exist_ok=True)
    ends = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    size = {"vocab_size": 40, "hard_vocab_limit": False, "num_threads": 1, "minloglevel": 2}
    SentencePieceTrainer.train(
        sentence_iterator=iter([SENTENCE] * 20), model_prefix=str(folder / "spiece"), **size, **ends
    )
    (folder / "spiece.vocab").unlink()
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"unk_token": "<unk>"}))


def t5(width=32):
    """A T5 encoder and its tokenizer."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    with tempfile.TemporaryDirectory() as folder:
        pieces(Path(folder))
        tokenizer = T5Tokenizer.from_pretrained(folder)
    config = T5Config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval(), tokenizer


def stable_diffusion(tokenizer, kind="epsilon"):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    from tests.unit.tiny import unet

    return StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        unet=unet(3).eval(),
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1, prediction_type=kind),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(tokenizer):
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    from tests.unit.tiny import unet

    network = unet(
        3,
        cross_attention_dim=16,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 8,
    )
    return StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=clip(tokenizer),
        text_encoder_2=clip(tokenizer, projected=True),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=network.eval(),
        scheduler=EulerDiscreteScheduler(),
        add_watermarker=False,
    )


def stable_diffusion_3(tokenizer):
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    encoder, letters = t5()
    network = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=16,
        pooled_projection_dim=16,
        pos_embed_max_size=8,
    )
    return StableDiffusion3Pipeline(
        transformer=network.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip(tokenizer, projected=True),
        tokenizer=tokenizer,
        text_encoder_2=clip(tokenizer, projected=True),
        tokenizer_2=tokenizer,
        text_encoder_3=encoder,
        tokenizer_3=letters,
    )


def flux(tokenizer):
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    encoder, letters = t5()
    network = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=8,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return FluxPipeline(
        transformer=network.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        vae=autoencoder(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, scaling_factor=0.4),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=encoder,
        tokenizer_2=letters,
    )


def pixart(_):
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    encoder, letters = t5()
    network = PixArtTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        cross_attention_dim=16,
        caption_channels=32,
    )
    return PixArtSigmaPipeline(
        tokenizer=letters,
        text_encoder=encoder,
        vae=autoencoder(),
        transformer=network.eval(),
        scheduler=DPMSolverMultistepScheduler(),
    )


def dit(_):
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    network = DiTTransformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        num_embeds_ada_norm=1000,
    )
    return DiTPipeline(transformer=network.eval(), vae=autoencoder(), scheduler=DDIMScheduler(clip_sample=False))


def pixel_unet(scheduler, classes):
    from diffusers import DDPMPipeline, UNet2DModel

    network = UNet2DModel(
        sample_size=SIDE,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=4,
        norm_num_groups=4,
        num_class_embeds=classes,
    )
    return DDPMPipeline(unet=network.eval(), scheduler=scheduler)


def unet2d(_):
    from diffusers import DDPMScheduler

    return pixel_unet(DDPMScheduler(), len(LABELS) + 1)


def edm(_):
    from diffusers import EDMEulerScheduler

    return pixel_unet(EDMEulerScheduler(), len(LABELS))


BUILDERS = {
    "SD1": stable_diffusion,
    "SD2-v": lambda tokenizer: stable_diffusion(tokenizer, "v_prediction"),
    "SDXL": stable_diffusion_xl,
    "SD3": stable_diffusion_3,
    "FLUX": flux,
    "PixArt": pixart,
    "DiT": dit,
    "UNet2D": unet2d,
    "EDM": edm,
}

HALF = {
    "SDXL": ("text_encoder", "text_encoder_2"),
    "SD3": ("text_encoder", "text_encoder_2", "text_encoder_3"),
    "FLUX": ("text_encoder", "text_encoder_2"),
}


def judge(folder):
    """Write a tiny judge with random weights, in the layout of open_clip's repositories; it reads 77 tokens."""
    from safetensors.torch import save_file

    from unpaint.params import JudgeTraining
    from unpaint.train.judge import build as untrained
    from unpaint.train.judge import configuration

    sizes = {"image_tower": "test_resnet", "text_width": 32, "text_layers": 1, "tokens": 77, "embedding": 16}
    training = {"steps": 1, "batch": 1, "learning_rate": 1.0, "weight_decay": 0.0, "nothing": 0.0, "roundtrip": 0.0}
    settings = JudgeTraining(source="results/world.parquet", **sizes, **training)
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(configuration(settings, 32)))
    save_file(untrained(settings, 32, 0).state_dict(), folder / "open_clip_model.safetensors")


CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def dataset(folder, rows=720, labels=CIFAR):
    """Write pictures of noise of 32x32 pixels, labelled in turn, in two files; give the pictures."""
    import numpy as np
    from datasets import ClassLabel, Dataset, Features, Image

    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (rows, 32, 32, 3), dtype=np.uint8)
    features = Features({"img": Image(), "label": ClassLabel(names=list(labels))})
    folder.mkdir(parents=True)
    for name, part in (("test", range(rows // 6)), ("train", range(rows // 6, rows))):
        given = {"img": [pictures[row] for row in part], "label": [row % len(labels) for row in part]}
        Dataset.from_dict(given, features).to_parquet(folder / f"{name}-00000-of-00001.parquet")
    return pictures


def language_model(folder):
    """Write a causal model of random weights that knows letters and the marks of a list."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = ["<end>", *'abcdefghijklmnopqrstuvwxyz "[],\n']
    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<end>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", clean_up_tokenization_spaces=False)
    torch.manual_seed(0)
    sizes = {"vocab_size": len(words), "n_positions": 2048, "n_embd": 16, "n_layer": 1, "n_head": 2}
    config = GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


NAMED = {name: {str(number): label for number, label in enumerate(LABELS)} for name in ("UNet2D", "EDM")}
NAMED["DiT"] = {str(number): f"kind {number}, sort {number}" for number in range(1000)}
NAMED["DiT"] |= {str(number): f"{label}, digit {number}" for number, label in enumerate(LABELS)}


def build(family, tokenizer, folder):
    """Write a tiny checkpoint of a family, and give its pipeline."""
    torch.manual_seed(3)
    pipeline = BUILDERS[family](tokenizer)
    for _, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            # some begin at zero, and would predict nothing whatever they are asked
            for parameter in part.parameters():
                if not parameter.abs().sum():
                    torch.nn.init.normal_(parameter, std=0.1)
    for name in HALF.get(family, ()):
        # as on the Hub
        getattr(pipeline, name).half()
    pipeline.save_pretrained(folder, safe_serialization=True)
    for name in HALF.get(family, ()):
        getattr(pipeline, name).float()
    if family == "PixArt":
        shutil.rmtree(folder / "tokenizer")
        pieces(folder / "tokenizer")
    if named := NAMED.get(family):
        # of the Hub's DiT the index has it as well, but no pipeline of diffusers writes it
        index = folder / "model_index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "id2label": named}))
    return pipeline


def inception_tensors() -> dict[str, torch.Tensor]:
    """Random weights of FID's Inception network under the published names, of a size that keeps activations alive."""
    from unittest.mock import patch

    from pytorch_fid import inception

    with patch.object(inception, "load_state_dict_from_url"), patch("torchvision.models.Inception3.load_state_dict"):
        layout = inception.fid_inception_v3().state_dict()
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.ones_like(given)
        if given.ndim < 2
        else torch.randn(given.shape, generator=generator) * (2 / given[0].numel()) ** 0.5
        for name, given in layout.items()
    }
