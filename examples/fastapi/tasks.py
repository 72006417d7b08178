"""The tasks; importing them needs neither FastAPI nor a daemon."""

import asyncio

from jobctl import task


@task(name="shop.total", retries=2)
async def total(prices: list[int]) -> int:
    """Add prices, which takes a while."""
    if any(price < 0 for price in prices):
        raise ValueError("a price below zero")
    await asyncio.sleep(0.1)
    return sum(prices)
