"""Settings under their present names."""

broker_url = "redis://127.0.0.1:6379/2"
result_backend = "redis://127.0.0.1:6379/1"
