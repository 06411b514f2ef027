# A concept's forget set and retain set: the base model renders its training prompts, or they are pictures of the world
# that it was trained on, or the user's own.
#
# needs: results/base/base.json, results/{concept}/prompts/train.json, what base.source names; data/sets/NAME/*, where the
#        concept names it; data/withdrawn/concepts/{concept}.jsonl, if anything of it was withdrawn
# gives: results/{concept}/images/{forget,retain}.parquet and their rows.tsv


rule images:
    input:
        base="results/base/base.json",
        prompts="results/{concept}/prompts/train.json",
        source=config["base"]["source"],
        listing=lambda w: listing(own_set(w)),
        pictures=lambda w: pictures(own_set(w)),
        withdrawn=lambda w: tombstones(w.concept),
        code=code(
            "stages/images.py",
            "csv_rows.py",
            "folder.py",
            "sample.py",
            "corpus.py",
            "rendered.py",
            "tombstones.py",
            "encoded.py",
            "diversify/grammar.py",
            "models",
        ),
        env="workflow/envs/torch.yaml",
    output:
        corpus="results/{concept}/images/{set}.parquet",
        rows="results/{concept}/images/{set}.rows.tsv",
        note="results/{concept}/images/{set}.parquet.run.json",
    log:
        "logs/{concept}/images-{set}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=memory(),
        runtime=minutes(120),
    params:
        settings=lambda w: settings("threads", "device", "sampling", set=w.set, source=source_of(w)),
    message:
        "Render the {wildcards.set} set of {wildcards.concept}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages images --settings {params.settings:q}"
        " --base {input.base:q} --prompts {input.prompts:q} --source {input.source:q}"
        " --pictures {input.listing:q} --withdrawn {input.withdrawn:q}"
        " --corpus {output.corpus:q} --rows {output.rows:q} 2> >(tee {log:q} >&2)"
