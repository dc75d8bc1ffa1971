"""A bandit whose rewards come later, on a server: python3 serve_bandit.py URL."""

import json
import sys
import urllib.request
from collections import deque
from typing import Any

LIKES = {"ann": "politics", "bob": "sports"}


def send(url: str, body: dict[str, Any], method: str = "POST") -> Any:
    """Sends JSON, and returns the answer."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main(url: str) -> None:
    """Makes decisions, tells their rewards ten visits later, and prints how many of the last hundred were right."""
    model = f"{url}/v1/models/news"
    send(model, {"options": "--cb_explore_adf --epsilon 0.1 -q ca"}, "PUT")
    waiting: deque[tuple[str, float]] = deque()
    hits = []
    for visit in range(400):
        user = ("ann", "bob")[visit % 2]
        decision = send(f"{model}:predict", {"context": {"user": user}, "actions": {"politics": {}, "sports": {}}})
        hits.append(decision["action"] == LIKES[user])
        waiting.append((decision["id"], float(hits[-1])))
        if len(waiting) > 10:
            identifier, reward = waiting.popleft()
            send(f"{model}:label", {"id": identifier, "reward": reward})
    print(f"liked, of the first hundred: {sum(hits[:100])}, of the last hundred: {sum(hits[-100:])}")


if __name__ == "__main__":
    main(sys.argv[1])
