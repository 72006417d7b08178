"""Where claimed attempts run. `base` says what every engine promises."""
