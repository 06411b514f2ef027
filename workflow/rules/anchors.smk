# What the forget prompts of training can be led to.
#
# needs: results/{concept}/prompts/train.json
# gives: results/{concept}/prompts/anchors.json


rule anchors:
    input:
        prompts="results/{concept}/prompts/train.json",
        code=code("stages/anchors.py", "corpus.py", "diversify/anchor.py", "diversify/grammar.py", "lineage/rows.py"),
        env="workflow/envs/cpu.yaml",
    output:
        anchors="results/{concept}/prompts/anchors.json",
        note="results/{concept}/prompts/anchors.json.run.json",
    log:
        "logs/{concept}/anchors.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=lambda w: settings(
            grammar=config["grammars"][config["concepts"][w.concept]["grammar"]],
            **{key: config["concepts"][w.concept][key] for key in ("forget", "anchor")},
        ),
    message:
        "List the anchors of {wildcards.concept}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages anchors --settings {params.settings:q}"
        " --prompts {input.prompts:q} --anchors {output.anchors:q} 2> >(tee {log:q} >&2)"
