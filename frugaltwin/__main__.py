"""`python -m frugaltwin`."""

from frugaltwin.cli.main import main

main()
