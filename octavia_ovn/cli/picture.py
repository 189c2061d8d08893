# SPDX-License-Identifier: Apache-2.0
"""A load balancer as a picture: SVG, and an HTML page with it, without external resources.

From left to right in the order of a packet's path: addresses, listeners, pools, members. Below, the
routers that the load balancer is attached to, and the networks that they connect. Red marks faults,
dashed lines mark missing attachments.
"""

from __future__ import annotations

import html as markup
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from octavia_ovn.core.diagnosis.shown import Address, Node, Overview, Place, State
from octavia_ovn.core.pending import Kind
from octavia_ovn.core.rows import ROUTER
from octavia_ovn.core.text import plain

_WIDTH, _MARGIN = 1240, 32
_CARD = 58
_GAP = 14
_COLUMNS = {"vip": (32, 236), "listener": (326, 244), "pool": (628, 244), "member": (930, 278)}
_TITLES = (("vip", "VIPs"), ("listener", "Listeners"), ("pool", "Pools"), ("member", "Members"))
_TOP = 128
_GLYPH = 6.9  # mean width of a character of the small font, in pixels
_BIG_GLYPH = 8.3
_PLACE = (222, 15)  # width of a card, and the gap to the next

_LIGHT = """
.bg{fill:#f7f8fa}.card{fill:#ffffff;stroke:#d5d9e0}.t{fill:#1b2330}.s{fill:#5b6676}
.good{fill:#2a9d57}.bad{fill:#d23b3b}.off{fill:#98a2b0}.attention{fill:#c98a12}
.lgood{stroke:#8fcfaa}.lbad{stroke:#d23b3b}.loff{stroke:#c3cad4}.lattention{stroke:#e0b968}
.card.bad{fill:#fff5f5;stroke:#d23b3b}.card.off{fill:#f1f3f6;stroke:#d5d9e0}
.card.attention{fill:#ffffff;stroke:#d5d9e0}.card.good{fill:#ffffff;stroke:#d5d9e0}
.diff{fill:#d23b3b}.band{fill:#eceff3}.w{stroke:#aeb7c4}
"""
_DARK = """
.bg{fill:#14181f}.card{fill:#1e242e;stroke:#3a4353}.t{fill:#e9edf3}.s{fill:#9aa6b7}
.good{fill:#4cc57e}.bad{fill:#ff6b6b}.off{fill:#6d7889}.attention{fill:#e5b04a}
.lgood{stroke:#3c7d57}.lbad{stroke:#ff6b6b}.loff{stroke:#465063}.lattention{stroke:#8c7238}
.card.bad{fill:#33191c;stroke:#ff6b6b}.card.off{fill:#191e26;stroke:#333b49}
.card.attention{fill:#1e242e;stroke:#3a4353}.card.good{fill:#1e242e;stroke:#3a4353}
.diff{fill:#ff6b6b}.band{fill:#1a1f28}.w{stroke:#5a6577}
"""
_STYLE = f"""
text{{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
.h{{font-size:22px;font-weight:600}}.b{{font-size:13.5px;font-weight:600}}.s{{font-size:12px}}
.c{{font-size:11px;letter-spacing:.8px}}.link{{fill:none;stroke-width:2}}.w{{stroke-width:2}}
.card.missing{{stroke-dasharray:6 4}}
{_LIGHT}@media (prefers-color-scheme:dark){{{_DARK}}}
"""


class _Card(NamedTuple):
    """A box with a title and lines of text."""

    state: str
    title: str
    lines: Sequence[str]
    tip: str

    @property
    def height(self) -> float:
        return 38 + 17 * len(self.lines)


