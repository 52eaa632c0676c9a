"""Whom a fetch may connect to: public hosts that are allowed, and nothing inside that nobody allowed."""

import pytest

from patchbay.adapters.sandbox.reach import FetchReach, address_of, is_inside
from patchbay.adapters.sources.authority import host_of, pinned_names, shown_source
from patchbay.adapters.sources.config import SourcesConfig

PUBLIC = "93.184.216.34"
INSIDE = (
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
)


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_inside_is_known_as_one_in_whatever_form(text: str) -> None:
    address = address_of(text)
    assert address is not None
    assert is_inside(address)
    assert not FetchReach(("*",)).permits("example.org", text)


@pytest.mark.parametrize("text", [PUBLIC, "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_a_public_address_is_reached_by_an_allowed_name_alone(text: str) -> None:
    reach = FetchReach(("hub.example", "*.files.example"))
    assert reach.permits("hub.example", text)
    assert all(reach.knows(host) for host in ("hub.example", "HUB.example.", "a.files.example"))
    assert not any(reach.knows(host) for host in ("files.example", "evilhub.example", "hub.example.evil", text, ""))


def test_a_client_reaches_inside_only_where_the_configuration_says_so() -> None:
    config = SourcesConfig(allow=("hub.example",), private=("registry.corp", "10.1.0.0/16"))
    reach = pinned_names("oci://hub.example/a/b", "client", config, {})
    assert reach.permits("registry.corp", "192.168.3.4")
    assert reach.permits("hub.example", "10.1.2.3")
    assert not reach.permits("hub.example", "10.2.2.3")
    assert not reach.permits("hub.example", "127.0.0.1")
    assert reach.knows("10.1.2.3")
    assert not reach.knows("127.0.0.1")


def test_an_operator_reaches_what_they_typed_and_a_public_host_does_not_lead_them_inside() -> None:
    reach = pinned_names("oci://localhost:5000/a/b", "operator", SourcesConfig(), {})
    assert reach.seen_from(["127.0.0.1"]).permits("localhost", "127.0.0.1")
    outside = pinned_names("oci://registry.example/a/b", "operator", SourcesConfig(), {}).seen_from([PUBLIC])
    assert outside.permits("cdn.example", PUBLIC)
    assert not outside.permits("localhost", "127.0.0.1")


def test_what_the_environment_names_is_allowed_for_its_own_kind_alone() -> None:
    environ = {"HF_ENDPOINT": "http://10.0.0.5:8000", "HTTPS_PROXY": "http://proxy.corp:3128"}
    for authority in ("client", "operator"):
        hub = pinned_names("hf://a/b", authority, SourcesConfig(), environ)
        assert hub.permits("10.0.0.5", "10.0.0.5")
        assert hub.permits("proxy.corp", "10.9.9.9")
    assert not pinned_names("https://x.example/a.zip", "client", SourcesConfig(), environ).permits(
        "10.0.0.5", "10.0.0.5"
    )


def test_a_clouds_metadata_is_asked_only_by_its_own_client_and_never_by_a_url() -> None:
    assert pinned_names("s3://b/k", "client", SourcesConfig(), {}).permits("169.254.169.254", "169.254.169.254")
    for source in ("https://169.254.169.254/latest.zip", "oci://169.254.169.254/a/b", "hf://a/b"):
        assert not pinned_names(source, "client", SourcesConfig(), {}).knows("169.254.169.254")


def test_a_source_is_shown_without_what_may_be_secret() -> None:
    assert shown_source("https://user:secret@h.example/a.zip?sig=1") == "https://h.example/a.zip"
    assert shown_source("hf://org/name@main") == "hf://org/name@main"
    assert shown_source("./a folder") == "./a folder"
    assert host_of("s3://bucket/k") is None
