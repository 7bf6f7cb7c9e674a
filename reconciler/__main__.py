"""`python -m reconciler` is `fleet`."""

from reconciler.cli.main import main

main()
