"""The parameter file, written from the dataclasses: python -m s4token_ros.write_parameter_file > config/node.yaml"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from typing import Any

from s4token_model.config import Config, options
from s4token_ros.parameters import NodeConfig

HEAD = """\
# Parameters of the node s4token, all of them; pass with --ros-args --params-file, or config:= of the launch file.
#
# The first block belongs to the node alone. The others are the stages of the pipeline; their defaults are saved
# with the model, so they stand here commented out, with the values of a new model. Uncomment a line to override it. All
# can be changed while the node runs (ros2 param set /s4token sampling.tokens 256), except autostart, overlap and model;
# a wrong value is rejected with the reason. Written by: python -m s4token_ros.write_parameter_file
/**:
  ros__parameters:
"""


def text() -> str:
    """Return the content of config/node.yaml: every parameter with its effect, range and default."""
    lines = _block("the node", NodeConfig(), "", "")
    for stage in dataclasses.fields(Config):
        config = getattr(Config(), stage.name)
        title = (type(config).__doc__ or stage.name).splitlines()[0].rstrip(".")
        lines += ["", *_block(title, config, f"{stage.name}.", "# ")]
    return HEAD + "\n".join(lines) + "\n"


def _block(title: str, config: Any, prefix: str, comment: str) -> list[str]:
    lines = [f"    # --- {title}"]
    for path, (value, item) in options(config, prefix).items():
        lines += [f"    # {line}" for line in textwrap.wrap(_effect(item), 112)]
        plain = (list(value) or [""]) if isinstance(value, tuple) else value  # ROS has no empty list of strings
        lines.append(f"    {comment}{path}: {json.dumps(plain)}")
    return lines


def _effect(item: dataclasses.Field) -> str:
    low, high, choices = (item.metadata.get(k) for k in ("low", "high", "choices"))
    if choices:
        return f"{item.metadata['doc']} (one of: {', '.join(choices)})"
    return item.metadata["doc"] + (f" ({low:.10g} to {high:.10g})" if low is not None else "")


if __name__ == "__main__":
    print(text(), end="")
