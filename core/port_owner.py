"""Who listens on a port, where the system tells."""


def whose_port(port: int) -> str:
    """` by NAME (pid N)` for the process that listens on the TCP port `port`, empty where nobody can tell."""
    # Only asked where something is wrong already: it takes a while to import.
    import psutil

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
