"""The sources, licenses and creators of a bank as a page for the card of a model that was trained with it."""

from __future__ import annotations

import textwrap

LICENSE_URLS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "MIT-0": "https://opensource.org/license/mit-0",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "BSD-3-Clause": "https://opensource.org/license/bsd-3-clause",
}


def page(manifest: dict) -> str:
    """Return the Markdown of a manifest: a table of sources and licenses, and the creators whom each of them names."""
    groups: dict[tuple[int, str], set[str]] = {}
    counts: dict[tuple[int, str], int] = {}
    for shape in manifest["shapes"]:
        key = (shape["source"], shape["license"])
        groups.setdefault(key, set()).add(shape["creator"])
        counts[key] = counts.get(key, 0) + 1
    rows, names = [], []
    for (number, license), creators in sorted(groups.items()):
        source = manifest["sources"][number]
        name = f"[{source['name']}]({source['url']}) {source['version'][:12]}"
        rows.append(f"| {name} | {counts[number, license]} | [{license}]({LICENSE_URLS[license]}) |")
        text = f"**{source['name']}, {license}**: {source['attribution']}"
        if creators != {source["attribution"]}:
            text += ". Models by " + ", ".join(sorted(creators, key=str.lower))
        names.append(
            textwrap.fill(
                text.rstrip(".") + ".", 118, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
            )
        )
    return "\n".join(
        [
            "# Shapes in the training scenes",
            "",
            "Training scenes contain these CAD models, turned, scaled, decimated and recolored. They are not part of",
            "this repository or of the weights' files; `make shapes` builds them anew from their sources.",
            "",
            "| source and version | models | license |",
            "|---|---:|---|",
            *rows,
            "",
            *names,
            "",
        ]
    )
