"""A shop in FastAPI: requests are coroutines, and they wait for jobs without holding anybody up."""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from tasks import total

from jobctl import AsyncResult
from jobctl.errors import DaemonNotRunning, JobFailed, NotFound, WaitTimedOut

app = FastAPI()


class Basket(BaseModel):
    """What somebody wants to buy: prices in cents."""

    prices: list[int]


@app.post("/totals", status_code=202)
async def submit(basket: Basket) -> dict[str, int]:
    """Submit a job and give its id; it is stored when this answers."""
    try:
        job = await total.adelay(basket.prices)
    except DaemonNotRunning as error:
        raise HTTPException(503, error.message) from error
    return {"job": job.id}


@app.get("/totals/{number}")
async def wait(number: int, seconds: float = 10) -> dict[str, object]:
    """Wait for a job, while all other requests go on."""
    try:
        return {"total": await AsyncResult[int](number).aget(timeout=seconds)}
    except WaitTimedOut:
        return {"total": None}
    except NotFound as error:
        raise HTTPException(404, error.message) from error
    except JobFailed as error:
        raise HTTPException(500, error.message) from error
