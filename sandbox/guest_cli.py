# SPDX-License-Identifier: Apache-2.0
"""The commands for guests."""

from __future__ import annotations

import argparse
import functools
import subprocess

from sandbox.command import add_command, on_stack, say
from sandbox.stack import Stack


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with guests to the parser of `guest`."""
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    add = functools.partial(add_command, commands)
    create = add("create", on_stack(_create), "wire a guest to a Neutron port")
    create.add_argument("name")
    where = create.add_mutually_exclusive_group(required=True)
    where.add_argument("--network", help="name or id: make a port here")
    where.add_argument("--port", metavar="ID", help="use this port")
    where.add_argument(
        "--outside", action="append", metavar="ADDRESS/LENGTH",
        help="no port: stand on the external bridge with this address",
    )  # fmt: skip
    create.add_argument("--address", help="fixed IP of the new port")
    create.add_argument("--serve", type=int, action="append", metavar="PORT")
    add("list", on_stack(_list), "list guests, their addresses and namespaces")
    remove = add("remove", on_stack(_remove), "remove a guest and its Neutron port")
    remove.add_argument("name")
    remove.add_argument("--keep-port", action="store_true")
    serve = add("serve", on_stack(_serve), "start a server that answers with the name")
    serve.add_argument("name")
    serve.add_argument("ports", nargs="*", type=int, metavar="PORT", help="default: 80")
    add("stop", on_stack(_stop), "stop a guest's server").add_argument("name")
    execute = add("exec", _exec, "run a command in a guest: exec NAME -- curl ...")
    execute.add_argument("name")
    execute.add_argument("words", nargs="+", metavar="COMMAND")


def _create(stack: Stack, arguments: argparse.Namespace) -> None:
    if arguments.outside:
        guest = stack.guests.create_outside(arguments.name, arguments.outside)
    else:
        guest = stack.guests.create(
            stack.cloud(),
            arguments.name,
            network=arguments.network or "",
            port=arguments.port or "",
            address=arguments.address or "",
        )
    if arguments.serve:
        stack.guests.start_server(guest.name, arguments.serve)
    say(f"{guest.name} {' '.join(guest.addresses)} {guest.namespace}")


def _list(stack: Stack, arguments: argparse.Namespace) -> None:  # noqa: ARG001
    for guest in stack.guests.list():
        serving = "serves" if stack.guests.serves(guest.name) else ""
        say(f"{guest.name} {' '.join(guest.addresses)} {guest.namespace} {serving}".rstrip())


def _remove(stack: Stack, arguments: argparse.Namespace) -> None:
    stack.guests.remove(arguments.name, None if arguments.keep_port else stack.cloud())


def _serve(stack: Stack, arguments: argparse.Namespace) -> None:
    stack.guests.start_server(arguments.name, arguments.ports or (80,))


def _stop(stack: Stack, arguments: argparse.Namespace) -> None:
    stack.guests.stop_server(arguments.name)


def _exec(arguments: argparse.Namespace) -> int:
    guest = Stack.attach(arguments.state).guests.get(arguments.name)
    command = ["ip", "netns", "exec", guest.namespace, *arguments.words]
    return subprocess.run(command, check=False).returncode
