"""An upstream that tells what it was sent: the smallest server that speaks HTTP/1.1 with keep-alive.

It prints its port. `/echo` answers with the request as JSON, `/break` promises more than it sends and hangs up,
`/slow` never answers, `/stream` sends three pieces, `/socket` changes to websocket and sends back what it gets, as it is.
"""

import threading

from upstreams_base import Handler, serve


class Upstream(Handler):
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
            self.begin_stream()
            for piece in (b"one", b"two", b"three", b""):
                self.piece(piece)
        else:
            seen = {"method": self.command, "path": self.path, "body": body, "headers": self.headers.items()}
            self.say(201, seen, [("keep-alive", "timeout=5"), ("x-upstream", "here")])

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer


serve(Upstream)
