"""The commands of tuning."""
