"""Take a concept out of a text-to-image model, and show which data did it."""

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"


configfile: "params.yaml"


wildcard_constraints:
    grammar=r"[A-Za-z][A-Za-z0-9_-]*",
    concept=r"[A-Za-z][A-Za-z0-9_-]*",
    method=r"(?!(retrain|models)[./])[A-Za-z][A-Za-z0-9_-]*",
    model=r"[A-Za-z][A-Za-z0-9_-]*",
    seed=r"\d+",
    set="forget|retain",


include: "workflow/rules/world.smk"
include: "workflow/rules/base.smk"
include: "workflow/rules/judge.smk"
include: "workflow/rules/prompts.smk"
include: "workflow/rules/anchors.smk"
include: "workflow/rules/images.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/unlearn.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/retrain.smk"
include: "workflow/rules/model.smk"
include: "workflow/rules/propose.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/report.smk"


report: "workflow/report.rst"


rule all:
    input:
        "results/report.html",
        collect("results/proposals/{grammar}.json", grammar=config["proposals"]),
        # and all that it is made from: a job that fails takes its outputs with it, while the report of before stays
        campaign(),
        rules.report.input.base,
        rules.report.input.models,
        rules.report.input.oracles,
        rules.report.input.theirs,
        rules.report.input.comparison,
