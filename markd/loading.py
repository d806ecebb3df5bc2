"""From the name of a Python module to the daemon class in it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import mktl
from mktl.errors import ConfigurationError
from mktl.protocol.names import nearest

__all__ = ["load_daemon_class"]


def load_daemon_class(module_name: str, class_name: str | None) -> type[mktl.Daemon]:
    """Import a module and return its daemon class.

    Args:
        module_name: ``package.module``, or the path of a ``.py`` file.
        class_name: Name of the class; by default ``Daemon``, or the only subclass of it there.

    Raises:
        ConfigurationError: there is no such module, or no such class in it.
    """
    module = _load_module(module_name)
    base = mktl.Daemon
    own = [
        name
        for name, found in list(vars(module).items())
        if inspect.isclass(found) and issubclass(found, base)
        if found.__module__ == module.__name__
    ]
    if class_name is None:
        class_name = own[0] if len(own) == 1 else "Daemon"
    found = getattr(module, class_name, None)
    if inspect.isclass(found) and issubclass(found, mktl.Daemon):
        return found
    problem = "is not a subclass of mktl.Daemon" if found is not None else "does not exist"
    close = nearest(class_name, own) or own
    hint = f"; in it are {', '.join(close)}" if close else ""
    raise ConfigurationError(f"{class_name} in module {module_name} {problem}{hint}")


def _load_module(name: str) -> ModuleType:
    if name.endswith(".py"):
        return _load_file(Path(name))
    directory = str(Path.cwd())
    if directory not in sys.path:
        # As "python -m" does: a daemon is often a file in the directory that one is in.
        sys.path.insert(0, directory)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigurationError(
                f"there is no Python module {name!r}, neither installed nor in {directory}"
            ) from error
        raise ConfigurationError(
            f"module {name} needs {missing!r}, which is not installed"
        ) from error
    except SyntaxError as error:
        raise ConfigurationError(f"module {name} is not Python: {error}") from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}")
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault(path.stem, module)
    try:
        specification.loader.exec_module(module)
    except (SyntaxError, ImportError) as error:
        raise ConfigurationError(f"{path} cannot be imported: {error}") from error
    return module
