"""Hard limits of time, and networks that break."""

from __future__ import annotations
