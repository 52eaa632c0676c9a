"""What is looked for: patterns with their validators."""
