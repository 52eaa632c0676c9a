"""Who takes a request, who is left alone for a while, and how much may be tried again. All of it pure."""
