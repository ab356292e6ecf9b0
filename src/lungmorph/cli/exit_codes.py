"""What the program leaves with."""

from __future__ import annotations

OK = 0
#: A defect, with its traceback; of ``train`` also numbers that are no longer finite.
DEFECT = 1
#: Bad input, a file that the system refuses; of ``data`` and ``evaluate`` also a case with a problem, or one that failed.
BAD_INPUT = 2
#: As shells count an end by signal 2 and 15.
INTERRUPTED, TERMINATED = 130, 143
