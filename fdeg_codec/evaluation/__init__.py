"""How good a decoded raster is, and how fdeg does beside the codecs a user would otherwise pick."""