@dataclass(slots=True)
class _Canvas:
    """Collects shapes: links lie beneath cards."""

    links: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, style: str, room: float = 0) -> None:
        """Write a text, cut to the available width; the tooltip has all of it."""
        glyph = _BIG_GLYPH if "b" in style.split() else _GLYPH
        most = int(room / glyph) if room else len(words)
        shown = words if len(words) <= most else words[: max(1, most - 1)] + "…"
        tip = f"<title>{_escape(words)}</title>" if shown != words else ""
        self.cards.append(f'<text x="{x}" y="{y}" class="{style}">{tip}{_escape(shown)}</text>')

    def card(self, x: float, y: float, width: float, card: _Card) -> None:
        """Draw a card with a stripe in the colour of its state."""
        stripe, colour = card.height - 16, card.state.partition(" ")[0]
        self.cards.append(
            f'<g><title>{_escape(card.tip)}</title><rect x="{x}" y="{y}" width="{width}"'
            f' height="{card.height}" rx="8" class="card {card.state}"/>'
            f'<rect x="{x}" y="{y + 8}" width="4" height="{stripe}" class="{colour}"/></g>'
        )
        self.text(x + 16, y + 24, card.title, "b t", width - 28)
        for number, line in enumerate(card.lines):
            style = "s diff" if line.startswith("≠") else "s"
            self.text(x + 16, y + 43 + 17 * number, line, style, width - 28)

    def curve(self, begin: tuple[float, float], end: tuple[float, float], state: str) -> None:
        """Draw a line from left to right."""
        (x, y), (to_x, to_y) = begin, end
        middle = (x + to_x) / 2
        self.links.append(
            f'<path d="M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}" class="link l{state}"/>'
        )


def svg(found: Overview) -> str:
    """Return a picture as an SVG document."""
    canvas = _Canvas()
    height = _draw(found, canvas)
    title = _escape(f"Load balancer {found.root.name or found.root.id}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img" aria-label="{title}">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f'<rect width="{_WIDTH}" height="{height}" class="bg"/>'
        f"{''.join(canvas.links)}{''.join(canvas.cards)}</svg>\n"
    )


def html(found: Overview) -> str:
    """Return a page with the picture, and below it all ids and differences as text."""
    name = _escape(found.root.name or found.root.id)
    rows = "".join(map(_html_row, found.nodes()))
    notes = "".join(f"<p>{_escape(note)}</p>" for note in found.notes)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme"'
        f' content="light dark"><title>{name}</title><style>{_PAGE_STYLE}</style></head><body>'
        f'<main>{svg(found)}{notes}<div class="wide"><table><thead><tr><th>Object</th><th>Name'
        "</th><th>Id</th><th>What</th><th>Octavia</th><th>OVN</th><th>Differences</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div></main></body></html>\n"
    )


_PAGE_STYLE = """
body{margin:0;background:#f7f8fa;color:#1b2330;font:14px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:16px}svg{width:100%;height:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid #d5d9e0;vertical-align:top}
.bad{color:#d23b3b}
@media (prefers-color-scheme:dark){body{background:#14181f;color:#e9edf3}
th,td{border-color:#3a4353}.bad{color:#ff6b6b}}
"""


def _html_row(node: Node) -> str:
    cells = (node.kind.singular, node.name, node.id, node.details, node.octavia, node.ovn)
    plain = "".join(f"<td>{_escape(each)}</td>" for each in cells)
    differences = "<br>".join(map(_escape, node.differences))
    return f'<tr>{plain}<td class="bad">{differences}</td></tr>'


# --- the tree


def _draw(found: Overview, canvas: _Canvas) -> float:
    """Draw the tree; return the height."""
    _head(found, canvas)
    below = _Columns(canvas).draw(found)
    below = _places(found.places, canvas, below + 28)
    for note in found.notes:
        canvas.text(_MARGIN, below, note, "s", _WIDTH - 2 * _MARGIN)
        below += 20
    return below + 8


