# SPDX-License-Identifier: Apache-2.0
"""Pages, and what bodies say."""

import dataclasses
import json

import pytest
from werkzeug.wrappers import Request, Response

from octavia_ovn.adapters import rest
from octavia_ovn.errors import Unavailable
from tests.lab.httpd import HttpServer


@pytest.fixture
def answers(service):
    """A client and the list of what its server answers next: bodies, or (status, body)."""
    queued, queries = [], []

    def application(environ, start_response):
        request = Request(environ)
        queries.append(request.args.to_dict(flat=False))
        answer = queued.pop(0)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, status)(environ, start_response)

    server = HttpServer(application)
    server.start()
    reached = dataclasses.replace(service, auth_type="none", auth={"endpoint": server.url})
    yield rest.Rest(reached, "network", "Neutron", "/v2.0", page=2), queued, queries
    server.stop()


def test_pages_are_followed(answers):
    client, queued, queries = answers
    link = {"rel": "next", "href": "https://proxy/elsewhere?limit=2&marker=b&fields=id&fields=name"}
    queued += [
        {"ports": [{"id": "a"}, {"id": "b"}], "ports_links": [link]},
        {"ports": [{"id": "c"}], "ports_links": [{"rel": "previous", "href": "?"}]},
    ]
    found = client.list("/ports", "ports", {"fields": ["id", "name"]})
    assert [each["id"] for each in found] == ["a", "b", "c"]
    assert queries == [
        {"fields": ["id", "name"], "limit": ["2"]},
        {"fields": ["id", "name"], "limit": ["2"], "marker": ["b"]},
    ]


def test_an_empty_page_is_the_last(answers):
    client, queued, _ = answers
    queued += [{"ports": [], "ports_links": [{"rel": "next", "href": "?marker=a"}]}]
    assert client.list("/ports", "ports") == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "a sentence", "code": 400}}, ": a sentence, in a format"),
        ("<html>", "Neutron answered 400 to GET /v2.0/x, in a format"),
        ([], "Neutron answered 400 to GET /v2.0/x, in a format"),
        ({"code": 400}, "Neutron answered 400 to GET /v2.0/x, in a format"),
    ],
)
def test_the_sentence_of_an_error_that_is_not_neutrons(answers, body, message):
    client, queued, _ = answers
    queued.append((400, body))
    with pytest.raises(Unavailable, match=message):
        client.get("/x")


@pytest.mark.parametrize("body", [[], "null", "1"])
def test_an_answer_that_is_no_object(answers, body):
    client, queued, _ = answers
    queued.append(body)
    with pytest.raises(Unavailable, match="JSON object"):
        client.get("/x")


def test_an_answer_without_what_was_asked_for(answers):
    client, queued, _ = answers
    queued.append({"status": "ok"})
    with pytest.raises(Unavailable, match=r"answered GET /v2\.0/x without port"):
        client.get("/x")["port"]


def test_an_answer_that_is_no_json(answers):
    client, queued, _ = answers
    queued.append("<html>")
    with pytest.raises(Unavailable, match="JSON"):
        client.get("/x")
