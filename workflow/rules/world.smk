# The data that trains base model and judge, drawn into one corpus.
#
# needs: nothing
# gives: results/world.parquet (pictures, captions, split of each row) and its rows.tsv


rule world:
    input:
        code=code("stages/world.py", "worlds", "corpus.py"),
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
        "PYTHONPATH=src python -m unpaint.stages.world --settings {params.settings:q}"
        " --corpus {output.corpus:q} --rows {output.rows:q} 2> >(tee {log:q} >&2)"
