"""A worker process of the runner of this machine: Beam's own, which ends with its parent, or when it is told to.

  python -m causal_iqa.beam.worker FILE

It ends when FILE appears.
"""

import logging
import os
import sys
import threading
import time

_POLL_SECONDS = 0.5


def _end_with(parent: int, stop: str) -> None:
    while os.getppid() == parent and not os.path.exists(stop):
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def main() -> None:
    """Starts the worker; Beam says the rest in environment variables."""
    # The one that starts the pipeline answers signals, and says in a line what went wrong.
    threading.Thread(target=_end_with, args=(os.getppid(), sys.argv[1]), daemon=True).start()
    logging.disable(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker_main  # pyright: ignore[reportMissingImports]

    sdk_worker_main.main(sys.argv[:1])


if __name__ == "__main__":
    main()
