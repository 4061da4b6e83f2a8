"""How a training run that fails says so, in one line, and what of it is kept."""

import errno
import math
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from hydra.errors import InstantiationException
from omegaconf import DictConfig

from flowchroma.app.run.run_config import in_sweep
from flowchroma.app.settings import configure_logging
from flowchroma.errors import UserError, user_error_behind

_FULL = "{} is full: lower data.batch_size, data.clip_length or data.size"
ERROR = "error.txt"  # in the directory of a run that failed


def report_errors(task: Callable[..., float | None]) -> Callable[..., float | None]:
    """Run an entry point's task; a UserError becomes one line and an exit code instead of a traceback.

    The error is kept in the run's directory. In a sweep it ends this run alone, whose result is then NaN.
    """

    @wraps(task)
    def run(config: DictConfig) -> float | None:
        configure_logging()
        if not isinstance(config.run_dir, str) or not config.run_dir:
            print("flowchroma: run_dir has no name: give hydra.run.dir=FOLDER instead", file=sys.stderr)
            sys.exit(2)
        kept = Path(config.run_dir, ERROR)
        kept.unlink(missing_ok=True)
        try:
            return task(config)
        except Exception as error:
            user_error = user_error_behind(error)
            line = f"{type(error).__name__}: {error}" if user_error is None else str(user_error)
            if user_error and not line:  # one process of several speaks for all
                sys.exit(user_error.code)
            if user_error and user_error.code >= 128:  # a signal: it ends a sweep as well
                print(f"flowchroma: {line}", file=sys.stderr)
                sys.exit(user_error.code)
            _keep(kept, line if user_error else f"{line}\n\n{traceback.format_exc()}")
            if in_sweep():
                print(f"flowchroma: {kept.parent}: {line}", file=sys.stderr)
                return math.nan
            if user_error is None:
                traceback.print_exc()
                sys.exit(1)
            print(f"flowchroma: {line}", file=sys.stderr)
            sys.exit(user_error.code)

    return run


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    except OSError:  # the disk may be what failed
        return


@contextmanager
def explain_machine_failures() -> Iterator[None]:
    """Turn a full disk, a data worker that was killed, too little memory or an unfit option into a `UserError`.

    Raises:
        UserError: in place of the error.
    """
    try:
        yield
    except OSError as error:
        where = f" while writing {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(f"{error.strerror}{where}: make room, then go on with resume=last") from error
        if not error.filename:
            raise
        raise UserError(f"cannot read or write {error.filename}: {error.strerror}") from error
    except MemoryError as error:
        raise UserError(f"{_FULL.format('the memory')} ({error})") from error
    except InstantiationException as error:
        reason = " ".join(str(error.__cause__ or error).split())
        where = str(error).rpartition("full_key: ")[2] if "full_key: " in str(error) else "the options"
        raise user_error_behind(error) or UserError(f"cannot build {where}: {reason}", code=2) from error
    except RuntimeError as error:
        text = str(error)
        if "DataLoader worker" in text:
            first = text.splitlines()[0].rstrip(".")
            raise UserError(
                f"a process that reads data died: {first}. Often memory ran out: lower data.num_workers or"
                " data.batch_size, then go on with resume=last"
            ) from error
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise UserError(f"compile=true does not work here ({text.splitlines()[0]}): leave it out") from error
        if type(error).__name__ == "OutOfMemoryError":
            raise UserError(_FULL.format("the GPU's memory")) from error
        _refuse_unfit(error)
        raise
    except Exception as error:
        _refuse_unfit(error)
        raise


def _refuse_unfit(error: Exception) -> None:
    """Say in one line what Lightning, or a callback of its own, has against how it was configured."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    own = frame.f_globals.get("__name__", "").startswith(("lightning.pytorch.callbacks.", "lightning.pytorch.tuner."))
    if own or type(error).__name__ == "MisconfigurationException":  # which takes seconds to import
        raise UserError(f"cannot train like this: {' '.join(str(error).split())}", code=2) from error
