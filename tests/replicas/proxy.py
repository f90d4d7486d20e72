"""A plain proxy on loopback: takes turns, and asks the next replica where one does not answer or is about to go."""

import http.client
import http.server
import itertools
import threading

# Not ready, or shutting down; a full queue is the client's affair.
GOING = 503
TIMEOUT_S = 30


class Proxy:
    """Serves on `address` until `close`; `replicas` are ports on loopback."""

    def __init__(self, replicas):
        turns = itertools.count()
        lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    first = next(turns)
                status, answer = 502, b"no replica answered"
                for turn in range(2 * len(replicas)):
                    port = replicas[(first + turn) % len(replicas)]
                    try:
                        status, answer = ask(port, "POST", self.path, body)
                    except (OSError, http.client.HTTPException):
                        continue
                    if status != GOING:
                        break
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


def ask(port, method, path, body=None):
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, {"content-type": "image/png"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
