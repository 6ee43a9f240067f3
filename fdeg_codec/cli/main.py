"""The group of commands, loaded one at a time so that `fdeg --help` stays quick."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading
import warnings
from pathlib import Path

import click

from fdeg_codec import __version__
from fdeg_codec.errors import FdegError, UsageError

COMMANDS = {
    "encode": "Compress a raster into an .fdg file.",
    "decode": "Decode an .fdg file, or a window of it, into a raster.",
    "batch": "Encode, or decode, a folder of scenes.",
    "info": "Show what an .fdg file holds.",
    "verify": "Check every checksum and decode every tile's symbols.",
    "compare": "Measure how far a raster is from its original.",
    "eval": "Rate-distortion curves beside other codecs.",
    "models": "List the installed models.",
    "train": "Train a network.",
    "export": "Turn a training checkpoint into an installable model.",
}

MODULES = {"eval": "evaluate"}  # where a command's name is not its module's
# torch brings hundreds of thousands of objects that stay: Python would look through them time and again, and take them apart
# in the end, for half a second in all.
GARBAGE = 50_000  # objects, before Python looks for circles among them
TIDY = ("eval", "train", "export")  # what these import complains of objects that are left
THREADS = ("fdeg-tile", "fdeg-scene")  # how codec/workers.py and batches/threads.py name them


class Lazy(click.Group):
    """Commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if name not in TIDY:
            atexit.register(gc.freeze)
        command: click.Command = importlib.import_module(f"fdeg_codec.cli.{MODULES.get(name, name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fdeg")
def fdeg() -> None:
    """fdeg: a learned codec for remote-sensing imagery."""


def main() -> None:
    gc.set_threshold(GARBAGE)
    _fill_gaps()
    # Where a raster is opened it is hushed, too, but what that turns off comes back when any other thread is done with its own.
    warnings.filterwarnings("ignore", "Dataset has no geotransform")
    try:
        if "" in sys.argv[1:]:  # pathlib would take the folder that we are in for it
            raise UsageError("one of the arguments is empty: has a variable of the script no value?")
        sys.exit(fdeg(prog_name="fdeg", standalone_mode=False))  # what a command passes to its context's exit()
    except UsageError as error:
        _leave(f"fdeg: {error}", 2)
    except FdegError as error:
        _leave(f"fdeg: {error}", 1)
    except click.exceptions.Abort:
        _leave_at_once("fdeg: interrupted", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _leave(f"fdeg: {error.format_message()}", error.exit_code)
    except OSError as error:  # of standard input or output, or of the folder for temporary files
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing more can be flushed to standard output
        _leave(f"fdeg: {error}", 1)
    except UnicodeEncodeError as error:
        _leave(f"fdeg: standard output does not take this ({error}); PYTHONIOENCODING=utf-8:surrogateescape does", 1)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        _leave("fdeg: not enough memory; fewer threads (OMP_NUM_THREADS=1) or, to encode, a smaller --tile need less", 1)


def _fill_gaps() -> None:
    """Where a standard stream was closed, lest a file of ours becomes it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115


def _leave(line: str, code: int) -> None:
    click.echo(line, err=True)
    sys.exit(code)


def _leave_at_once(line: str, code: int) -> None:
    """Without waiting for threads that are still at work on a tile, as Python would."""
    click.echo(line, err=True)
    if any(thread.name.startswith(THREADS) for thread in threading.enumerate()):
        from fdeg_codec.raster.drafts import abandon

        abandon()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(code)
    sys.exit(code)
