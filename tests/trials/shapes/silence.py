"""Keep the functions' log lines out of the printed table. The results count them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def silence() -> None:
    """Discard the output of this process. Call it before the functions are imported: loggers keep their stream."""
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
