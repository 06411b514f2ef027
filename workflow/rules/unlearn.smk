# Take the forget set out of the base model while keeping the retain set.
#
# needs: results/base/base.json, results/{concept}/encoded/{forget,retain}.safetensors
# gives: results/{concept}/{method}/seed{seed}/model.safetensors, its card, and training.tsv (telemetry per step)


rule unlearn:
    input:
        base="results/base/base.json",
        forget="results/{concept}/encoded/forget.safetensors",
        retain="results/{concept}/encoded/retain.safetensors",
        code=code(
            "stages/unlearn.py", "unlearn", "models", "corpus.py", "card.py", "encoded.py", "resume.py", "weights.py"
        ),
        env="workflow/envs/torch.yaml",
    output:
        model="results/{concept}/{method}/seed{seed}/model.safetensors",
        training="results/{concept}/{method}/seed{seed}/training.tsv",
        card="results/{concept}/{method}/seed{seed}/README.md",
        note="results/{concept}/{method}/seed{seed}/model.safetensors.run.json",
    log:
        "logs/{concept}/{method}/unlearn-seed{seed}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=memory(),
        runtime=minutes(240),
    params:
        settings=lambda w: settings("threads", "device", method=config["methods"][w.method], seed=int(w.seed)),
    message:
        "Unlearn {wildcards.concept} by {wildcards.method}, seed {wildcards.seed}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages unlearn --settings {params.settings:q}"
        " --base {input.base:q} --forget {input.forget:q} --retain {input.retain:q}"
        " --model {output.model:q} --training {output.training:q} --card {output.card:q} 2> >(tee {log:q} >&2)"
