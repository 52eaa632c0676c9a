"""HTTP/1.1 on the router's ports. The public port is a bare asyncio protocol, since every token passes through it."""
