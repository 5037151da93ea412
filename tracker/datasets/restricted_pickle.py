"""Unpickling that admits NumPy arrays and plain containers, nothing else.

Published point-tracking data comes as pickles, and a pickle can run any code when it is read. Here
every global that a file asks for is looked up in a short list, so that nothing can run.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tracker.errors import UserError

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how protocol 2 writes bytes
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in [
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        ]
    ),
}


def load_restricted(path: Path) -> Any:
    """Unpickle a file that may hold NumPy arrays and plain containers only.

    Raises:
        UserError: it asks for anything else, is damaged, or is not a pickle.
    """
    return _load(path, lambda file: _RestrictedUnpickler(file).load())


def load_restricted_npy(path: Path) -> Any:
    """Read a `.npy` file; one that holds a pickled object is unpickled as `load_restricted` does.

    Raises:
        UserError: as `load_restricted`.
    """
    return _load(path, _read_npy)


def _read_npy(file: BinaryIO) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    _, _, dtype = read_header(file)
    if dtype.hasobject:
        return _RestrictedUnpickler(file).load().item()
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _load(path: Path, read: Callable[[BinaryIO], Any]) -> Any:
    try:
        with path.open("rb") as file:
            return read(file)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        raise UserError(
            f"{path} is not a pickle of arrays or is cut short ({type(error).__name__}: {error}); "
            "download it again"
        ) from error


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(
                f"it asks to load {module}.{name}; only NumPy arrays are allowed in this "
                "file, so it was not opened"
            )
        return super().find_class(module, name)
