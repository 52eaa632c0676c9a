"""The demo's models on a real base: tasks in English, their corpora, and the adapters that are trained over it."""
