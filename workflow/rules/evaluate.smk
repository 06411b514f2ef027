# Score a pool by the judge, with intervals, paired against the base model's pool.
#
# needs: the pool, the judge and its features of real pictures, results/{concept}/prompts/test.json; data/inception/NAME.pth,
#        if FID is asked for
# gives: metrics.json beside the pool, and results/judgements/*.parquet (the judge's answers picture by picture)


rule evaluate:
    input:
        judge="results/judge/judge.json",
        config="results/judge/open_clip_config.json",
        weights="results/judge/open_clip_model.safetensors",
        reference="results/judge/reference.parquet",
        prompts="results/{concept}/prompts/test.json",
        pool="results/{concept}/{method}/seed{seed}/samples.parquet",
        base="results/judgements/{concept}.base.parquet",
        inception=inception(),
        code=code("stages/evaluate.py", "evaluate", "corpus.py"),
        env="workflow/envs/torch.yaml",
    output:
        metrics="results/{concept}/{method}/seed{seed}/metrics.json",
        judged="results/judgements/{concept}.{method}.seed{seed}.parquet",
        note="results/{concept}/{method}/seed{seed}/metrics.json.run.json",
    log:
        "logs/{concept}/{method}/evaluate-seed{seed}.log",
    priority: 2
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=judge_memory(),
        runtime=60,
    params:
        settings=lambda w: settings("threads", "device", "questions", "evaluation"),
    message:
        "Score {wildcards.concept} after {wildcards.method}, seed {wildcards.seed}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages evaluate --settings {params.settings:q}"
        " --judge {input.judge:q} --judge-config {input.config:q} --judge-weights {input.weights:q}"
        " --reference {input.reference:q} --prompts {input.prompts:q} --pool {input.pool:q} --base {input.base:q}"
        " --inception {input.inception:q}"
        " --metrics {output.metrics:q} --judged {output.judged:q} 2> >(tee {log:q} >&2)"


rule evaluate_base:
    input:
        judge="results/judge/judge.json",
        config="results/judge/open_clip_config.json",
        weights="results/judge/open_clip_model.safetensors",
        reference="results/judge/reference.parquet",
        prompts="results/{concept}/prompts/test.json",
        pool="results/{concept}/base/samples.parquet",
        inception=inception(),
        code=rules.evaluate.input.code,
        env="workflow/envs/torch.yaml",
    output:
        metrics="results/{concept}/base/metrics.json",
        judged="results/judgements/{concept}.base.parquet",
        note="results/{concept}/base/metrics.json.run.json",
    log:
        "logs/{concept}/base/evaluate.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=judge_memory(),
        runtime=60,
    params:
        settings=lambda w: settings("threads", "device", "questions", "evaluation"),
    message:
        "Score {wildcards.concept} of the base model"
    shell:
        "PYTHONPATH=src python -m unpaint.stages evaluate --settings {params.settings:q}"
        " --judge {input.judge:q} --judge-config {input.config:q} --judge-weights {input.weights:q}"
        " --reference {input.reference:q} --prompts {input.prompts:q} --pool {input.pool:q}"
        " --inception {input.inception:q}"
        " --metrics {output.metrics:q} --judged {output.judged:q} 2> >(tee {log:q} >&2)"
