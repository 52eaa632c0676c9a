"""Lookup of the process that listens on a port, where the system allows it."""


def whose_port(port: int) -> str:
    """Returns ` by NAME (pid N)` for the process that listens on the TCP port `port`, empty where it cannot be
    found."""
    # Imported here, since it takes a while, and is needed only for the message of an error.
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
