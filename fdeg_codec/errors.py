"""What can go wrong, as one family: messages say which file or option is wrong, how, and what to do where that is not plain."""

from __future__ import annotations


class FdegError(Exception):
    """Anything fdeg reports in one line."""


class BadFileError(FdegError):
    """The .fdg file is damaged, cut off, or none at all."""


class UnsupportedError(FdegError):
    """The file or the raster asks for something this version does not do."""


class RasterError(FdegError):
    """A raster could not be read or written."""


class ModelError(FdegError):
    """Weights are missing, altered, or not those a file was made with."""


class UsageError(FdegError):
    """The request contradicts itself or its input."""


def reason(error: BaseException) -> str:
    """What is said of it in a line, by the system without its number and the file's name."""
    said = str(getattr(error, "strerror", None) or error).strip()
    return said.splitlines()[0] if said else type(error).__name__
