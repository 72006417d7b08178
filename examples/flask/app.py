"""A shop in Flask: a request submits, a worker confirms, both with the application's context."""

import sqlite3
from pathlib import Path

from flask import Flask, abort, current_app, g, jsonify, request

from jobctl import AsyncResult, around_attempts, task
from jobctl.errors import JobFailed, NotFound


def create_app() -> Flask:
    """Make the application. The web server calls this, and so does each worker, once."""
    app = Flask(__name__)
    app.config["DATABASE"] = Path(__file__).with_name("shop.sqlite3")
    app.teardown_appcontext(close_database)
    app.add_url_rule("/orders", view_func=create, methods=["POST"])
    app.add_url_rule("/orders/<int:number>", view_func=show)
    app.add_url_rule("/jobs/<int:number>", view_func=job)
    with app.app_context():
        database().execute(
            "CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, book TEXT, note TEXT)"
        )
    # In workers: `current_app` and `g` are there in each attempt, and closed after it.
    around_attempts(app.app_context)
    return app


def database() -> sqlite3.Connection:
    """The connection of this request, or of this attempt."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"], timeout=60)
    return g.database


def close_database(_error: BaseException | None) -> None:
    """Flask calls this at the end of each context."""
    if "database" in g:
        g.pop("database").close()


@task(name="shop.confirm", retries=3, retry_delay=1)
def confirm(number: int) -> str:
    """Write into the order."""
    with database() as connection:
        connection.execute("UPDATE orders SET note = 'confirmed' WHERE number = ?", [number])
    return f"{current_app.name}: order {number} is confirmed"


def create():
    """Store an order, and then have it confirmed."""
    with database() as connection:
        book = request.get_json()["book"]
        number = connection.execute("INSERT INTO orders (book) VALUES (?)", [book]).lastrowid
    # The order is committed: the job will find it.
    return jsonify(number=number, job=confirm.delay(number).id), 201


def show(number: int):
    """Tell what became of an order."""
    row = database().execute("SELECT book, note FROM orders WHERE number = ?", [number]).fetchone()
    return jsonify(book=row[0], note=row[1]) if row else abort(404)


def job(number: int):
    """Tell what became of a job."""
    result = AsyncResult(number)
    try:
        value = result.result
        return jsonify(state=result.state, result=None if isinstance(value, JobFailed) else value)
    except NotFound:
        abort(404)
