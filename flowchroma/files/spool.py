"""Arrays that lie on the disk while nobody looks at them."""

import tempfile
import threading
from collections.abc import Callable

import numpy as np

from flowchroma.errors import UserError


class Spool:
    """A file without a name, in the folder for temporary files, which goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="flowchroma-")  # noqa: SIM115 (closed with the object)
        self._place = threading.Lock()  # of the file's one position

    def keep(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """Write an array; a function that reads it.

        Raises:
            UserError: There is no room.
        """
        shape, kind, count = array.shape, array.dtype, array.size
        try:
            with self._place:
                start = self._file.seek(0, 2)
                self._file.write(np.ascontiguousarray(array).data)
                self._file.flush()
        except OSError as error:
            raise UserError(
                f"cannot keep pictures in {tempfile.gettempdir()}: {error.strerror}; make room, or name another folder"
                " by the environment variable TMPDIR"
            ) from error

        def read() -> np.ndarray:
            with self._place:
                self._file.seek(start)
                held = self._file.read(count * kind.itemsize)
            return np.frombuffer(held, kind).reshape(shape).copy()

        return read
