# One self-contained page of the whole campaign.
#
# needs: results/summaries/*.json of every concept, method and seed, results/comparison.json
# gives: results/report.html


rule report:
    input:
        base=collect("results/summaries/{concept}.base.json", concept=config["concepts"]),
        models=collect(
            "results/summaries/{concept}.{method}.seed{seed}.json",
            concept=config["concepts"],
            method=config["methods"],
            seed=config["seeds"],
        ),
        oracles=collect(
            "results/summaries/{concept}.retrain.seed{seed}.json",
            concept=config["oracles"]["concepts"],
            seed=config["oracles"]["seeds"],
        ),
        theirs=collect(
            "results/summaries/{concept}.models.{model}.json",
            concept=config["concepts"],
            model=config["models"],
        ),
        comparison="results/comparison.json",
        code=code(
            "stages/report.py",
            "report",
            "corpus.py",
            "evaluate/accuracy.py",
            "evaluate/statistics.py",
            "unlearn/monotone.py",
        ),
        page=["src/unpaint/report/page.html", "src/unpaint/report/palette.css"],
        env="workflow/envs/cpu.yaml",
    output:
        html=report("results/report.html", caption="../report.rst", category="Campaign"),
        note="results/report.html.run.json",
    log:
        "logs/report.log",
    conda:
        "../envs/cpu.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=lambda w: settings(
            "seeds",
            "oracles",
            "report",
            concepts=[*config["concepts"]],
            methods=[*config["methods"]],
            models=[*config["models"]],
        ),
    message:
        "Write the report"
    shell:
        "PYTHONPATH=src python -m unpaint.stages report --settings {params.settings:q}"
        " --summaries {input.base:q} {input.models:q} {input.oracles:q} {input.theirs:q}"
        " --comparison {input.comparison:q} --html {output.html:q} 2> >(tee {log:q} >&2)"
