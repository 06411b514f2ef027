# What the report shows of one model, in one small file: scores, pictures, telemetry, cost, hashes.
#
# needs: all that was made for the model, and the run notes beside it
# gives: results/summaries/{concept}.{method}.seed{seed}.json, and results/summaries/{concept}.base.json


rule summary:
    input:
        metrics="results/{concept}/{method}/seed{seed}/metrics.json",
        judged="results/judgements/{concept}.{method}.seed{seed}.parquet",
        pool="results/{concept}/{method}/seed{seed}/samples.parquet",
        training="results/{concept}/{method}/seed{seed}/training.tsv",
        notes=[
            "results/{concept}/encoded/forget.safetensors.run.json",
            "results/{concept}/encoded/retain.safetensors.run.json",
            "results/{concept}/{method}/seed{seed}/model.safetensors.run.json",
            "results/{concept}/{method}/seed{seed}/samples.parquet.run.json",
            "results/{concept}/{method}/seed{seed}/metrics.json.run.json",
        ],
        code=code(
            "stages/summary.py", "corpus.py", "evaluate/judgements.py", "evaluate/statistics.py", "unlearn/monotone.py"
        ),
        env="workflow/envs/cpu.yaml",
    output:
        summary="results/summaries/{concept}.{method}.seed{seed}.json",
        note="results/summaries/{concept}.{method}.seed{seed}.json.run.json",
    log:
        "logs/{concept}/{method}/summary-seed{seed}.log",
    priority: 3
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda w: settings(concept=w.concept, method=w.method, seed=int(w.seed)),
    message:
        "Sum up {wildcards.concept} after {wildcards.method}, seed {wildcards.seed}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages summary --settings {params.settings:q}"
        " --metrics {input.metrics:q} --judged {input.judged:q} --pool {input.pool:q}"
        " --training {input.training:q} --notes {input.notes:q} --summary {output.summary:q} 2> >(tee {log:q} >&2)"


rule summary_base:
    input:
        metrics="results/{concept}/base/metrics.json",
        judged="results/judgements/{concept}.base.parquet",
        pool="results/{concept}/base/samples.parquet",
        notes=[
            "results/world.parquet.run.json",
            "results/base/base.json.run.json",
            "results/judge/judge.json.run.json",
            "results/{concept}/prompts/train.json.run.json",
            "results/{concept}/prompts/anchors.json.run.json",
            "results/{concept}/images/forget.parquet.run.json",
            "results/{concept}/images/retain.parquet.run.json",
            "results/{concept}/base/samples.parquet.run.json",
            "results/{concept}/base/metrics.json.run.json",
        ],
        code=rules.summary.input.code,
        env="workflow/envs/cpu.yaml",
    output:
        summary="results/summaries/{concept}.base.json",
        note="results/summaries/{concept}.base.json.run.json",
    log:
        "logs/{concept}/base/summary.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda w: settings(concept=w.concept, method="base"),
    message:
        "Sum up {wildcards.concept} of the base model"
    shell:
        "PYTHONPATH=src python -m unpaint.stages summary --settings {params.settings:q}"
        " --metrics {input.metrics:q} --judged {input.judged:q} --pool {input.pool:q}"
        " --notes {input.notes:q} --summary {output.summary:q} 2> >(tee {log:q} >&2)"
