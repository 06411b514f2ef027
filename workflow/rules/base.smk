# The base model, a true Stable Diffusion pipeline, trained on the world's own split.
#
# needs: results/world.parquet
# gives: results/base/base.json, which lists every file of results/base/pipeline with its sha256


rule base:
    input:
        world="results/world.parquet",
        code=code("stages/base.py", "train/base.py", "train/fit.py", "resume.py", "corpus.py", "models/checkpoint.py"),
        env="workflow/envs/torch.yaml",
    output:
        base="results/base/base.json",
        note="results/base/base.json.run.json",
        pipeline=collect(
            "results/base/pipeline/{file}",
            file=[
                "model_index.json",
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "text_encoder/model.safetensors",
                "tokenizer/tokenizer.json",
                "tokenizer/tokenizer_config.json",
                "unet/config.json",
                "unet/diffusion_pytorch_model.safetensors",
                "vae/config.json",
                "vae/diffusion_pytorch_model.safetensors",
            ],
        ),
    log:
        "logs/base.log",
    conda:
        "../envs/torch.yaml"
    threads: config["base"]["threads"]
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        settings=lambda w: settings("seed", "device", "base", threads=config["base"]["threads"]),
    message:
        "Train the base model"
    shell:
        "PYTHONPATH=src python -m unpaint.stages base --settings {params.settings:q} --world {input.world:q}"
        " --base {output.base:q} --pipeline results/base/pipeline 2> >(tee {log:q} >&2)"
