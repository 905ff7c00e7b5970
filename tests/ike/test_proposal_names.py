"""The Cisco names of proposals: each is the transform it says, and selectable at both ends."""

from __future__ import annotations

import pytest

from culvert.gateway.config import problems
from culvert.ike.proposal import choose_ike, offer_ike
from culvert.ike.suite import EspSuite, IkeSuite, ike_suites
from culvert.profile.profile import InvalidProfile, Profile
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName

PHASE1 = [row for row in PROPOSAL_NAMES if row.phase == 1]
PHASE2 = [row for row in PROPOSAL_NAMES if row.phase == 2]
ALL_SWITCHES = ("aggressive-psk", "des", "3des", "md5", "sha1", "null", "ipcomp")
GROUPS = ("modp768", "modp1024", "modp1536")


def by_name(row: ProposalName) -> str:
    return row.name


def test_there_are_all_of_them() -> None:
    assert (len(PHASE1), len(PHASE2)) == (53, 16)


@pytest.mark.parametrize("row", PHASE1, ids=by_name)
def test_a_name_of_phase_1_is_a_transform_its_peer_chooses(row: ProposalName) -> None:
    suite = IkeSuite.named(row.name)
    assert suite.authentication.name == row.authentication
    assert suite.name == row.tokens
    chosen = choose_ike(offer_ike((suite,), 3600), (IkeSuite.named(row.name.lower()),))
    assert chosen is not None
    others = [IkeSuite.named(o.name) for o in PHASE1 if IkeSuite.named(o.name) != suite]
    assert choose_ike(offer_ike((suite,), 3600), others) is None
    assert ike_suites((row.name,), ("psk", "xauth-psk", "rsa", "xauth-rsa", "hybrid")) == (suite,)


@pytest.mark.parametrize("row", PHASE1, ids=by_name)
def test_a_profile_takes_every_name_of_phase_1_with_its_switches_only(row: ProposalName) -> None:
    def profile(legacy: tuple[str, ...], way: str = row.authentication) -> Profile:
        return Profile(
            "n", "192.0.2.1", group="g", authentication=way, phase1=(row.name,), legacy=legacy
        )

    switches = (*ALL_SWITCHES, *GROUPS)
    assert profile(switches).phase1 == (row.name,)
    for switch in IkeSuite.named(row.name).legacy:
        with pytest.raises(InvalidProfile, match=f'must contain "{switch}"'):
            profile(tuple(one for one in switches if one != switch))
    with pytest.raises(InvalidProfile, match="stands for authentication"):
        profile(switches, "psk" if row.authentication != "psk" else "xauth-psk")


@pytest.mark.parametrize("row", PHASE2, ids=by_name)
def test_a_name_of_phase_2_is_a_suite(row: ProposalName) -> None:
    assert (EspSuite.named(row.name).compression is not None) == row.compressed
    assert EspSuite.named(row.name).name == row.tokens
    assert EspSuite.named(f"{row.name}-modp1024").name == f"{row.tokens}-modp1024"
    made = Profile("n", "192.0.2.1", group="g", phase2=(row.name,), legacy=(*ALL_SWITCHES, *GROUPS))
    assert made.phase2 == (row.name,)


def test_a_gateway_names_the_switch_and_the_authentication_that_a_name_lacks() -> None:
    text = '[gateway]\nphase1 = ["IKE-DES-MD5"]\nphase2 = ["NULL-SHA"]\n'
    told = " ".join(one.what for one in problems(text, "gateway.toml"))
    for part in ("legacy switch des", "legacy switch null", "stands for authentication psk"):
        assert part in told
