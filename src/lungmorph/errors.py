"""The one exception that a user is meant to read.

Everything the user can put right (a wrong file, a wrong option, too little memory) raises
:class:`InputError`. The command line prints its one line and leaves with exit code 2; any other
exception is a defect of LungMorph and keeps its traceback.
"""

from __future__ import annotations

import errno

#: What the system says of a write that a disk, or what is left of a quota, does not take.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class InputError(ValueError):
    """Bad input, told in one line: the file, what was expected, what was found, what to do.

    >>> str(InputError("scan.nii.gz", expected="a 3D image", found="4 dimensions", do="pick one phase"))
    'scan.nii.gz: expected a 3D image, found 4 dimensions; pick one phase'
    """

    def __init__(self, what: object, *, expected: str, found: str, do: str = "") -> None:
        self.what = str(what)
        self.expected = expected
        self.found = found
        self.do = do
        line = f"{self.what}: expected {expected}, found {found}"
        if do:
            line += f"; {do}"
        super().__init__(line)


def of_the_system(error: OSError, what: object, expected: str) -> InputError:
    """What the operating system refused: a full disk, a folder without the right to write in it.

    Args:
        error: as Python raised it.
        what: the file or folder, by the name that the user knows.
        expected: of it.
    """
    do = "free some space or choose another place" if error.errno in NO_ROOM else ""
    return InputError(what, expected=expected, found=error.strerror or str(error), do=do)
