# The judge, an open_clip model: trained on the world's own split, or a published one that is pinned; it is held against
# the world's reference split.
#
# needs: results/world.parquet, results/base/base.json (random latents of its autoencoder are pictures of nothing), and
#        what judge.source names: the world again, or data/judges/NAME.json; data/inception/NAME.pth, if FID is asked for
# gives: results/judge/judge.json (its accuracy), the model in open_clip's layout, its features of held-out real pictures


rule judge:
    input:
        world="results/world.parquet",
        source=config["judge"]["source"],
        base="results/base/base.json",
        inception=inception(),
        code=code(
            "stages/judge.py",
            "sources.py",
            "intact.py",
            "train/judge.py",
            "train/tower.py",
            "train/easel.py",
            "train/strokes.py",
            "train/photographs.py",
            "train/fit.py",
            "evaluate/inception.py",
            "evaluate/judge.py",
            "evaluate/reference.py",
            "evaluate/statistics.py",
            "worlds",
            "csv_rows.py",
            "folder.py",
            "resume.py",
            "corpus.py",
            "models/checkpoint.py",
        ),
        env="workflow/envs/torch.yaml",
    output:
        judge="results/judge/judge.json",
        config="results/judge/open_clip_config.json",
        weights="results/judge/open_clip_model.safetensors",
        reference="results/judge/reference.parquet",
        note="results/judge/judge.json.run.json",
    log:
        "logs/judge.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=judge_memory(),
        runtime=120,
    params:
        settings=lambda w: settings(
            "seed",
            "threads",
            "device",
            "judge",
            "questions",
            world=config["world"]["kind"],
            evaluation=config["evaluation"]["inception"],
        ),
    message:
        "The judge"
    shell:
        "PYTHONPATH=src python -m unpaint.stages judge --settings {params.settings:q}"
        " --world {input.world:q} --source {input.source:q}"
        " --base {input.base:q} --inception {input.inception:q}"
        " --judge {output.judge:q} --config {output.config:q} --weights {output.weights:q}"
        " --reference {output.reference:q} 2> >(tee {log:q} >&2)"
