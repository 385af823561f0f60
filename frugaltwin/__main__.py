"""`python -m frugaltwin`."""

from frugaltwin.cli import main

main()
