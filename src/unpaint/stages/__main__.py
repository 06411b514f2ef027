"""`python -m unpaint.stages NAME ...`: run one stage; in a fork of the warm process where `unpaint warm` keeps one."""

from __future__ import annotations

import importlib
import sys

from unpaint import warm


def main(arguments: list[str]) -> int:
    """Run the stage that the first argument names with the others; its exit code."""
    code = warm.hand_over("unpaint.stages", arguments)
    if code is not None:
        return code
    from unpaint.lineage import stage

    name = arguments[0]
    stage.main(getattr(importlib.import_module(f"unpaint.stages.{name}"), name), arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
