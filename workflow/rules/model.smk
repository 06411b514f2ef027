# Others' models, unlearned or not, scored on the same prompts and seeds as ours.
#
# needs: data/checkpoints/NAME.json, which models.NAME.source names; then what samples, evaluate and summary need
# gives: results/models/{model}.json, and per concept its pool, metrics.json, judgements and summary


rule model:
    input:
        source=lambda w: config["models"][w.model]["source"],
        code=code("stages/model.py", "corpus.py", "models/checkpoint.py"),
        env="workflow/envs/cpu.yaml",
    output:
        base="results/models/{model}.json",
        note="results/models/{model}.json.run.json",
    log:
        "logs/models/{model}.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=lambda w: settings(model=config["models"][w.model]),
    message:
        "The model {wildcards.model}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages model --settings {params.settings:q} --source {input.source:q}"
        " --base {output.base:q} 2> >(tee {log:q} >&2)"


use rule samples_base as samples_model with:
    input:
        base="results/models/{model}.json",
        prompts="results/{concept}/prompts/test.json",
        code=rules.samples_base.input.code + ["workflow/rules/model.smk"],
        env="workflow/envs/torch.yaml",
    output:
        pool="results/{concept}/models/{model}/samples.parquet",
        rows="results/{concept}/models/{model}/samples.rows.tsv",
        note="results/{concept}/models/{model}/samples.parquet.run.json",
    log:
        "logs/{concept}/models/samples-{model}.log",
    resources:
        gpu=1,
        mem_mb=lambda w: memory(config["models"][w.model]["source"]),
        runtime=24 * 60,
    params:
        settings=lambda w: settings("threads", "device", "sampling"),
    message:
        "Sample {wildcards.concept} from {wildcards.model}"


use rule evaluate as evaluate_model with:
    input:
        judge="results/judge/judge.json",
        config="results/judge/open_clip_config.json",
        weights="results/judge/open_clip_model.safetensors",
        reference="results/judge/reference.parquet",
        prompts="results/{concept}/prompts/test.json",
        pool="results/{concept}/models/{model}/samples.parquet",
        base="results/judgements/{concept}.base.parquet",
        inception=inception(),
        code=rules.evaluate.input.code + ["workflow/rules/model.smk"],
        env="workflow/envs/torch.yaml",
    output:
        metrics="results/{concept}/models/{model}/metrics.json",
        judged="results/judgements/{concept}.models.{model}.parquet",
        note="results/{concept}/models/{model}/metrics.json.run.json",
    log:
        "logs/{concept}/models/evaluate-{model}.log",
    message:
        "Score {wildcards.concept} of {wildcards.model}"


use rule summary_base as summary_model with:
    input:
        metrics="results/{concept}/models/{model}/metrics.json",
        judged="results/judgements/{concept}.models.{model}.parquet",
        pool="results/{concept}/models/{model}/samples.parquet",
        notes=[
            "results/models/{model}.json.run.json",
            "results/{concept}/models/{model}/samples.parquet.run.json",
            "results/{concept}/models/{model}/metrics.json.run.json",
        ],
        code=rules.summary.input.code + ["workflow/rules/model.smk"],
        env="workflow/envs/cpu.yaml",
    output:
        summary="results/summaries/{concept}.models.{model}.json",
        note="results/summaries/{concept}.models.{model}.json.run.json",
    log:
        "logs/{concept}/models/summary-{model}.log",
    params:
        settings=lambda w: settings(concept=w.concept, method=w.model),
    message:
        "Sum up {wildcards.concept} of {wildcards.model}"
