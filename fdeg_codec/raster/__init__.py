"""Rasters through rasterio: reading, writing, windows, masks, geo-referencing, and samples as numbers in [0, 1]."""
