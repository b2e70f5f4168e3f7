"""The command line, one command a file. Thin: parse, call, print."""
