"""``ngramgen export``: from a checkpoint of a training to a model."""

from __future__ import annotations

from pathlib import Path

import click

from ngramgen.cli.description import size_text
from ngramgen.cli.network import precision_option
from ngramgen.cli.output import notice


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Choice(["latest", "constant"]),
    default="latest",
    help="The newest, or the newest before the learning rates began to fall.",
)
@precision_option
def command(folder: Path, checkpoint: str, precisions: tuple[str, ...]) -> None:
    """Write the network of a training in FOLDER as ONNX files, also while it is still being trained.

    Training writes them when it ends; this is for one that was stopped, and for other precisions. Files of other
    precisions that are there are written anew, so that all hold the same network.

    \b
    Example:
      ngramgen export network --precision q4
    """
    from ngramgen.neural.training import SHIPPED, export_checkpoint

    path = export_checkpoint(folder, checkpoint, precisions or SHIPPED)
    for file in sorted(path.glob("*.onnx")):
        notice(f"{file}: {size_text(file.stat().st_size)}.")
