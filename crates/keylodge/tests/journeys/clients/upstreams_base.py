"""What the upstreams of the journeys have in common: HTTP/1.1 with keep-alive, answers in JSON, pieces of a stream."""

import http.server
import json
import socketserver


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, message, headers=()):
        said = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(said)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def begin_stream(self, headers=()):
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def piece(self, data):
        """One chunk of the body; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def serve(handler):
    """Prints the port and serves for ever."""
    server = Server(("127.0.0.1", 0), handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
