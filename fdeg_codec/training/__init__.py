"""Training: data, loss, loop, export. The only floor that imports optimisers."""
