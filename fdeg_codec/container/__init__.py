"""Bytes only: header, sections, index, checksums. Knows neither torch nor rasterio nor numpy."""
