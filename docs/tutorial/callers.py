"""The tutorial's callers: each asks for a ticket's label, and votes the answer down where it is wrong.

Usage: python callers.py tickets.jsonl http://127.0.0.1:8080; it goes on until Ctrl-C.
"""

import asyncio
import itertools
import json
import sys
from pathlib import Path

import httpx

CALLERS = 8


async def call(client: httpx.AsyncClient, numbers: "itertools.count[int]", tickets: list[dict[str, str]]) -> None:
    """Asks again and again, each time as another caller: `user` says who is calling."""
    for number in numbers:
        ticket = tickets[number % len(tickets)]
        body = {
            "model": "label",
            "user": f"caller-{number}",
            "messages": [{"role": "user", "content": ticket["text"]}],
            "temperature": 0,
        }
        answer = await client.post("/v1/chat/completions", json=body)
        if answer.status_code != 200:
            await asyncio.sleep(0.2)
            continue
        said = answer.json()
        if said["choices"][0]["message"]["content"].strip() != ticket["label"]:
            await client.post("/v1/feedback", json={"completion_id": said["id"], "vote": "down"})


async def main(file: str, url: str) -> None:
    """Runs some callers at a time. `file`: tickets and their labels, one JSON object a line; `url`: the router's."""
    tickets = [json.loads(line) for line in Path(file).read_text().splitlines()]
    numbers = itertools.count()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client, asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(call(client, numbers, tickets))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
