"""A flow in a file, to be run later or elsewhere. Knows envelopes; knows no place to run."""

from __future__ import annotations

import io
import os
import pickle
import platform
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Final, Self

from prefectlite.core.graph import FlowGraph
from prefectlite.core.home import home_of_flow
from prefectlite.errors import DefinitionError, DefinitionTypeError, FlowFileNotFound, FlowLoadError
from prefectlite.lowering.envelope import by_value_names, dumps

#: What a file of ours begins with, and the version of its form.
_HEADER: Final = b"prefectlite flow 1\n"


class PortableGraph(FlowGraph):
    """A flow that can be written to a file and read again."""

    def save(self, fpath: str | os.PathLike[str] | None = None) -> str:
        """Write the flow to a file; functions of the running script go into it, importable ones by name.

        Parameters
        ----------
        fpath : str, path or None
            The file; one that is there is replaced, as a whole. By default, one of the flow's name in the
            folder ``flows`` of the setting ``home_dir``, which ``load(name)`` finds.

        Returns
        -------
        str
            The file's path.

        Raises
        ------
        DefinitionError
            When there can be no such path.
        DefinitionTypeError
            When it is no path at all.
        SerializationError
            When something in the flow cannot be pickled.
        """
        target = Path(home_of_flow(self.name) if fpath is None else _path(fpath, "saved to")).absolute()
        names = by_value_names()
        content = _HEADER + pickle.dumps(_versions()) + dumps(self, names)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            new = tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name[:50], delete=False)  # noqa: SIM115
        except ValueError as error:
            raise DefinitionError(
                f"A flow cannot be saved to {str(target)!r}, which is no path ({error}); give one that is."
            ) from error
        with new as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(target)
            except BaseException:
                Path(file.name).unlink()
                raise
        return str(target)

    @classmethod
    def load(cls, fpath: str | os.PathLike[str]) -> Self:
        """Read a flow that ``save`` wrote. Reading runs code from the file: only read files that you trust.

        Parameters
        ----------
        fpath : str or path
            The file; where there is none, the name of a flow that ``save()`` wrote.

        Returns
        -------
        Flow
            The flow.

        Raises
        ------
        FlowFileNotFound
            When there is no such file; it is a ``FileNotFoundError``.
        FlowLoadError
            When the file cannot be read, holds no flow, or needs what is not installed here.
        DefinitionTypeError
            When it is no path at all.

        Warns
        -----
        UserWarning
            When it was written by another version of prefectlite or Python.
        """
        name = _path(fpath, "read from")
        try:
            content = io.BytesIO(_content(name))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            refusal = FlowFileNotFound if isinstance(error, FileNotFoundError) else FlowLoadError
            raise refusal(
                f"The flow file {name!r} cannot be read: {why}; give the path that flow.save(...) returned."
            ) from error
        if content.read(len(_HEADER)) != _HEADER:
            raise FlowLoadError(
                f"The file {name!r} was not written by flow.save(...); give one that was, or run a Python "
                "file with `prefectlite run FILE.py`."
            )
        try:
            written = pickle.load(content)
            here = _versions()
            odd = [f"{one} {written[one]}, here {here[one]}" for one in here if written[one] != here[one]]
            if odd:
                warnings.warn(
                    f"The flow file {name!r} was written with other versions ({'; '.join(odd)}); if the flow "
                    "does not run, save it again with these.",
                    stacklevel=2,
                )
            flow = pickle.load(content)
        except Exception as error:
            raise FlowLoadError(
                f"The flow in {name!r} cannot be read here: {type(error).__name__}: {error}; install what it "
                "needs in the same version, or save it again."
            ) from error
        if not isinstance(flow, cls):
            raise FlowLoadError(
                f"The file {name!r} holds a {type(flow).__name__}, not a {cls.__name__}; read it with that."
            )
        return flow


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        saved = Path(home_of_flow(path))
        if not saved.is_file():
            raise
        return saved.read_bytes()


def _path(given: object, what: str) -> str:
    if not isinstance(given, str | os.PathLike) or given == "":
        raise DefinitionTypeError(
            f"A flow cannot be {what} {given!r}, which is no path; give one: 'etl.flow'."
        )
    return os.fspath(given)


def _versions() -> dict[str, str]:
    ours: Any = sys.modules[__name__.partition(".")[0]]
    return {"prefectlite": ours.__version__, "Python": platform.python_version().rpartition(".")[0]}
