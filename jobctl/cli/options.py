"""Options and arguments that several commands share, for Typer."""

from __future__ import annotations

from typing import Annotated

import typer

from jobctl.cli import complete, numbers

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
JobId = Annotated[
    int,
    typer.Argument(
        metavar="ID",
        parser=numbers.parser(1, numbers.HIGHEST_ID),
        help="The job's id.",
        autocompletion=complete.job_ids,
    ),
]
JobIds = Annotated[
    list[int],
    typer.Argument(
        metavar="ID...",
        parser=numbers.parser(1, numbers.HIGHEST_ID),
        help="Ids of jobs.",
        autocompletion=complete.job_ids,
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        "--limit",
        "-n",
        metavar="N",
        parser=numbers.parser(1, 1000),
        help="At most so many, up to 1000.",
    ),
]
