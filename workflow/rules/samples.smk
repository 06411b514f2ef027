# One pool of pictures per model, from the test prompts of both lists: every metric reads it.
#
# needs: results/base/base.json, results/{concept}/prompts/test.json, and the weights of an unlearned model
# gives: results/{concept}/{method}/seed{seed}/samples.parquet, and results/{concept}/base/samples.parquet


rule samples:
    input:
        base="results/base/base.json",
        prompts="results/{concept}/prompts/test.json",
        model="results/{concept}/{method}/seed{seed}/model.safetensors",
        code=code(
            "stages/samples.py",
            "sample.py",
            "corpus.py",
            "rendered.py",
            "encoded.py",
            "weights.py",
            "diversify/grammar.py",
            "csv_rows.py",
            "diversify/table.py",
            "models",
        ),
        env="workflow/envs/torch.yaml",
    output:
        pool="results/{concept}/{method}/seed{seed}/samples.parquet",
        rows="results/{concept}/{method}/seed{seed}/samples.rows.tsv",
        note="results/{concept}/{method}/seed{seed}/samples.parquet.run.json",
    log:
        "logs/{concept}/{method}/samples-seed{seed}.log",
    priority: 1  # what is made is scored first, so that a campaign tells early how it goes
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=memory(),
        runtime=minutes(120),
    params:
        settings=lambda w: settings("threads", "device", "sampling"),
    message:
        "Sample {wildcards.concept} after {wildcards.method}, seed {wildcards.seed}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages samples --settings {params.settings:q}"
        " --base {input.base:q} --prompts {input.prompts:q} --model {input.model:q}"
        " --pool {output.pool:q} --rows {output.rows:q} 2> >(tee {log:q} >&2)"


rule samples_base:
    input:
        base="results/base/base.json",
        prompts="results/{concept}/prompts/test.json",
        code=rules.samples.input.code,
        env="workflow/envs/torch.yaml",
    output:
        pool="results/{concept}/base/samples.parquet",
        rows="results/{concept}/base/samples.rows.tsv",
        note="results/{concept}/base/samples.parquet.run.json",
    log:
        "logs/{concept}/base/samples.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=memory(),
        runtime=minutes(120),
    params:
        settings=lambda w: settings("threads", "device", "sampling", distinct=True),
    message:
        "Sample {wildcards.concept} from the base model"
    shell:
        "PYTHONPATH=src python -m unpaint.stages samples --settings {params.settings:q}"
        " --base {input.base:q} --prompts {input.prompts:q}"
        " --pool {output.pool:q} --rows {output.rows:q} 2> >(tee {log:q} >&2)"
