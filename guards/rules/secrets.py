"""Rules for secrets: tokens of known formats, keys, URLs with passwords, and values assigned to names of secrets."""

from typing import Final

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets_assigned import ASSIGNED
from patchbay.guards.rules.secrets_cloud import CLOUD
from patchbay.guards.rules.secrets_code import CODE
from patchbay.guards.rules.secrets_services import SERVICES
from patchbay.guards.rules.tokens import ANY
from patchbay.guards.rules.validators_secrets import credentials, jwt, jwt_encoded

_LABEL: Final = r"(?:[A-Z0-9]{2,9} ){0,2}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
# What may stand between the lines of a key: space, escaped line breaks, and what joins strings of a program.
_BREAK: Final = r"[\\nr\s\"'+>#*]"
_BASE64: Final = "[A-Za-z0-9+/=]"
# In order: what belongs to the key, then what ends it: the end of a string in a document or a program, a line that is
# none of a key's, and a word of prose.
_KEY_ENDS: Final = (
    rf"(?P<value>(?:[ \t]{_BASE64}{{1,20}})?{_BREAK}{{0,24}}-{{4,5}} ?END {_LABEL})",
    r"[\"']\s{0,8}(?:[,:;}\])]|[\w.-]{1,40}\s{0,2}[:=])",
    rf"(?:\n|\\n)[ \t>\"'#*|]{{0,8}}(?:{_BASE64}{{1,20}}[ \t]{{1,4}}\S|{_BASE64}{{0,20}}[^A-Za-z0-9+/=\s\\\"'>#*|])",
    r"[ \t][A-Za-z]{1,20}[ \t.,;:!?]",
)
_FORMS: Final = (
    Rule(
        name="private-key",
        kind="PRIVATE_KEY",
        pattern=rf"-{{4,5}} ?BEGIN {_LABEL}{_BREAK}{{1,24}}"
        rf"(?:[A-Z][A-Za-z-]{{2,15}}: [ -\[\]-~]{{1,60}}{_BREAK}{{1,4}}){{0,3}}[A-Za-z0-9+/]{{16}}",
        until="|".join(_KEY_ENDS),
        examples=(
            "-----BEGIN " + "RSA PRIVATE KEY-----\n" + ANY + "\n-----END " + "RSA PRIVATE KEY-----",
            "-----BEGIN " + "PRIVATE KEY-----\\n" + ANY,
            "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n" + ANY,
        ),
        others=(
            "-----BEGIN PUBLIC KEY-----\n" + ANY,
            "-----BEGIN CERTIFICATE-----\n" + ANY,
            "A file of this kind begins with -----BEGIN PRIVATE KEY----- in its first line.",
        ),
    ),
    Rule(
        name="private-key-putty",
        kind="PRIVATE_KEY",
        pattern=r"\bPuTTY-User-Key-File-[123]:",
        until=r"(?P<value>\bPrivate-MAC: [0-9a-f]{40,64}\b)|[\"']\s{0,8}[,}\])]",
        examples=("PuTTY-User-Key-" + "File-3: ssh-ed25519",),
        others=("PuTTY-User-Key-File",),
    ),
    Rule(
        name="jwt",
        kind="JWT",
        pattern=r"\beyJ[\w-]{8,800}\.eyJ[\w-]{4,12}",
        valid=jwt,
        until=r"(?P<value>\x00)|[^\w.=/+-]|\.[^\w-]",
        examples=(
            "eyJhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + "." + ANY * 2,
            "eyJhbGciOiJub25lIn0" + "." + "eyJzdWIiOiJhIn0" + ".",
        ),
        others=("eyJhbGciOiJIUzI1NiJ9", "eyJaaaaaaaaaaaaaaaaa.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc"),
    ),
    Rule(
        name="jwt-encoded",
        kind="JWT",
        pattern=r"\bZXlK[\w/+-]{60,360}={0,2}",
        valid=jwt_encoded,
        examples=("ZXlKaGJHY2lPaUpJVXpJMU5pSjkuZXlKemRXSWlPaUl4TWpNME5UWTNPRGt3SW4wLg" + ANY,),
        others=("ZXlK" + ANY * 2, "ZXlK" + ANY * 5),
    ),
    Rule(
        name="url-credentials",
        kind="URL_CREDENTIALS",
        pattern=r"\b[a-z][a-z0-9+.-]{1,19}://(?P<value>[\w.~%!$&*+,;=-]{0,64}:[\w.~%!$&()*+,;=^-]{1,80})@",
        caseless=True,
        valid=credentials,
        examples=(
            "postgres://" + "app:s3cr3t-w0rd" + "@db.example.com/app",
            "redis://" + ":hunter2" + "@10.0.0.1:6379",
        ),
        others=(
            "https://example.com:8080/a@b",
            "ssh://git@example.com",
            "https://example.com/a:b@c",
            "http://user:$PASS@host",
        ),
    ),
)
SECRETS: Final[tuple[Rule, ...]] = (*_FORMS, *CLOUD, *CODE, *SERVICES, *ASSIGNED)
