"""A laboratory at an HTTP address, with Python alone: what `by.address` of an experiment file asks.

python examples/laboratories/http_lab.py [--port 8765]
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def measure(settings: dict[str, Any]) -> dict[str, float]:
    """Your experiment: settings by name, outcomes by name."""
    return {"yield": 90 - (settings["temperature"] - 60) ** 2 / 40}


class Lab(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/stop"):
            answer: dict[str, Any] = {"outcomes": {}}  # bring the instrument to rest here
        else:
            try:
                answer = {"outcomes": measure(json.loads(body)["settings"])}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8765)
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Lab)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
