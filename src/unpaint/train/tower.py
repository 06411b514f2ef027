"""The judge's image tower is a timm model, named in params.yaml."""

from __future__ import annotations

import difflib

from unpaint.errors import UserError


def refuse_unknown(name: str) -> None:
    """Refuse a tower that timm does not have; `unpaint check` does, before a base model is trained for hours.

    Raises:
        UserError: no such model; it names those that are spelt most alike.
    """
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; timm.list_models() has their names"
        raise UserError(f"params.yaml: judge.image_tower: timm has no model {name}{hint}")
