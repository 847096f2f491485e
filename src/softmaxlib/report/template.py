"""The pages' templates, style and script; a page runs no script but this one, allowed by its hash."""

import base64
import hashlib
from importlib import resources
from typing import Any

from .._extras import require
from .._text import format_count
from . import formats


def fill(name: str, **content: Any) -> str:
    """Fill one template; every text is escaped, and control characters are made visible."""
    require("jinja2", "an HTML report")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("softmaxlib.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=formats.shown,
    )
    environment.filters.update(
        share=formats.share,
        number=formats.number,
        count=format_count,
        chance=formats.chance,
        counted=formats.counted,
        moment=formats.moment,
        share_range=formats.share_range,
        number_range=formats.number_range,
    )
    script = read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(name).render(
        css=read("page.css"), script=script, script_hash=f"sha256-{digest}", **content
    )


def read(name: str) -> str:
    """Read the page's style or its script."""
    return resources.files("softmaxlib.report").joinpath(f"page/{name}").read_text("utf-8")
