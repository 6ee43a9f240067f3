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
    """What the system says of it, without its number and the file's name."""
    return getattr(error, "strerror", None) or str(error)
