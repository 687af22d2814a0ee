"""Finds the flow in a file or module. Knows Python's modules; knows nothing of runs."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from prefectlite.core.context import context
from prefectlite.errors import FlowLoadError
from prefectlite.flow import Flow
from prefectlite.lowering.envelope import travel_by_value
from prefectlite.views.frames import own_lines


def load_file(path: Path) -> ModuleType:
    """Run a file as a module whose functions travel to the workers by value.

    The file's folder comes first in ``sys.path``, as for ``python FILE``; its ``if __name__ ==
    "__main__":`` block does not run, and a ``flow.run()`` outside of it runs nothing, with a warning.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    module
        What the file defines.

    Raises
    ------
    FlowLoadError
        When there is no such file, or when its own code raises.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise FlowLoadError(
            f"The flow file {str(path)!r} is {kind}; give the path of a Python file, "
            "or a module's name with -m."
        )
    path = path.absolute()
    name = _module_name(path.stem)
    module = ModuleType(name)
    module.__file__ = str(path)
    try:
        # Compiled here and not by importlib, which would leave a __pycache__ beside the user's file.
        code = compile(path.read_bytes(), str(path), "exec")
    except (OSError, SyntaxError, ValueError) as error:
        raise _not_loaded(f"The flow file {str(path)!r}", error) from error
    sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        with context(loading_flow=True):
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _not_loaded(f"The flow file {str(path)!r}", error) from error
    travel_by_value(module)
    return module


def load_module(name: str) -> ModuleType:
    """Import a module; the current folder comes first in ``sys.path``, as for ``python -m``.

    A ``flow.run()`` at its top level runs nothing, with a warning.

    Parameters
    ----------
    name : str
        Its dotted name.

    Returns
    -------
    module
        The module.

    Raises
    ------
    FlowLoadError
        When there is no such module, or when its own code raises.
    """
    here = str(Path.cwd())
    if sys.path[0] != here:
        sys.path.insert(0, here)
    try:
        with context(loading_flow=True):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name != missing and not name.startswith(f"{missing}."):
            raise _not_loaded(f"The module {name!r}", error) from error
        raise FlowLoadError(
            f"There is no module {name!r}: {missing!r} is neither installed nor in {here}; "
            "go to the folder that holds it, or give the file's path without -m."
        ) from error
    except (Exception, SystemExit) as error:
        raise _not_loaded(f"The module {name!r}", error) from error


def pick_flow(module: ModuleType, wanted: str | None = None) -> Flow:
    """Return the flow of a module.

    Parameters
    ----------
    module : module
        Where to look; only its own names count, flows inside functions do not.
    wanted : str or None
        The flow's name, or the name of the variable that holds it; None if there is only one.

    Returns
    -------
    Flow
        The flow.

    Raises
    ------
    FlowLoadError
        When there is none, none of that name, or several to choose from.
    """
    where = getattr(module, "__file__", None) or module.__name__
    found: dict[int, tuple[str, Flow]] = {}
    for variable, value in vars(module).items():
        if isinstance(value, Flow):
            found.setdefault(id(value), (variable, value))
    flows = list(found.values())
    if not flows:
        raise FlowLoadError(
            f"{where} holds no flow at its top level; build one there with `with Flow('name') as flow:`, "
            "or decorate a function with @flow."
        )
    names = ", ".join(
        repr(flow.name) if flow.name == variable else f"{flow.name!r} (in {variable})"
        for variable, flow in flows
    )
    if wanted is None:
        if len(flows) > 1:
            raise FlowLoadError(f"{where} holds {len(flows)} flows: {names}; choose one with --flow NAME.")
        return flows[0][1]
    matching = [flow for variable, flow in flows if wanted == variable]
    matching = matching or [flow for _, flow in flows if wanted == flow.name]
    if len(matching) != 1:
        problem = "no flow" if not matching else f"{len(matching)} flows"
        raise FlowLoadError(
            f"{where} holds {problem} named {wanted!r}; it holds {names}; "
            "choose by --flow with one of these names, or with the variable's."
        )
    return matching[0]


def _module_name(stem: str) -> str:
    taken = not stem.isidentifier() or stem in sys.modules or stem in sys.stdlib_module_names
    return "flow_file_" + "".join(c if c.isalnum() else "_" for c in stem) if taken else stem


def _not_loaded(what: str, error: BaseException) -> FlowLoadError:
    if isinstance(error, SystemExit):
        return FlowLoadError(
            f"{what} ended the program with sys.exit({error.code!r}) while it was read; put what it does "
            "when run as a script below `if __name__ == '__main__':`."
        )
    lines = own_lines("".join(traceback.format_exception(error)))
    if "attempted relative import" in str(error):
        lines.append("A file that imports from its own package is read as a module of it: -m PACKAGE.MODULE.")
    return FlowLoadError("\n".join([f"{what} could not be read, since its own code raised:", *lines]))
