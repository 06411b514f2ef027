# Latents and prompt embeddings of a corpus, made once instead of at every step of every model; of a forget set also the
# anchors' embeddings.
#
# needs: results/base/base.json, results/{concept}/images/{set}.parquet, results/{concept}/prompts/anchors.json
# gives: results/{concept}/encoded/{set}.safetensors


rule encode:
    input:
        base="results/base/base.json",
        anchors="results/{concept}/prompts/anchors.json",
        corpus="results/{concept}/images/{set}.parquet",
        code=code(
            "stages/encode.py",
            "nearest.py",
            "encoded.py",
            "corpus.py",
            "models",
        ),
        env="workflow/envs/torch.yaml",
    output:
        encoded="results/{concept}/encoded/{set}.safetensors",
        note="results/{concept}/encoded/{set}.safetensors.run.json",
    log:
        "logs/{concept}/encode-{set}.log",
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem_mb=memory(),
        runtime=minutes(60),
    params:
        settings=lambda w: settings("threads", "device", "sampling", set=w.set),
    message:
        "Encode the {wildcards.set} set of {wildcards.concept}"
    shell:
        "PYTHONPATH=src python -m unpaint.stages encode --settings {params.settings:q}"
        " --base {input.base:q} --anchors {input.anchors:q} --corpus {input.corpus:q}"
        " --encoded {output.encoded:q} 2> >(tee {log:q} >&2)"
