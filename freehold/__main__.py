"""`python -m freehold`: the same as the `freehold` command."""

from freehold.cli import main

main()
