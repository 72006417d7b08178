"""What the daemon imports."""

from app import create_app

app = create_app()
