"""The first tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Make the table of orders."""

    initial = True
    dependencies: list[tuple[str, str]] = []  # noqa: RUF012 -- as Django reads it
    operations = [  # noqa: RUF012 -- as Django reads it
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("book", models.CharField(max_length=200)),
                ("copies", models.PositiveIntegerField()),
                ("confirmed_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
