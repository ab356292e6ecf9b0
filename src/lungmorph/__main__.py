"""``python -m lungmorph``: the command line."""

from .cli import main

main()
