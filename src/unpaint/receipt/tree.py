"""The hash tree over data: from one root to every file, and from a file of rows to every picture.

The root is the sha256 of the lines that `sha256sum` prints of the files, in the order of their paths. Among these are
the lists of rows, whose lines hold the sha256 of each picture, and of a user's own file that it came from. So a picture
is in a root if its hash is in a list whose hash is in the lines whose hash is the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def root(files: Mapping[str, str]) -> str:
    """The root over files, given as sha256 by path."""
    lines = (f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
