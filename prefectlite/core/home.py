"""Where a flow lies that was saved without saying where. Knows settings only; opens no file."""

from __future__ import annotations

import re
from pathlib import Path

from prefectlite.settings import current


def home_of_flow(name: str) -> str:
    """Return the path of the file for a flow of a name.

    Parameters
    ----------
    name : str
        What the flow is called.

    Returns
    -------
    str
        In the folder ``flows`` of the setting ``home_dir``; letters and digits of the name are kept.
    """
    kept = "-".join(re.findall(r"\w+", name.lower()))
    return str(Path(current().home_dir, "flows", f"{kept or 'flow'}.prefectlite"))
