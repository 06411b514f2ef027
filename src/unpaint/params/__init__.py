"""params.yaml: the one file a user edits. Read strictly, checked whole, before either engine runs.

Every key is required: a value that shapes a result stands in the file, where both engines can see it change.
"""

from unpaint.params.checks import load, parse, tables
from unpaint.params.reading import plain
from unpaint.params.sections import (
    TIMESTEPS,
    WORLD_FILE,
    Autoencoder,
    Concept,
    Dataset,
    Denoiser,
    Detection,
    JudgeTraining,
    LabelledDenoiser,
    NudityLabel,
    Params,
    Pinned,
    Published,
    Question,
    Trained,
    TrainedByClass,
    schema,
)

__all__ = [
    "TIMESTEPS",
    "WORLD_FILE",
    "Autoencoder",
    "Concept",
    "Dataset",
    "Denoiser",
    "Detection",
    "JudgeTraining",
    "LabelledDenoiser",
    "NudityLabel",
    "Params",
    "Pinned",
    "Published",
    "Question",
    "Trained",
    "TrainedByClass",
    "load",
    "parse",
    "plain",
    "schema",
    "tables",
]
