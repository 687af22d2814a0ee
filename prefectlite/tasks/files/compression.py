"""The tasks that pack and unpack files, at the path that Prefect 1 defined them in. Holds nothing itself."""

from prefectlite.tasks.files import Unzip, Zip

__all__ = ["Unzip", "Zip"]
