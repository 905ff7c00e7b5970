"""An unmodified vpnc with everything it can, at our gateway."""

from __future__ import annotations

from itertools import product

import pytest

from culvert.lab.lab import Lab
from interop.matrix.suites import EVERYTHING, Dialled, cases, runs
from interop.ours import OurGateway
from interop.peers.credentials import USERS
from interop.peers.vpnc import Vpnc
from interop.rows import PFS

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc"), pytest.mark.interop_matrix]

GROUP = {
    "none": "nopfs",
    "modp1024": "dh2",
    "modp1536": "dh5",
    "modp2048": "dh14",
    "modp3072": "dh15",
    "modp4096": "dh16",
}
GROUPS = [name for name in PFS if name != "none"]
DIGESTS = ("sha1", "md5")
CIPHERS = ("aes256", "aes192", "aes128", "3des", "des")
ESP = list(map("-".join, product((*CIPHERS, "null"), DIGESTS)))
IKE = list(map("-".join, product(CIPHERS, DIGESTS, GROUPS)))
NO_CIPHER = ("Enable no encryption",)


@pytest.mark.parametrize("case", cases("vpnc", runs(ike=IKE, modes=["aggressive"], esp=ESP)))
def test_data_with(lab: Lab, case: Dialled) -> None:
    """It offers everything; our gateway has this suite and no other."""
    with (
        OurGateway(
            lab,
            phase1=(case.ike,),
            phase2=(case.esp_with_group,),
            legacy=EVERYTHING,
        ) as gateway,
        Vpnc(lab, dh=GROUP[case.ike_group], pfs=GROUP[case.pfs], extra=NO_CIPHER),
    ):
        assert lab.fetch("client1").identical
        row = gateway.session_of(USERS["client1"])
        assert row["ike_suite"] == case.ike
