"A server that speaks OpenAI's protocol with anything behind it, and misbehaves when it is told to."
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ProtocolServer:
    """`say(prompt, request)` gives `(text, finish reason)`; `plan` says for the n-th request what goes wrong.

    A plan's words: `429`, `429 2` (with Retry-After), `500`, `slow`, `broken` (no JSON), `empty` (JSON
    without
    an answer), `drop` (the connection ends), and `ok`. `seen` counts prompts that were answered well."""
    def __init__(self, say, plan=(), key="", names=("scale",)):
        self.say, self.plan, self.key, self.names = say, dict(enumerate(plan)), key, names
        self.count, self.seen, self.lock, self.most, self.now = 0, Counter(), threading.Lock(), 0, 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self): return self
    def __exit__(self, *_): self.server.shutdown(), self.server.server_close()

    def trouble(self):
        with self.lock:
            number, self.count = self.count, self.count + 1
            return self.plan.get(number, self.plan.get("always", "ok"))

    def handler(server):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass

            def reply(self, status, body, **headers):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items(): self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def refuse(self, status, message, **headers):
                self.reply(status, dict(error=dict(message=message)), **headers)

            def do_GET(self):
                self.reply(200, dict(object="list", data=[dict(id=n, object="model") for n in server.names]))

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                    return self.refuse(401, "wrong key")
                if asked["model"] not in server.names: return self.refuse(404, "no such model")
                word, _, more = server.trouble().partition(" ")
                if word == "429":
                    return self.refuse(429, "slow down", **(dict(Retry_After=more) if more else {}))
                if word == "500": return self.refuse(500, "out of order")
                if word == "400": return self.refuse(400, "the prompt is too long")
                if word == "broken": return self.reply(200, b'{"choices": [')
                if word == "empty":
                    return self.reply(200,
                                      dict(id="x", object="chat.completion", created=0, model="m",
                                           choices=[]))
                if word == "drop": return self.connection.close()
                if word == "slow": time.sleep(float(more or 2))
                with server.lock:
                    server.now += 1
                    server.most = max(server.most, server.now)
                try: text, reason = server.say(asked["messages"][-1]["content"], asked)
                finally:
                    with server.lock: server.now -= 1
                with server.lock: server.seen[asked["messages"][-1]["content"], asked.get("seed")] += 1
                message = dict(index=0, finish_reason=reason, message=dict(role="assistant", content=text))
                self.reply(200,
                           dict(id="x", object="chat.completion", created=0, model=asked["model"],
                                choices=[message],
                                     usage=dict(prompt_tokens=3, completion_tokens=len(text.split()),
                                                total_tokens=9)))
        return Handler
