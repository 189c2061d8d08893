# SPDX-License-Identifier: Apache-2.0
"""Requests as other clients send them: Horizon, Terraform, Kubernetes' controllers, Heat.

Each file of `bodies` names where its requests are from, and is a story of one load balancer from
its creation to its end. A step may say:

* `keep`: the name under which later steps know what it made, and in capitals its id in capitals;
  `find`: names of what else there is
* `refused`: words of the sentence that the user reads, while no row changes; otherwise it is
  accepted, and all parts of the load balancer become ACTIVE
* `rows`: whether the rows of the Northbound database are the `same` afterwards or `changed`
* `shows`: what Octavia shows afterwards
"""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox.api import ApiError
from tests.clients.northbound import differences
from tests.clients.site import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.api import Json
    from tests.clients.site import Site

FILES = sorted(Path(__file__).parent.glob("bodies/*.yml"))
_CLIENT_ERRORS = {400, 404, 409, 501}


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    """Keep what a story that failed has left from the next one."""
    yield
    site.scenery.delete_load_balancers()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_requests_of(site: Site, file: Path) -> None:
    story = yaml.safe_load(file.read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for name, value in site.names().items():
        _know(names, name, value)
    for step in story["steps"]:
        before = site.rows()
        if "refused" in step:
            with pytest.raises(ApiError, match=re.escape(step["refused"])) as refused:
                _send(site, story, _filled(step, names))
            assert refused.value.status in _CLIENT_ERRORS, step["what"]
        else:
            answer = _send(site, story, _filled(step, names))
            site.wait()
            _learn(site, step, answer, names)
        changes = differences(before, site.rows())
        if rows := "same" if "refused" in step else step.get("rows"):
            assert bool(changes) == (rows == "changed"), f"{step['what']}: {changes}"
        _check(site, _filled(step.get("shows", {}), names))
    assert site.scenery.left_in_nb() == {}
    assert site.scenery.left_in_neutron() == []


def _send(site: Site, story: Json, step: Json) -> Json:
    method, path = step["request"].split()
    path = f"/{story.get('api', 'v2')}/lbaas{path}"
    return site.cloud.request("load-balancer", method, path, step.get("body"))


def _learn(site: Site, step: Json, answer: Json, names: dict[str, str]) -> None:
    if name := step.get("keep"):
        (made,) = answer.values()
        _know(names, name, made["id"])
    for name, path in step.get("find", {}).items():
        (listed,) = (each for each in site.cloud.octavia("GET", path).values() if each)
        _know(names, name, listed[0]["id"])


def _know(names: dict[str, str], name: str, value: str) -> None:
    names |= {name: value, name.upper(): value.upper()}


def _check(site: Site, shows: Json) -> None:
    for path, wanted in shows.items():
        found = shown(site, path)
        for name, value in wanted.items():
            part: Any = found
            for key in name.split("."):
                part = part[key]
            assert part == value, (path, name)


def _filled(value: Any, names: dict[str, str]) -> Any:
    """Put ids and addresses into the braces of texts, at any depth."""
    if isinstance(value, str):
        known = {name for _, name, _, _ in string.Formatter().parse(value) if name}
        return value.format(**names) if known else value
    if isinstance(value, list):
        return [_filled(each, names) for each in value]
    if isinstance(value, dict):
        return {_filled(key, names): _filled(each, names) for key, each in value.items()}
    return value
