"""The command line: click only, one command per file. `main` turns an FdegError into one line and exit code 1."""
