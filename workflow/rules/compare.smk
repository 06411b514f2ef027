# The models against each other: methods over all concepts, unlearned models and their oracles, contrasts of training data.
#
# needs: results/judgements/*.parquet of every model, results/judge/reference.parquet
# gives: results/comparison.json


rule compare:
    input:
        base=collect("results/judgements/{concept}.base.parquet", concept=config["concepts"]),
        models=collect(
            "results/judgements/{concept}.{method}.seed{seed}.parquet",
            concept=config["concepts"],
            method=config["methods"],
            seed=config["seeds"],
        ),
        oracles=collect(
            "results/judgements/{concept}.retrain.seed{seed}.parquet",
            concept=config["oracles"]["concepts"],
            seed=config["oracles"]["seeds"],
        ),
        theirs=collect(
            "results/judgements/{concept}.models.{model}.parquet",
            concept=config["concepts"],
            model=config["models"],
        ),
        reference="results/judge/reference.parquet",
        code=code(
            "stages/compare.py",
            "diversify/grammar.py",
            "evaluate/accuracy.py",
            "evaluate/comparison.py",
            "evaluate/distribution.py",
            "evaluate/judgements.py",
            "evaluate/reference.py",
            "evaluate/scores.py",
            "evaluate/statistics.py",
        ),
        env="workflow/envs/cpu.yaml",
    output:
        comparison="results/comparison.json",
        note="results/comparison.json.run.json",
    log:
        "logs/compare.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=lambda w: settings(
            "seeds",
            "oracles",
            "contrasts",
            # a list: JSON's keys are sorted, and the files come in the order of params.yaml
            concepts=[[name, given["forget"]] for name, given in config["concepts"].items()],
            methods=[*config["methods"]],
            models=[*config["models"]],
        ),
    message:
        "Compare the models"
    shell:
        "PYTHONPATH=src python -m unpaint.stages compare --settings {params.settings:q}"
        " --base {input.base:q} --models {input.models:q} --oracles {input.oracles:q} --theirs {input.theirs:q}"
        " --reference {input.reference:q} --comparison {output.comparison:q} 2> >(tee {log:q} >&2)"
