"""Run by the validator's own interpreter: brings the context of RO-Crate 1.1, which it would fetch, into its cache.

The context is the one that the package rocrate 0.14 carries.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

URL = "https://w3id.org/ro/crate/1.1/context"


class Carried(BaseAdapter):
    """What the package carries, as if it had been fetched."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        response = requests.Response()
        response.url, response.status_code, response.request = URL, 200, request
        response.headers["Content-Type"] = "application/ld+json"
        content = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
        response.raw = HTTPResponse(BytesIO(content), response.headers, 200, preload_content=False)
        return response

    def close(self) -> None:
        pass


session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
session.mount("https://w3id.org", Carried())
assert session.get(URL, headers={"Accept": "application/ld+json, application/json"}).json()["@id"] == URL
