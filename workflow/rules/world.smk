# The data that trains base model and judge in one corpus: drawn, the user's own captioned pictures, or a data set; none has no row.
#
# needs: data/withdrawn/world.jsonl; data/worlds/NAME/*, where world.path names it, or data/worlds/NAME.json, where world.source does
# gives: results/world.parquet (pictures, captions, split of each row) and its rows.tsv


rule world:
    input:
        # functions, so that no other job's process lists the folder
        source=config["world"].get("source", []),  # of a data set, its pin
        listing=lambda w: listing(config["world"].get("path")),
        pictures=lambda w: pictures(config["world"].get("path")),
        withdrawn="data/withdrawn/world.jsonl",
        code=code(
            "stages/world.py",
            "worlds",
            "csv_rows.py",
            "folder.py",
            "sources.py",
            "intact.py",
            "models/checkpoint.py",
            "corpus.py",
            "tombstones.py",
        ),
        env="workflow/envs/cpu.yaml",
    output:
        corpus="results/world.parquet",
        rows="results/world.rows.tsv",
        note="results/world.parquet.run.json",
    log:
        "logs/world.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=lambda w: settings("seed", "world"),
    message:
        "Draw the world"
    shell:
        "PYTHONPATH=src python -m unpaint.stages world --settings {params.settings:q} --pictures {input.listing:q}"
        " --source {input.source:q} --withdrawn {input.withdrawn:q}"
        " --corpus {output.corpus:q} --rows {output.rows:q} 2> >(tee {log:q} >&2)"
