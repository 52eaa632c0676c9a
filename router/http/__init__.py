"""HTTP/1.1 on the public port, as bare asyncio protocols: what every token passes through."""
