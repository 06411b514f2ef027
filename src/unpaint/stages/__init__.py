"""One module per stage, one stage per rule: `python -m unpaint.stages NAME --settings JSON --ROLE PATH ...`."""
