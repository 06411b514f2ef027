"""report: one self-contained HTML page of the whole campaign."""

from __future__ import annotations

from unpaint.corpus import read_json
from unpaint.lineage.manifest import Manifest, write_text
from unpaint.lineage.stage import In, Ins, Out, Settings
from unpaint.report import page
from unpaint.report.campaign import Campaign


def report(settings: Settings, manifest: Manifest, *, summaries: Ins, comparison: In, html: Out) -> None:
    """Write the page; concepts, methods and seeds stand in the order in which `summaries` name them."""
    campaign = Campaign.of([(str(path), read_json(path)) for path in summaries])
    write_text(html, page(campaign, read_json(comparison), manifest, settings["report"]["blur"]))
