"""What fits jobctl into other people's programs; each part for those who import it."""
