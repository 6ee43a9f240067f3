"""`fdeg models`."""

from __future__ import annotations

import json

import click

from fdeg_codec.cli import options


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """List the installed models: name, fingerprint, lambdas, size."""
    from fdeg_codec.weights import installed

    rows = [
        {
            "name": m.name,
            "fingerprint": m.fingerprint.hex(),
            "lambda": m.manifest["lambda"],
            "parameters": m.manifest["parameters"],
            "bytes": m.path.stat().st_size if m.path.exists() else None,
        }
        for m in installed()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        low, high = row["lambda"]
        size = "missing" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f} MB"
        rates = f"lambda {low} to {high}"
        click.echo(f"{row['name']:<20} {row['fingerprint']}  {rates}  {row['parameters'] / 1e6:.1f} M parameters  {size}")
