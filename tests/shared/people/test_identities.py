"""What counts of an ID token's claims."""

import pytest

from shared.people.identities import of_claims


@pytest.mark.parametrize(
    ("claims", "known"),
    [
        ({"sub": "Ab1", "email": "Ann@X.org", "email_verified": True}, ["sub:Ab1", "ann@x.org"]),
        ({"sub": "Ab1", "email": "ann@x.org", "email_verified": "true"}, ["sub:Ab1", "ann@x.org"]),
        ({"sub": "Ab1", "email": "ann@x.org", "email_verified": False}, ["sub:Ab1"]),
        ({"sub": "Ab1", "email": "ann@x.org"}, ["sub:Ab1"]),
        ({"sub": "ann@x.org"}, ["sub:ann@x.org"]),
        ({"sub": ["Ab1"], "email": 7, "email_verified": True}, []),
    ],
)
def test_an_address_counts_where_the_provider_verified_it(
    claims: dict[str, object], known: list[str]
) -> None:
    assert of_claims(claims) == known
