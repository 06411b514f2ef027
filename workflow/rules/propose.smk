# Further values for a grammar's dimensions, proposed by a local language model; nothing reads them but a person.
#
# needs: data/language/NAME.json, which proposals.GRAMMAR.model names
# gives: results/proposals/{grammar}.json


rule propose:
    input:
        model=lambda w: config["proposals"][w.grammar]["model"],
        code=code(
            "stages/propose.py",
            "language.py",
            "sources.py",
            "intact.py",
            "diversify/llm.py",
            "diversify/grammar.py",
            "models/checkpoint.py",
            "corpus.py",
        ),
        env="workflow/envs/torch.yaml",
    output:
        proposals="results/proposals/{grammar}.json",
        note="results/proposals/{grammar}.json.run.json",
    log:
        "logs/proposals/{grammar}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=lambda w: memory(config["proposals"][w.grammar]["model"]),
        runtime=60,
    params:
        settings=lambda w: settings(
            "seed",
            "threads",
            "device",
            proposal=config["proposals"][w.grammar],
            grammar=config["grammars"][w.grammar],
        ),
    message:
        "Propose values for {wildcards.grammar}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages propose --settings {params.settings:q}"
        " --model {input.model:q} --proposals {output.proposals:q} 2> >(tee {log:q} >&2)"
