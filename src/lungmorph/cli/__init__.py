"""The command line: one file a verb, thin. What it prints, and its exit codes, are decided here.

Exit codes: 0 done; 2 bad input, or a file that the system does not let be read or written (one line on
stderr); 130 interrupted, 143 terminated; 1 a defect, with its traceback.
"""

from .app import main

__all__ = ["main"]
