"""Other registration tools, to be measured on the same cases: one file a tool.

These files live in two places. In LungMorph they are this package, which only has to know the names. To
register, `start.py` is run as a plain file by the interpreter that has the tools, where LungMorph need
not be installed: so nothing here imports LungMorph, and only numpy, SimpleITK and the tool are needed there.

A tool is a module with::

    TITLE = "Greedy"                # for tables
    DISTRIBUTION = "picsl-greedy"   # on PyPI
    REQUIRES = ("picsl_greedy",)    # modules without which it does not run
    SETTINGS = "..."                # one line: what it was run with

    def register(pair: Pair) -> SimpleITK.Image
        # displacements in mm along the world axes (LPS), fixed -> moving, on any grid over the fixed image

A file of one's own with such a function is a rival too (the four constants may be missing): name it by its path.

All tools get the same help: see :mod:`.pair`.
"""

from __future__ import annotations

#: In the order of the tables.
NAMES = ("greedy", "convexadam", "niftyreg", "ants", "plastimatch", "elastix")