def _head(found: Overview, canvas: _Canvas) -> None:
    root = found.root
    canvas.cards.append(f'<circle cx="{_MARGIN + 8}" cy="40" r="8" class="{root.state.value}"/>')
    canvas.text(_MARGIN + 28, 47, root.name or root.id, "h t")
    statuses = f"Octavia: {root.octavia or 'not known'}   ·   OVN: {root.ovn}   ·   {root.id}"
    canvas.text(_MARGIN + 28, 70, statuses, "s")
    for each in root.differences[:1]:
        canvas.text(_MARGIN + 28, 88, f"≠ {each}", "s diff", _WIDTH - 100)
    for column, title in _TITLES:
        canvas.text(_COLUMNS[column][0], _TOP - 14, title.upper(), "s c")


class _Columns:
    """Lays out the tree: each object is centred on its children."""

    def __init__(self, canvas: _Canvas) -> None:
        self._canvas = canvas
        self._free = dict.fromkeys(_COLUMNS, float(_TOP))
        self._pools: dict[str, float] = {}

    def draw(self, found: Overview) -> float:
        """Draw them; return where they end."""
        pools = [each for each in found.root.children if each.kind is Kind.POOL]
        listeners = [each for each in found.root.children if each.kind is Kind.LISTENER]
        for pool in [child for each in listeners for child in each.children] + pools:
            self._pools.setdefault(pool.id, self._pool(pool))
        ends = [(self._listener(each), each.state) for each in listeners]
        middle = _middle([y for y, _ in ends]) or _TOP + _CARD / 2
        begin = middle - (len(found.addresses) * (_CARD + _GAP) - _GAP) / 2
        self._free["vip"] = max(float(_TOP), begin)
        for address in found.addresses:
            y = self._address(address, found.root.state)
            x, width = _COLUMNS["vip"]
            for to_y, state in ends:
                self._canvas.curve((x + width, y), (_COLUMNS["listener"][0], to_y), state.value)
        return max(self._free.values())

    def _pool(self, pool: Node) -> float:
        if pool.id in self._pools:
            return self._pools[pool.id]
        members = [each for each in pool.children if each.kind is Kind.MEMBER]
        # A pool is drawn below the one before it.
        self._free["member"] = max(self._free["member"], self._free["pool"])
        ends = [(self._node("member", each), each.state) for each in members]
        monitor = next((each for each in pool.children if each.kind is Kind.HEALTH_MONITOR), None)
        extra = f"checked: {monitor.details}" if monitor else "not checked"
        y = self._node("pool", pool, _middle([y for y, _ in ends]), extra)
        x, width = _COLUMNS["pool"]
        for to_y, state in ends:
            self._canvas.curve((x + width, y), (_COLUMNS["member"][0], to_y), state.value)
        self._free["member"] = max(self._free["member"], self._free["pool"])
        return y

    def _listener(self, listener: Node) -> float:
        ends = [self._pools[each.id] for each in listener.children]
        y = self._node("listener", listener, _middle(ends))
        x, width = _COLUMNS["listener"]
        for to_y in ends:
            self._canvas.curve((x + width, y), (_COLUMNS["pool"][0], to_y), listener.state.value)
        return y

    def _node(self, column: str, node: Node, middle: float | None = None, extra: str = "") -> float:
        difference = node.differences[0] if node.differences else ""
        lines = [
            node.details,
            extra,
            f"{_octavia(node)} · {_ovn(node)}" if node.octavia else _ovn(node),
            difference and f"≠ {difference}",
        ]
        tip = "\n".join([node.name, node.id, *filter(None, lines), *node.differences])
        title = node.name or node.details
        shown = [each for each in lines if each and each != title]
        state = State.BAD if node.differences else node.state
        return self._card(column, _Card(state.value, title, shown, tip), middle)

    def _address(self, address: Address, state: State) -> float:
        lines = [
            f"floating IP {address.floating_ip}" if address.floating_ip else "no floating IP",
            f"on {address.network}",
        ]
        tip = "\n".join([address.address, *lines, address.switch, address.port])
        return self._card("vip", _Card(state.value, address.address, lines, tip))

    def _card(self, column: str, card: _Card, middle: float | None = None) -> float:
        """Draw a card as near to `middle` as there is room; return its own middle."""
        y = max(self._free[column], (middle or 0) - card.height / 2)
        self._free[column] = y + card.height + _GAP
        x, width = _COLUMNS[column]
        self._canvas.card(x, y, width, card)
        return y + card.height / 2


