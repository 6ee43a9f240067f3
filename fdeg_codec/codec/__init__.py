"""Scene to tiles to symbols to container, and back."""
