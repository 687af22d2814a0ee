"""Tasks whose values are secrets, under the names that they had in Prefect 1. Knows the core."""

from __future__ import annotations

from prefectlite.core.secrets import EnvVarSecret, Secret, SecretBase

__all__ = ["EnvVarSecret", "PrefectSecret", "Secret", "SecretBase"]

PrefectSecret = Secret
