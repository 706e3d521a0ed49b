"""`python -m conformance`."""

import os
import sys

from conformance.command import COULD_NOT_RUN, main

try:
    status = main()
    sys.stdout.flush()
except BrokenPipeError:
    # Whoever read the report has seen enough, as `| head` does; Python would complain once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    status = COULD_NOT_RUN
sys.exit(status)
