"""The sandbox for work on untrusted bytes: a short-lived process with limits of processor time, memory, time and size.

`process.run` starts it and returns its result; `child` is what runs in it; `network_guard` holds its connections to
those that `reach` permits.
"""
