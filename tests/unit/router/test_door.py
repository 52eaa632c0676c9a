import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from patchbay.core.asgi import Headers
from patchbay.core.errors import Forbidden, UnsupportedMediaType
from patchbay.router.http.origin_check import OriginCheck, check_change, check_site

_LOCAL = OriginCheck(bound="127.0.0.1", hosts=())


def _to(host: str, **more: str) -> Headers:
    others = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    return [(b"host", host.encode()), *others]


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LocalHost.:1", "a.localhost", "127.0.0.1:9", "[::1]:8081", "10.2.3.4:80"],
)
def test_addresses_and_localhost_need_not_be_told(host: str) -> None:
    _LOCAL.check_host(_to(host))


@pytest.mark.parametrize(
    "host",
    ["attacker.example", "attacker.example:8081", "localhost.attacker.example", "127.0.0.1.nip.io", "", "[::1].x", "1"],
)
def test_a_name_that_was_not_told_is_refused_and_the_setting_is_named(host: str) -> None:
    with pytest.raises(Forbidden, match=r"'admin_hosts'.*'router\.admin_hosts'"):
        OriginCheck(bound="127.0.0.1", hosts=(), setting="admin_hosts").check_host(_to(host))


def test_names_are_told_one_by_one_or_below_one_or_all() -> None:
    door = OriginCheck(bound="0.0.0.0", hosts=("router", "*.svc.cluster.local"))
    for host in ("router:8081", "ROUTER", "a.b.svc.cluster.local:8081"):
        door.check_host(_to(host))
    for host in ("router.other", "svc.cluster.local", "evilsvc.cluster.local"):
        with pytest.raises(Forbidden):
            door.check_host(_to(host))
    OriginCheck(bound="0.0.0.0", hosts=("*",)).check_host(_to("anything.example"))


_LABEL = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@given(st.lists(_LABEL, min_size=1, max_size=3).map(".".join), st.integers(1, 65535))
@example("localhost.evil", 8081)
def test_no_name_but_localhost_opens_a_door_that_was_told_none(name: str, port: int) -> None:
    if name == "localhost" or name.endswith(".localhost"):
        return
    with pytest.raises(Forbidden):
        OriginCheck(bound="127.0.0.1", hosts=()).check_host(_to(f"{name}:{port}"))


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost:3000", "null", "http://127.0.0.1:8082", "x"]
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    with pytest.raises(Forbidden):
        _LOCAL.check_origin(_to("127.0.0.1:8081", origin=origin))


def test_its_own_pages_and_those_of_told_names_and_origins_are_let_in() -> None:
    _LOCAL.check_origin(_to("127.0.0.1:8081"))
    _LOCAL.check_origin(_to("127.0.0.1:8081", origin="http://127.0.0.1:8081"))
    # A proxy in front that ends TLS passes on another Host.
    OriginCheck(bound="10.0.0.1", hosts=("admin.example",)).check_origin(
        _to("router:8081", origin="https://admin.example")
    )
    OriginCheck(bound="127.0.0.1", hosts=(), origins=("https://chat.example",)).check_origin(
        _to("localhost", origin="https://chat.example")
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_comes_from_another_site_is_refused_but_for_a_link(site: str) -> None:
    with pytest.raises(Forbidden):
        check_site("POST", [(b"sec-fetch-site", site.encode()), (b"sec-fetch-mode", b"navigate")])
    with pytest.raises(Forbidden):
        check_site("GET", [(b"sec-fetch-site", site.encode()), (b"sec-fetch-mode", b"no-cors")])
    check_site("GET", [(b"sec-fetch-site", site.encode()), (b"sec-fetch-mode", b"navigate")])
    check_site("POST", [(b"sec-fetch-site", b"same-origin")])


_SIMPLE = ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "TEXT/PLAIN;x", ""]


@pytest.mark.parametrize("kind", _SIMPLE)
@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_change_comes_in_a_form_that_any_page_may_send(method: str, kind: str, archive: bool) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_change(method, [(b"content-type", kind.encode())], archive=archive)


def test_json_archives_and_a_shown_token_make_a_change() -> None:
    check_change("POST", [(b"content-type", b"application/json; charset=utf-8")])
    check_change("POST", [(b"content-type", b"application/gzip")], archive=True)
    check_change("POST", [(b"authorization", b"Bearer x")])
    check_change("GET", [])
    with pytest.raises(UnsupportedMediaType):
        check_change("POST", [(b"content-type", b"application/gzip")])
    with pytest.raises(UnsupportedMediaType):
        check_change("POST", [])
