"""An upstream that tells what it was sent: the smallest server that speaks HTTP/1.1 with keep-alive.

It prints its port. `/echo` answers with the request as JSON, `/break` promises more than it sends and hangs up,
`/slow` never answers, `/stream` sends three pieces, `/socket` changes to websocket and sends back what it gets, as it is.
"""

import http.server
import json
import socketserver
import threading


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length).decode("latin-1")
        path = self.path.split("?")[0]
        if path.endswith("/slow"):
            threading.Event().wait(60)
        elif path.endswith("/socket"):
            self.send_response_only(101)
            self.send_header("connection", "Upgrade")
            self.send_header("upgrade", self.headers["upgrade"])
            self.send_header("sec-websocket-accept", "accepted")
            self.end_headers()
            while said := self.rfile.read1(1024):
                self.wfile.write(said)
            self.close_connection = True
        elif path.endswith("/break"):
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b"half a word")
            self.close_connection = True
        elif path.endswith("/stream"):
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in (b"one", b"two", b"three"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        else:
            seen = {"method": self.command, "path": self.path, "body": body, "headers": self.headers.items()}
            said = json.dumps(seen).encode()
            self.send_response(201)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.send_header("keep-alive", "timeout=5")
            self.send_header("x-upstream", "here")
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Upstream)
print(server.server_address[1], flush=True)
server.serve_forever()
