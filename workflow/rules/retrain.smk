# The oracle: the base recipe on the world without the concept, scored like an unlearned model.
#
# needs: results/world.parquet; then what samples, evaluate and summary of the base model need
# gives: results/{concept}/retrain/seed{seed}/base.json and pipeline, its pool, metrics.json, judgements and summary


rule retrain:
    input:
        world="results/world.parquet",
        code=code(
            "stages/retrain.py",
            "stages/base.py",
            "diversify/grammar.py",
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
        base="results/{concept}/retrain/seed{seed}/base.json",
        note="results/{concept}/retrain/seed{seed}/base.json.run.json",
        pipeline=[
            path.replace("results/base", "results/{concept}/retrain/seed{seed}") for path in rules.base.output.pipeline
        ],
    log:
        "logs/{concept}/retrain/retrain-seed{seed}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]  # not the base model's: oracles can run beside each other
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=training_minutes(),
    params:
        settings=lambda w: settings(
            "threads",
            "device",
            "base",
            forget=config["concepts"][w.concept]["forget"],
            seed=int(w.seed),
        ),
    message:
        "Retrain without {wildcards.concept}, seed {wildcards.seed}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages retrain --settings {params.settings:q} --world {input.world:q}"
        " --base {output.base:q} --pipeline $(dirname {output.base:q})/pipeline 2> >(tee {log:q} >&2)"


use rule samples_base as samples_retrain with:
    input:
        base="results/{concept}/retrain/seed{seed}/base.json",
        prompts="results/{concept}/prompts/test.json",
        code=rules.samples_base.input.code + ["workflow/rules/retrain.smk"],
        env="workflow/envs/torch.yaml",
    output:
        pool="results/{concept}/retrain/seed{seed}/samples.parquet",
        rows="results/{concept}/retrain/seed{seed}/samples.rows.tsv",
        note="results/{concept}/retrain/seed{seed}/samples.parquet.run.json",
    log:
        "logs/{concept}/retrain/samples-seed{seed}.log",
    params:
        settings=lambda w: settings("threads", "device", "sampling"),
    message:
        "Sample {wildcards.concept} from the oracle, seed {wildcards.seed}"


use rule evaluate as evaluate_retrain with:
    input:
        judge="results/judge/judge.json",
        config="results/judge/open_clip_config.json",
        weights="results/judge/open_clip_model.safetensors",
        reference="results/judge/reference.parquet",
        prompts="results/{concept}/prompts/test.json",
        pool="results/{concept}/retrain/seed{seed}/samples.parquet",
        base="results/judgements/{concept}.base.parquet",
        inception=inception(),
        code=rules.evaluate.input.code + ["workflow/rules/retrain.smk"],
        env="workflow/envs/torch.yaml",
    output:
        metrics="results/{concept}/retrain/seed{seed}/metrics.json",
        judged="results/judgements/{concept}.retrain.seed{seed}.parquet",
        note="results/{concept}/retrain/seed{seed}/metrics.json.run.json",
    log:
        "logs/{concept}/retrain/evaluate-seed{seed}.log",
    message:
        "Score {wildcards.concept} of the oracle, seed {wildcards.seed}"


use rule summary_base as summary_retrain with:
    input:
        metrics="results/{concept}/retrain/seed{seed}/metrics.json",
        judged="results/judgements/{concept}.retrain.seed{seed}.parquet",
        pool="results/{concept}/retrain/seed{seed}/samples.parquet",
        notes=[
            "results/{concept}/retrain/seed{seed}/base.json.run.json",
            "results/{concept}/retrain/seed{seed}/samples.parquet.run.json",
            "results/{concept}/retrain/seed{seed}/metrics.json.run.json",
        ],
        code=rules.summary.input.code + ["workflow/rules/retrain.smk"],
        env="workflow/envs/cpu.yaml",
    output:
        summary="results/summaries/{concept}.retrain.seed{seed}.json",
        note="results/summaries/{concept}.retrain.seed{seed}.json.run.json",
    log:
        "logs/{concept}/retrain/summary-seed{seed}.log",
    params:
        settings=lambda w: settings(concept=w.concept, method="retrain", seed=int(w.seed)),
    message:
        "Sum up {wildcards.concept} of the oracle, seed {wildcards.seed}"
