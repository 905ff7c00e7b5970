"""AH is not used: a peer that offers nothing else hears no, and the log names it."""

from __future__ import annotations

import pytest

from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.header import QUICK
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import ID, NONCE, SA, Part
from culvert.ike.wire.proposal import PROTO_AH, Proposal, SecurityAssociation, Transform
from ike.ends import EVERYWHERE, INNER, Ends

AH_SHA = 3  # RFC 2407 §4.4.3
TUNNEL = Attribute.of(4, 1)


@pytest.mark.requirement("S1-179")
def test_a_peer_that_offers_ah_only_is_refused_in_a_text_that_names_ah() -> None:
    ends = Ends()
    ends.up()
    offered = Proposal(1, PROTO_AH, b"\1\2\3\4", (Transform(1, AH_SHA, (TUNNEL,)),))
    ends.say(
        ends.client,
        QUICK,
        7,
        Part(SA, SecurityAssociation((offered,)).to_bytes()),
        Part(NONCE, bytes(range(32))),
        Part(ID, Identity.of_network(INNER.network).to_bytes()),
        Part(ID, Identity.of_network(EVERYWHERE.network).to_bytes()),
    )
    (told,) = ends.gateway.events("quick.refused")
    assert "AH only" in str(told["reason"])
    assert "ESP" in str(told["reason"])
    (compared,) = ends.gateway.events("ike.proposal-compared")
    assert (compared["attribute"], compared["remote"], compared["local"]) == (
        "protocol",
        "AH",
        "ESP",
    )
    assert len(ends.gateway.installed) == 1, "what was agreed on before lives on"
