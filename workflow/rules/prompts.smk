# A concept's grammar, expanded into paired forget and retain prompts.
#
# needs: nothing but params.yaml; data/tables/NAME.csv, where the concept's `table` names it
# gives: results/{concept}/prompts/train.json and test.json, each with both lists and their coverage; test.json also with
#        the table's rows


rule prompts:
    input:
        table=table_of,
        code=code("stages/prompts.py", "csv_rows.py", "diversify/grammar.py", "diversify/table.py", "lineage/rows.py"),
        env="workflow/envs/cpu.yaml",
    output:
        train="results/{concept}/prompts/train.json",
        test="results/{concept}/prompts/test.json",
        note="results/{concept}/prompts/train.json.run.json",
    log:
        "logs/{concept}/prompts.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda w: settings(
            "seed",
            concept={key: config["concepts"][w.concept][key] for key in ("forget", "train", "test", "table")},
            grammar=config["grammars"][config["concepts"][w.concept]["grammar"]],
        ),
    message:
        "Expand the prompts of {wildcards.concept}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages prompts --settings {params.settings:q} --table {input.table:q}"
        " --train {output.train:q} --test {output.test:q} 2> >(tee {log:q} >&2)"
