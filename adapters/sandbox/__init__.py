"""Work on what nobody vouches for, done in a short-lived process with limits of processor time, memory, time and size.

`process.run` starts it and gives its result; `child` is what runs in it; `guard` says whom it may connect to.
"""
