"""The networks: one block of the paper per file. Pictures in, latents and distributions out; no bytes here."""
