# SPDX-License-Identifier: Apache-2.0
"""The command `octavia-ovn adopt`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click
from rich.table import Table

from octavia_ovn import wiring
from octavia_ovn.adapters.octavia.adoption import Effect, Loss, pool_names
from octavia_ovn.cli import handover, output
from octavia_ovn.cli.handover import Handover
from octavia_ovn.cli.options import RIGHT, WRONG, configured, json_option
from octavia_ovn.cli.output import text
from octavia_ovn.config.octavia import Settings
from octavia_ovn.core.codec.neutron import is_uuid
from octavia_ovn.errors import NotFound, Refused

_HELP = """\
Move a load balancer from amphora to OVN, with its VIP, by the APIs of Octavia and Neutron.

LB is an id or a name. Without --yes nothing is changed: the command names what would not be the
same with OVN. With --yes it creates a load balancer of provider ovn on the same VIP port, waits
until that serves, and takes the VIP from the amphorae. Open connections end. The load balancer of
amphora stays until you delete it; until then --back returns the VIP to it.

\b
Exit status
  0  the load balancer can be moved; with --yes: it was moved
  1  OVN refuses something of it, nothing was changed; the output names it
  2  it could not be found out, or a step has failed: repeat the command, or return with --back

\b
Examples
  octavia-ovn adopt web
  octavia-ovn adopt web --yes
  octavia-ovn adopt web --back --yes
"""
_STYLES = {Effect.REFUSED: "red", Effect.UNUSED: "yellow", Effect.CHANGED: "yellow"}
_ALWAYS = (
    "Open connections end at the cut.",
    "The load balancer and all that belongs to it get new ids.",
    "Members see clients' addresses: security groups must let them in, replies must leave by OVN.",
    "Statistics begin at zero.",
)


@click.command("adopt", help=_HELP, short_help="Move a load balancer from amphora to OVN.")
@click.argument("lb", metavar="LB")
@click.option("--flavor", "flavor_id", metavar="ID", help="A flavor of OVN's for the new one.")
@click.option("--back", is_flag=True, help="Return the VIP to the amphorae.")
@click.option("--yes", is_flag=True, help="Do it; without, only say what would be done.")
@json_option
@configured
def adopt(  # noqa: PLR0913 - the command line's options
    settings: Settings, lb: str, flavor_id: str | None, *, back: bool, yes: bool, as_json: bool
) -> int:
    """Find out, and move."""
    found = _find(wiring.build(settings), lb)
    if back:
        return _back(found, yes=yes, as_json=as_json)
    losses = found.losses()
    possible = all(each.effect is not Effect.REFUSED for each in losses)
    moves = yes and possible
    new = found.forth(flavor_id) if moves else found.successor()
    if as_json:
        click.echo(json.dumps(_to_json(found, losses, new, possible=possible), indent=2))
    else:
        _print(found, losses)
        _print_end(found, new, possible=possible, moved=moves)
    return RIGHT if possible else WRONG


def _find(parts: wiring.Runtime, lb: str) -> Handover:
    """Return the load balancer of amphora that has an id or name.

    :raises NotFound: when there is none
    :raises Refused: when there are several, or it cannot be moved now
    """
    if is_uuid(lb):
        return handover.find(parts, lb)
    # Its successor has the same name.
    ids = [
        lb_id
        for lb_id in parts.listing.named(lb)
        if any(parts.listing.load_balancer(lb_id, each) for each in handover.AMPHORA)
    ]
    if not ids:
        raise NotFound(f"Octavia lists no load balancer of amphora named {lb!r}.")
    if len(ids) > 1:
        raise Refused(f"{len(ids)} load balancers are named {lb!r}; name an id: {', '.join(ids)}.")
    return handover.find(parts, ids[0])


def _back(found: Handover, *, yes: bool, as_json: bool) -> int:
    new = found.back() if yes else found.successor()
    if as_json:
        click.echo(json.dumps({"id": found.old.id, "successor": new, "done": yes}, indent=2))
    elif yes:
        click.echo(f"The amphorae of load balancer {found.old.id} have the VIP.")
        click.echo(f"Load balancer {new} of provider ovn is deleted." if new else "")
    elif new:
        click.echo(f"--yes returns VIP {_vip(found)} to the amphorae, and deletes")
        click.echo(f"load balancer {new} of provider ovn. Open connections end.")
    else:
        click.echo(f"No load balancer of provider ovn has VIP {_vip(found)}; --yes only allows the")
        click.echo("amphorae to use it, if they may not.")
    return RIGHT


def _vip(found: Handover) -> str:
    return str(found.old.lb["vip_address"])


def _print(found: Handover, losses: Sequence[Loss]) -> None:
    console = output.terminal()
    old = found.old
    parts = (
        output.counted(len(old.listeners), "listener"),
        output.counted(len(old.pools), "pool"),
        output.counted(sum(len(each.members) for each in old.pools), "member"),
    )
    console.print(
        text(
            f"Load balancer {old.id} ({old.lb.get('name') or 'no name'}), VIP {_vip(found)}:"
            f" {', '.join(parts)}"
        )
    )
    if losses:
        table = Table("Object", "Name", "With OVN", "What")
        for each in losses:
            effect = (each.effect.value, _STYLES[each.effect])
            row = (f"{each.kind} {each.id}", each.name, effect, each.reason)
            table.add_row(*(text(cell) for cell in row))
        console.print(table)
    names = pool_names(old.pools)
    for pool in old.pools:
        name, own = names[pool.itself["id"]], pool.itself.get("name") or ""
        if name != own:
            console.print(text(f"Pool {own!r} gets the name {name}: names must differ."))
    for note in _ALWAYS:
        console.print(text(f"* {note}"))


def _print_end(found: Handover, new: str | None, *, possible: bool, moved: bool) -> None:
    old = found.old.id
    if not possible:
        click.echo("It cannot be moved: change what OVN refuses, or leave it with amphora.")
    elif moved:
        click.echo(f"Load balancer {new} of provider ovn has the VIP {_vip(found)}.")
        click.echo(f"Check:  octavia-ovn trace {new} --from CLIENT")
        click.echo(f"End:    openstack loadbalancer delete --cascade {old}")
        click.echo(f"Return: octavia-ovn adopt {old} --back --yes")
    elif new:
        click.echo(f"Load balancer {new} of provider ovn is on its VIP port: the move is done, or")
        click.echo("has stopped half-way. --yes continues it, --back --yes undoes it.")
    else:
        click.echo("It can be moved: --yes does it. Nothing was changed.")


def _to_json(
    found: Handover, losses: Sequence[Loss], new: str | None, *, possible: bool
) -> dict[str, object]:
    return {
        "id": found.old.id,
        "successor": new,
        "possible": possible,
        "losses": [
            {
                "kind": each.kind,
                "id": each.id,
                "name": each.name,
                "effect": each.effect.name.lower(),
                "reason": each.reason,
            }
            for each in losses
        ],
    }
