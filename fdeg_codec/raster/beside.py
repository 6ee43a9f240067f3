"""What a format has no place for, in .aux.xml beside the file, where GDAL looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as Xml


def note_tags(path: Path, tags: dict[str, str], domain: str = "") -> None:
    """Tags in one of GDAL's domains."""
    with _notes(path) as root:
        found = Xml.SubElement(root, "Metadata", {"domain": domain} if domain else {})
        for name, value in tags.items():
            Xml.SubElement(found, "MDI", key=name).text = value


def note_nodata(path: Path, value: float, bands: int) -> None:
    """A nodata value that each of the bands has for itself."""
    with _notes(path) as root:
        for band in range(1, bands + 1):
            Xml.SubElement(Xml.SubElement(root, "PAMRasterBand", band=str(band)), "NoDataValue").text = repr(value)


@contextmanager
def _notes(path: Path) -> Iterator[Xml.Element]:
    """What GDAL wrote there, or nothing, to be added to."""
    place = Path(f"{path}.aux.xml")
    root = Xml.parse(place).getroot() if place.exists() else Xml.Element("PAMDataset")
    yield root
    Xml.ElementTree(root).write(place)
