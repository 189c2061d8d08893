# SPDX-License-Identifier: Apache-2.0
"""Whose error an answer is. The bodies are those of Neutron 29, Octavia 19 and their middleware."""

import json

import pytest
from oslo_config import cfg

from octavia_ovn.adapters import rest, rest_errors
from octavia_ovn.adapters.rest_errors import Meaning
from octavia_ovn.config import octavia as config
from octavia_ovn.errors import Conflict, NotFound, Refused, Unavailable


def neutron(kind, message="a sentence"):
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def octavia(message):
    return {"faultcode": "Client", "faultstring": message, "debuginfo": None}


HIDDEN = "The resource could not be found."
WEBOB = "The server could not comply with the request since it is either malformed.<br /><br />\n"
KEYSTONE = "The request you have made requires authentication."

NEUTRON = [
    (404, neutron("SubnetNotFound"), Meaning.MISSING),
    (404, neutron("PortNotFound"), Meaning.MISSING),
    (404, neutron("PortNotFoundOnNetwork"), Meaning.MISSING),
    (404, neutron("FloatingIPNotFound"), Meaning.MISSING),
    (404, neutron("QosPolicyNotFound"), Meaning.MISSING),
    # Policy hides objects; an extension that is not loaded yet looks the same.
    (404, neutron("HTTPNotFound", HIDDEN), Meaning.FORBIDDEN),
    (404, {"type": "HTTPNotFound", "message": HIDDEN, "detail": ""}, Meaning.FORBIDDEN),
    (404, neutron("DeviceNotFoundError"), Meaning.REFUSED),
    (403, neutron("PolicyNotAuthorized"), Meaning.FORBIDDEN),
    (403, neutron("AdminRequired"), Meaning.FORBIDDEN),
    (401, neutron("HTTPUnauthorized"), Meaning.ACCOUNT),
    (409, neutron("IpAddressInUse"), Meaning.TAKEN),
    (409, neutron("IpAddressAlreadyAllocated"), Meaning.TAKEN),
    (409, neutron("PortInUse"), Meaning.TAKEN),
    (409, neutron("OverQuota"), Meaning.REFUSED),
    (409, neutron("IpAddressGenerationFailure"), Meaning.REFUSED),
    (409, neutron("IpAddressGenerationFailureNoMatchingSubnet"), Meaning.REFUSED),
    (409, neutron("Conflict", "HTTP 500 …\nHTTP 503 …"), Meaning.LATER),
    (409, neutron("MacAddressInUse"), Meaning.LATER),
    (412, neutron("RevisionNumberConstraintFailed"), Meaning.LATER),
    (400, neutron("InvalidInput"), Meaning.REFUSED),
    (405, neutron("HTTPMethodNotAllowed"), Meaning.REFUSED),
    (413, neutron("HTTPRequestEntityTooLarge"), Meaning.REFUSED),
    (423, neutron("HTTPLocked"), Meaning.LATER),
    (429, neutron("HTTPTooManyRequests"), Meaning.LATER),
    (500, neutron("HTTPInternalServerError"), Meaning.LATER),
    (501, {"NotImplementedError": neutron("NotImplementedError")["NeutronError"]}, Meaning.REFUSED),
    (503, neutron("ServiceUnavailable"), Meaning.LATER),
    (503, neutron("HostMacAddressGenerationFailure"), Meaning.LATER),
    (400, {"NeutronError": "a sentence"}, Meaning.REFUSED),
    (404, {"NeutronError": "a sentence"}, Meaning.REFUSED),
]
OCTAVIA = [
    (404, octavia("Load Balancer 1 not found."), Meaning.MISSING),
    # The members of a pool that does not exist.
    (
        404,
        {"code": 404, "title": "Bad Request", "description": "Pool 1 not found."},
        Meaning.MISSING,
    ),
    (
        404,
        {
            "message": WEBOB + "Pool 1 not found.\n\n",
            "code": "404 Bad Request",
            "title": "Bad Request",
        },
        Meaning.MISSING,
    ),
    (403, octavia("Policy does not allow this request to be performed."), Meaning.FORBIDDEN),
    (400, octavia("Invalid input"), Meaning.REFUSED),
    (409, octavia("Load Balancer 1 is immutable and cannot be updated."), Meaning.TAKEN),
    (500, octavia("Internal error"), Meaning.LATER),
    (503, octavia("Project busy.  Unable to lock the project.  Please try again."), Meaning.LATER),
]
IN_FRONT = [
    "",
    "<html><head><title>404 Not Found</title></head><body>nginx</body></html>",
    "404 page not found\n",
    [],
    {},
    {"message": "The Keystone service is temporarily unavailable.<br /><br />\n\n\n"},
    {"message": "Not Found", "code": "404 Not Found", "title": "Not Found"},
    # A path that the service does not have, or does not have yet.
    {"code": 404, "title": "Not Found", "description": ""},
    {"error": {"code": 403, "title": "Forbidden", "message": KEYSTONE}},
    {"status": 404, "error": "no route"},
]


RULES = [(rest_errors.neutron, *line) for line in NEUTRON]
RULES += [(rest_errors.octavia, *line) for line in OCTAVIA]


@pytest.mark.parametrize(("reader", "status", "body", "meaning"), RULES)
def test_what_the_service_itself_says(reader, status, body, meaning):
    assert rest_errors.meaning(status, reader(body)) is meaning


class Response:
    def __init__(self, status, body):
        self.status_code = status
        self._text = body if isinstance(body, str) else json.dumps(body)

    def json(self):
        return json.loads(self._text)


def error(service_type, status, body):
    service = config.load(cfg.ConfigOpts()).neutron
    client = rest.Rest(service, service_type, "Neutron", "/v2.0")
    return client._error("GET", "/v2.0/subnets/x", Response(status, body))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 423, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("body", IN_FRONT)
@pytest.mark.parametrize("service", rest_errors.READERS)
def test_what_stands_in_front_of_a_service_decides_nothing(service, body, status):
    found = error(service, status, body)
    assert type(found) is Unavailable
    assert "in a format that is not Neutron's" in str(found)


@pytest.mark.parametrize(
    ("service", "foreign"),
    [("network", octavia("x not found.")), ("load-balancer", neutron("PortNotFound"))],
)
def test_the_error_of_one_service_is_not_taken_for_that_of_the_other(service, foreign):
    assert type(error(service, 404, foreign)) is Unavailable


def test_a_token_that_the_middleware_rejects():
    body = {"error": {"code": 401, "title": "Unauthorized", "message": KEYSTONE}}
    found = error("network", 401, body)
    assert type(found) is Unavailable
    assert f"{KEYSTONE}: see the account in [neutron] or [service_auth]" in str(found)


@pytest.mark.parametrize(
    ("status", "kind", "wanted"),
    [
        (403, "PolicyNotAuthorized", Refused),
        (404, "PortNotFound", NotFound),
        (409, "IpAddressInUse", Conflict),
        (409, "OverQuota", Refused),
        (404, "HTTPNotFound", Refused),
    ],
)
def test_a_refusal_is_the_sentence_of_the_service(status, kind, wanted):
    found = error("network", status, neutron(kind))
    assert type(found) is wanted
    assert str(found) == "a sentence"


def test_an_operator_reads_which_account_lacks_a_right(caplog):
    error("network", 403, neutron("PolicyNotAuthorized"))
    assert "see the account in [neutron] or [service_auth] and its roles" in caplog.text
