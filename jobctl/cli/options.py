"""Options and arguments that several commands share, for Typer."""

from __future__ import annotations

from typing import Annotated

import typer

from jobctl.cli import complete

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
JobId = Annotated[
    int,
    typer.Argument(
        metavar="ID", min=1, max=2**63 - 1, help="The job's id.", autocompletion=complete.job_ids
    ),
]
JobIds = Annotated[
    list[int],
    typer.Argument(
        metavar="ID...", min=1, max=2**63 - 1, help="Ids of jobs.", autocompletion=complete.job_ids
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")]
