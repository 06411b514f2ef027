# The base model: a Stable Diffusion pipeline trained on the world's own split, or a pinned checkpoint from elsewhere.
#
# needs: what base.source names: results/world.parquet, or data/checkpoints/NAME.json
# gives: results/base/base.json, which lists every file of the pipeline with its sha256; results/base/pipeline, of a
#        checkpoint only what it says of itself


rule base:
    input:
        source=config["base"]["source"],
        code=code(
            "stages/base.py",
            "train/base.py",
            "train/by_class.py",
            "train/fit.py",
            "resume.py",
            "corpus.py",
            "models/checkpoint.py",
            "models/conditions.py",
            "models/edm.py",
        ),
        env="workflow/envs/torch.yaml",
    output:
        base="results/base/base.json",
        note="results/base/base.json.run.json",
        pipeline=collect("results/base/pipeline/{file}", file=pipeline_files()),
    log:
        "logs/base.log",
    conda:
        "../envs/torch.yaml"
    threads: base_threads()
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=training_minutes(),
    params:
        settings=lambda w: settings("seed", "device", "base", threads=base_threads()),
    message:
        "The base model"
    shell:
        "PYTHONPATH=src python -m unpaint.stages base --settings {params.settings:q} --source {input.source:q}"
        " --base {output.base:q} --pipeline results/base/pipeline 2> >(tee {log:q} >&2)"
