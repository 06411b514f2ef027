import pytest
import torch
from hypothesis import settings

from tests.checkpoints import SIDE, build, clip_tokenizer, stable_diffusion
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
    torch.manual_seed(3)
    made = stable_diffusion(tokenizer)
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