def _octavia(node: Node) -> str:
    """Return Octavia's operating status, and its provisioning status when that is not ACTIVE."""
    provisioning, _, operating = node.octavia.partition(" ")
    return operating if provisioning == "ACTIVE" else node.octavia


def _ovn(node: Node) -> str:
    """Return what OVN does, without the addresses of a listener, which are drawn to its left."""
    served = node.kind is Kind.LISTENER and node.state in (State.GOOD, State.ATTENTION)
    return "served" if served else node.ovn


def _middle(places: Sequence[float]) -> float | None:
    return (min(places) + max(places)) / 2 if places else None


# --- attachments


def _places(places: Sequence[Place], canvas: _Canvas, top: float) -> float:
    """Draw routers, the networks below them, and lines between; return where that ends.

    Lines to several rows of networks would cover each other: they are replaced by labels.
    """
    if not places:
        return top
    routers = [each for each in places if each.table == ROUTER]
    networks = [each for each in places if each.table != ROUTER]
    labels = {each.name: each.label for each in routers}
    wired = len(networks) <= _in_a_row()
    canvas.text(_MARGIN, top, "ATTACHED TO", "s c")
    # Routers are centred above the networks.
    shift = max(0, min(len(networks), _in_a_row()) - len(routers)) * sum(_PLACE) / 2
    spots = {}
    below = top + 16
    for place, spot in _row(routers, below, shift):
        below = _place(canvas, place, spot)
        spots[place.name] = (spot[0] + _PLACE[0] / 2, below)
    below += 46 if wired else 16
    for place, spot in _row(networks, below):
        around = ", ".join(labels[each] for each in place.routers)
        below = _place(canvas, place, spot, "" if wired or not around else f"on {around}")
        for router in place.routers if wired else ():
            _wire(canvas, spots[router], (spot[0] + _PLACE[0] / 2, spot[1]))
    return below + 28


def _place(canvas: _Canvas, place: Place, spot: tuple[float, float], extra: str = "") -> float:
    """Draw a router or network; return where its card ends."""
    state = place.state if place.attached or place.wanted else State.OFF
    lines = [" · ".join(filter(None, (place.purpose or "router", _attachment(place))))]
    lines += [extra] if extra else []
    style = f"{state.value} missing" if place.wanted and not place.attached else state.value
    tip = "\n".join((place.label, place.name, *lines))
    card = _Card(style, place.label, lines, tip)
    canvas.card(*spot, _PLACE[0], card)
    return spot[1] + card.height


def _wire(canvas: _Canvas, begin: tuple[float, float], end: tuple[float, float]) -> None:
    (x, y), (to_x, to_y) = begin, end
    middle = (y + to_y) / 2
    canvas.links.append(
        f'<path d="M{x} {y}C{x} {middle} {to_x} {middle} {to_x} {to_y}" class="link w"/>'
    )


def _in_a_row() -> int:
    width, gap = _PLACE
    return (_WIDTH - 2 * _MARGIN + gap) // (width + gap)


def _row(
    places: Sequence[Place], top: float, shift: float = 0
) -> Iterator[tuple[Place, tuple[float, float]]]:
    """Yield places with where their cards begin, in as many rows as they need."""
    several = len(places) > _in_a_row()
    for number, place in enumerate(places):
        line, column = divmod(number, _in_a_row())
        yield place, (_MARGIN + shift + column * sum(_PLACE), top + line * (90 if several else 0))


def _attachment(place: Place) -> str:
    if place.attached:
        return "attached" if place.wanted else "attached wrongly"
    return "not attached" if place.wanted else "behind the gateway"


def _escape(text: str) -> str:
    """Return text escaped for XML, without characters that XML forbids."""
    return "\n".join(markup.escape(plain(line)) for line in text.split("\n"))
