"""Tasks that move, copy, list, remove and pack files. Knows the worker's file system; knows no cluster."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, Unpack

from prefectlite.core.attributes import defaults_from_attrs
from prefectlite.core.base import Task
from prefectlite.core.options import OptionArgs
from prefectlite.errors import DefinitionError

__all__ = ["Copy", "Glob", "Move", "Remove", "Unzip", "Zip"]

AnyPath: TypeAlias = str | os.PathLike[str]

_METHODS: Final = {
    "deflate": zipfile.ZIP_DEFLATED,
    "store": zipfile.ZIP_STORED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


class Transfer(Task):
    """The base of what brings a file or folder to another place.

    Parameters
    ----------
    source_path : str or path
        What; may be given, or given anew, when the task is called.
    target_path : str or path
        Where to; so may this one.
    name : str or None
        What the task is called; by default, like its class.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    def __init__(
        self,
        source_path: AnyPath = "",
        target_path: AnyPath = "",
        name: str | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        super().__init__(name=name, **options)
        self.source_path = source_path
        self.target_path = target_path

    @defaults_from_attrs("source_path", "target_path")
    def run(self, source_path: AnyPath = "", target_path: AnyPath = "") -> Path:
        """Bring it there.

        Parameters
        ----------
        source_path : str or path
            What.
        target_path : str or path
            Where to; the folder in which that lies exists.

        Returns
        -------
        Path
            Where it is then: in the target, if that is a folder.

        Raises
        ------
        ValueError
            When one of the two is not given, or there is nothing at the first.
        """
        source = _existing(self, "source_path", source_path)
        target = _given(self, "target_path", target_path)
        self.logger.info("%s: %s to %s", type(self).__name__, source, target)
        return Path(self.transfer(source, target))

    def transfer(self, source: Path, target: Path) -> Any:
        """Bring a ``source`` that exists to the ``target``, and return where it is."""
        raise NotImplementedError


class Move(Transfer):
    """A task that moves a file or folder."""

    def transfer(self, source: Path, target: Path) -> Any:
        """Move the ``source`` to the ``target``, and return where it is."""
        return shutil.move(source, target)


class Copy(Transfer):
    """A task that copies a file, or a folder to a place where nothing is yet."""

    def transfer(self, source: Path, target: Path) -> Any:
        """Copy the ``source`` to the ``target``, and return where that is."""
        return shutil.copy(source, target) if source.is_file() else shutil.copytree(source, target)


class Remove(Task):
    """A task that removes a file or an empty folder.

    Parameters
    ----------
    path : str or path
        Which; may be given, or given anew, when the task is called.
    name : str or None
        What the task is called; by default, like its class.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    def __init__(self, path: AnyPath = "", name: str | None = None, **options: Unpack[OptionArgs]) -> None:
        super().__init__(name=name, **options)
        self.path = path

    @defaults_from_attrs("path")
    def run(self, path: AnyPath = "") -> None:
        """Remove it.

        Parameters
        ----------
        path : str or path
            Which.

        Raises
        ------
        ValueError
            When none is given, or nothing is there.
        """
        found = _existing(self, "path", path)
        self.logger.info("Remove: %s", found)
        if found.is_file():
            found.unlink()
        else:
            found.rmdir()


class Glob(Task):
    """A task that lists what is in a folder.

    Parameters
    ----------
    path : str or path
        The folder; may be given, or given anew, when the task is called.
    pattern : str
        What the names look like, as ``Path.glob`` takes it; so may this one.
    name : str or None
        What the task is called; by default, like its class.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    def __init__(
        self, path: AnyPath = "", pattern: str = "*", name: str | None = None, **options: Unpack[OptionArgs]
    ) -> None:
        super().__init__(name=name, **options)
        self.path = path
        self.pattern = pattern

    @defaults_from_attrs("path", "pattern")
    def run(self, path: AnyPath = "", pattern: str = "*") -> list[Path]:
        """List it.

        Parameters
        ----------
        path : str or path
            The folder; in one that is not there, nothing is.
        pattern : str
            What the names look like.

        Returns
        -------
        list of Path
            In the order of their names, so that a map over them has the same children each time.

        Raises
        ------
        ValueError
            When no folder is given.
        """
        return sorted(_given(self, "path", path).glob(pattern))


class Zip(Task):
    """A task that packs files and folders into an archive.

    Parameters
    ----------
    source_path : str, path or list of them
        What; may be given, or given anew, when the task is called.
    zip_path : str or path
        The archive; so may this one. The folder in which it lies exists.
    compression_method : str
        ``"deflate"``, ``"store"``, ``"bzip2"`` or ``"lzma"``.
    compression_level : int or None
        As ``zipfile.ZipFile`` takes it.
    name : str or None
        What the task is called; by default, like its class.
    **options : OptionArgs
        Retries, trigger, tags and the like.

    Raises
    ------
    DefinitionError
        When there is no such method.
    """

    def __init__(
        self,
        source_path: AnyPath | Sequence[AnyPath] = "",
        zip_path: AnyPath = "",
        compression_method: str = "deflate",
        compression_level: int | None = None,
        name: str | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        super().__init__(name=name, **options)
        if compression_method not in _METHODS:
            raise DefinitionError(
                f"Task {self.name!r} has compression_method={compression_method!r}; "
                f"give one of {', '.join(_METHODS)}."
            )
        self.source_path = source_path
        self.zip_path = zip_path
        self.compression = _METHODS[compression_method]
        self.compression_level = compression_level

    @defaults_from_attrs("source_path", "zip_path")
    def run(self, source_path: AnyPath | Sequence[AnyPath] = "", zip_path: AnyPath = "") -> None:
        """Pack them; each is named as it is in the folder in which it lies.

        Parameters
        ----------
        source_path : str, path or list of them
            What.
        zip_path : str or path
            The archive.

        Raises
        ------
        ValueError
            When one of the two is not given, or there is nothing at the first.
        """
        given = [source_path] if isinstance(source_path, str | os.PathLike) else source_path or [""]
        sources = [_existing(self, "source_path", one) for one in given]
        archive = _given(self, "zip_path", zip_path)
        self.logger.info("Zip: %s to %s", ", ".join(map(str, sources)), archive)
        with zipfile.ZipFile(archive, "w", self.compression, compresslevel=self.compression_level) as packed:
            for source in sources:
                for file in _files(source):
                    packed.write(file, file.relative_to(source.parent))


class Unzip(Task):
    """A task that unpacks an archive.

    Parameters
    ----------
    zip_path : str or path
        The archive; may be given, or given anew, when the task is called.
    extract_dir : str or path
        The folder to unpack it to, by default the one in which the worker runs; so may this one.
    name : str or None
        What the task is called; by default, like its class.
    **options : OptionArgs
        Retries, trigger, tags and the like.
    """

    def __init__(
        self,
        zip_path: AnyPath = "",
        extract_dir: AnyPath = "",
        name: str | None = None,
        **options: Unpack[OptionArgs],
    ) -> None:
        super().__init__(name=name, **options)
        self.zip_path = zip_path
        self.extract_dir = extract_dir

    @defaults_from_attrs("zip_path", "extract_dir")
    def run(
        self, zip_path: AnyPath = "", extract_dir: AnyPath = "", password: bytes | str | None = None
    ) -> Path:
        """Unpack it.

        Parameters
        ----------
        zip_path : str or path
            The archive.
        extract_dir : str or path
            The folder to unpack it to.
        password : bytes, str or None
            Of an archive that has one.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ValueError
            When no archive is given, or nothing is there.
        TypeError
            When it is no archive.
        """
        archive = _existing(self, "zip_path", zip_path)
        if not zipfile.is_zipfile(archive):
            raise TypeError(f"Task {self.name!r} was given zip_path='{archive}', which is no zip file.")
        folder = Path(extract_dir or Path.cwd())
        self.logger.info("Unzip: %s to %s", archive, folder)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder, pwd=password.encode() if isinstance(password, str) else password)
        return folder


def _given(task: Task, option: str, path: AnyPath) -> Path:
    if not path:
        raise ValueError(
            f"Task {task.name!r} has no {option}; give it one when it is made, or when it is called."
        )
    return Path(path)


def _existing(task: Task, option: str, path: AnyPath) -> Path:
    found = _given(task, option, path)
    if not found.exists():
        raise ValueError(f"Task {task.name!r} was given {option}='{found}', and there is nothing.")
    return found


def _files(source: Path) -> Iterator[Path]:
    """Yield a file, or all files in a folder."""
    yield from [source] if source.is_file() else sorted(one for one in source.rglob("*") if one.is_file())
