# SPDX-License-Identifier: Apache-2.0
"""Threaded HTTP server with request counters and injectable faults."""

import collections
import dataclasses
import json
import logging
import re
import socket
import threading
import time

import werkzeug.serving

logging.getLogger("werkzeug").setLevel(logging.ERROR)


@dataclasses.dataclass
class Fault:
    """What to do to matching requests instead of, or before, serving them.

    :param status: answer with this HTTP status
    :param kind: the type of the NeutronError in that answer
    :param reset: drop the connection without an answer
    :param served: drop the connection only after the request has been carried out
    :param latency: seconds to wait first; longer than the client's patience
        it makes a time-out
    :param count: how many requests it hits; None for all
    """

    path: str = ""
    method: str = ""
    status: int = 0
    kind: str = ""
    reset: bool = False
    served: bool = False
    latency: float = 0.0
    count: int | None = None


class _Handler(werkzeug.serving.WSGIRequestHandler):
    # Keep-alive without Nagle's delays, like a production API server.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


class HttpServer:
    """Serves a WSGI application on a loopback port of its own."""

    def __init__(self, application):
        self._application = application
        self._faults = []
        self._lock = threading.Lock()
        self.requests = collections.Counter()
        self._server = None
        self._thread = None
        self.port = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Listen; on the same port as before after a stop."""
        self._server = werkzeug.serving.make_server(
            "127.0.0.1", self.port or 0, self._serve, threaded=True, request_handler=_Handler
        )
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self):
        """Stop listening: from now on connections are refused."""
        if self._server:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def around(self, before, after):
        """Call functions before and after each request is served; those that raise lose it."""
        application = self._application

        def serve(environ, start_response):
            what = f"{environ['REQUEST_METHOD']} {generic_path(environ['PATH_INFO'])}"
            try:
                before(what)
                answer = list(application(environ, start_response))
                after(what)
            except ConnectionError:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise
            return answer

        self._application = serve

    def inject(self, **fault):
        """Add a Fault; return it, so that it can be given to heal()."""
        fault = Fault(**fault)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self, fault=None):
        """Remove one fault, or all of them."""
        with self._lock:
            self._faults = [
                other for other in self._faults if fault is not None and other is not fault
            ]

    def request_count(self):
        return sum(self.requests.values())

    def _serve(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.requests[f"{method} {generic_path(path)}"] += 1
        fault = self._match_fault(method, path)
        if fault:
            time.sleep(fault.latency)
            if fault.served:
                self._application(environ, lambda *_: None)
            if fault.reset or fault.served:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionResetError("injected")
            if fault.status:
                return _fail(fault, start_response)
        return self._application(environ, start_response)

    def _match_fault(self, method, path):
        with self._lock:
            for fault in self._faults:
                if re.search(fault.path, path) and fault.method in ("", method):
                    if fault.count is not None:
                        fault.count -= 1
                        if fault.count <= 0:
                            self._faults.remove(fault)
                    return fault
        return None


def _fail(fault, start_response):
    error = {"NeutronError": {"type": fault.kind, "message": "Injected", "detail": ""}}
    body = json.dumps(error if fault.kind else {}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(f"{fault.status} Injected", headers)
    return [body]


def generic_path(path):
    """Replace what identifies one object by {id}, for the counters."""
    return re.sub(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|ovn-lb-[^/]*)", "/{id}", path)
