"""Makes ``python -m prefectlite.cli`` the same as ``prefectlite``. Knows nothing else."""

from __future__ import annotations

import sys

from prefectlite.cli.main import main

sys.exit(main())
