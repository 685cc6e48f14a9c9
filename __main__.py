"""`python -m nicodec` is the command `nicodec`."""

from .cli.main import main

main()
