"""The command line: parse, call, render, exit code. One file per group of commands; it starts in main.py."""
