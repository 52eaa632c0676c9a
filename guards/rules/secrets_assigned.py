"""Rules for secrets that can be told only by the name that they are given: in programs, settings, tables and headers."""

import re
from typing import Final

from patchbay.guards.rules.context import Near
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tokens import ANY, HEX
from patchbay.guards.rules.validators_secrets import (
    assigned_secret,
    bare_password,
    credentials,
    header_secret,
    password,
    service_secret,
)

_SERVICES: Final = (
    *("adafruit", "adobe", "airtable", "algolia", "alibaba", "aliyun", "asana", "atlassian", "confluence", "jira"),
    *("auth0", "aws", "azure", "beamer", "bitbucket", "bittrex", "meraki", "cloudflare", "cf_api", "codecov", "cohere"),
    *("co_api", "coinbase", "confluent", "contentful", "datadog", "dd_api", "dd_app", "dnkey", "discord", "droneci"),
    *("dropbox", "etsy", "facebook", "fastly", "finicity", "finnhub", "flickr", "freshbooks", "gitter", "gocardless"),
    *("heroku", "hubspot", "intercom", "jfrog", "artifactory", "bintray", "xray", "kraken", "kucoin", "launchdarkly"),
    *("linear", "linkedin", "linked_in", "linked-in", "lob", "looker", "mailchimp", "mailgun", "mapbox", "mattermost"),
    *("messagebird", "message_bird", "message-bird", "mistral", "netlify", "newrelic", "new_relic", "new-relic"),
    *("nytimes", "newyorktimes", "new-york-times", "okta", "ssws", "pagerduty", "plaid", "privateai", "private_ai"),
    *(
        "private-ai",
        "rapidapi",
        "sendbird",
        "sendgrid",
        "sentry",
        "shopify",
        "contribsys",
        "snyk",
        "sonar",
        "sourcegraph",
    ),
    *(
        "splunk",
        "squarespace",
        "stripe",
        "sumo",
        "telegr",
        "travis",
        "trello",
        "twilio",
        "twitch",
        "twitter",
        "typeform",
    ),
    *("wandb", "yandex", "zendesk", "zoho", "zoom"),
)
_SECRETS: Final = (
    *("access", "auth", "api", "credential", "creds", "key", "passwd", "password", "passphrase", "passwort", "pwd"),
    *("secret", "token", "kennwort", "contrasena", "mot_de_passe", "mdp", "clave"),
)
# What gives a name its value, and quotes and brackets before that: in programs, settings, XML, tables.
_GIVES: Final = (
    r"[\s'\"`\\\]]{0,4}(?:=>|\?\?=|\|\|=|\+=|\?=|:{1,3}=|:|={1,2}|>|\|{1,2}|,)[`'\"\s=|>(\[\\-]{0,14}[+~]?\Z"
)
# The type of a variable, between its name and its value.
_TYPE: Final = r"(?:[\"']?\s?:\s?[A-Za-z][\w<>\[\].|?]{0,30}(?=\s?=))?"
# A table: the name is in its first line, the value in a line after it.
_HEADED: Final = r"(?:[,;|\t][^\n]{0,80})?\n(?:[|: \t-]{3,80}\n)?(?:[^\n]{0,80}[,;|\t])?[ \"']{0,2}\Z"
# A list: the name's value, and others before this one.
_LISTED: Final = (
    r"[\s'\"`\\\]]{0,4}(?:=>|:{1,3}=|:|={1,2})[\s\[({-]{0,8}"
    r"(?:[`'\"]?[\w.:+/~=-]{8,100}[`'\"]?(?:\s{0,4},\s{0,8}|[ \t]{0,2}\n\s{0,8}-\s{1,3})){1,8}[`'\"]?\Z"
)
_VALUE: Final = r"[A-Za-z0-9_/][\w.:+/~-]{11,199}={0,2}"


def _assigned(names: tuple[str, ...], begins: str = "") -> Near:
    words = "|".join(map(re.escape, names))
    return Near(
        re.compile(
            rf"{begins}(?:{words})[ \t\w.-]{{0,20}}{_TYPE}(?:{_GIVES}|{_HEADED}|{_LISTED})", re.IGNORECASE | re.ASCII
        ),
        names,
    )


# Names that have a secret's word in them, and are none.
_PUBLIC: Final = re.compile(
    r"(?:access(?:ibility|or)|access[_.-]?id|api[_.-]?(?:id|name|version|host|group)|rapid(?!api)|capital|author(?!iz)|"
    r"authentication-results|credentials?[_.-]?id|with_?credentials|pub(?:lic)?[_.-]?(?:key|token)|"
    r"(?<![a-z])(?:bucket|foreign|hot|idx|natural|primary|schema|sequence|sort|partition|cache|row|hash|dict|object|s3)[_.-]?key|"
    r"key[_.-]?(?:alias|board|code|frame|id|length|mesh|name|pair|press|ring|selector|signature|size|stone|store|word|"
    r"up|down|left|right|usage|hash|path|file|type|value|index|points?|bind)|\bkey(?:word|s)?\s{0,3}[:=]\s{0,2}[\[{]|"
    r"key[_.-]?vault|issuerkeyhash|monkey|turkey|donkey|hockey|jockey|whiskey|keying|"
    r"secret[_.-]?(?:length|name|size|id|ref|version|path|store|manager)|usersecretsid|"
    r"(?:csrf|xsrf|continuation|page|next|sync)[_.-]?token|token[_.-]?(?:endpoint|ur[il]|type|count|limit|id|name|file|path)|"
    r"(?:api|credentials|auth)[_.-]?(?:endpoint|ur[il]|domain)|type=secret,|license|integrity|checksum|sha\d+|fingerprint|"
    r"(?:api|access|auth)\w*\s*[:=]\s*https?|@|commit|digest|etag|jsonwebtoken|authority|authors?\b)[^\n]{0,40}\Z"
    r"|-----BEGIN [A-Z ]{0,40}-----\s{0,8}\Z",
    re.IGNORECASE | re.ASCII,
)
# A shell's variable, a call and a path are no values.
_NO_VALUE: Final = re.compile(r"[$@%#/\\{(]\{?\Z")
_KUBERNETES: Final = re.compile(
    r"kind:\s{0,3}[\"']?secret\b[\s\S]*\bdata:\s[\s\S]*?[\w.-]+:\s{0,4}(?:[|>][+-]?\s{1,8})?[\"']?\Z", re.IGNORECASE
)
_CURL: Final = re.compile(r"\bcurl\b[\s\S]*\s\Z")
_HEADER: Final = re.compile(r"(?:-H|--header)[= \t]{0,5}[\"'](?:x-)?(?:[a-z]+-){0,2}\Z", re.IGNORECASE | re.ASCII)
_PASSWORDS: Final = r"(?:passw(?:or)?d|passwort|passphrase|passcode|pwd|kennwort|contrasena|secret)"


ASSIGNED: Final[tuple[Rule, ...]] = (
    Rule(
        name="secret-assigned",
        kind="SECRET",
        pattern=_VALUE,
        valid=assigned_secret,
        near=_assigned(_SECRETS),
        unless=_PUBLIC,
        examples=(
            *('"api_key": "' + ANY + '"', "API_KEY=" + ANY, 'token => "' + HEX + '"', "accessToken := `" + ANY + "`"),
            *(
                "<apiToken>\n  " + ANY + "\n</apiToken>",
                "name,api_key\nmine," + ANY,
                "| token |\n|---|\n| " + ANY + " |",
            ),
            'System.setProperty("API_TOKEN", "' + ANY + '")',
        ),
        others=(
            *("token = parser.next_token_of_line", "password: correct-horse-battery", "secret=aaaaaaaaaaaaaaaaaa111"),
            *('primary_key = "' + ANY + '"', 'public_key: "' + ANY + '"', "API_KEY=${API_KEY_OF_OURS_1}", ANY),
        ),
    ),
    Rule(
        name="secret-of-service",
        kind="SECRET",
        pattern=_VALUE,
        valid=service_secret,
        near=_assigned(_SERVICES, "(?<![a-z])"),
        unless=_PUBLIC,
        examples=("DD_API_KEY=" + HEX * 2, "heroku = '9f3a61c0-7be4-4258-9f3a-61c07be4d258'", "cohere: " + ANY * 2),
        others=(HEX * 2, "heroku = my-app-name-of-old-12", 'twitter: "https://example.org/' + ANY + '"'),
    ),
    Rule(
        name="secret-of-kubernetes",
        kind="SECRET",
        pattern=_VALUE,
        valid=service_secret,
        near=Near(_KUBERNETES, ("data:",)),
        examples=("kind: Secret\ndata:\n  password: " + "UyEYamyTUTXm3nGo2vRGHF0=",),
        others=("kind: ConfigMap\ndata:\n  a: " + "UyEYamyTUTXm3nGo2vRGHF0=",),
    ),
    Rule(
        name="password-quoted",
        kind="SECRET",
        pattern=_PASSWORDS
        + r"[\w.-]{0,12}[\"'`]?\s{0,3}(?::=|=>|[:=])\s{0,3}[\"'`](?P<value>[!#-&(-_a-~]{7,64})[\"'`]",
        caseless=True,
        valid=password,
        examples=("DB_PASSWORD = '" + "c0rrect-Horse/9battery" + "'", 'password: "' + "thisIsDog11" + '"'),
        others=('password = "aaaaaaaaaaaaaaa1"', 'password = "changeme"', "password: '${DB_PASSWORD1}'"),
    ),
    Rule(
        name="password-bare",
        kind="SECRET",
        pattern=_PASSWORDS + r"\s?[:=]\s?(?P<value>[!#-%*+./0-9:=?@A-Z^_a-z~-]{8,64})",
        caseless=True,
        valid=bare_password,
        examples=("password: " + "c0rrect!Horse9", "PASSWORD=" + "S3cr3t#word"),
        others=("password: correct-horse", "password=$PASSWORD1", "password = get(x)"),
    ),
    Rule(
        name="connection-string",
        kind="SECRET",
        pattern=r";\s?(?:password|pwd)\s?=\s?(?P<value>[!-:<-~]{4,64})(?:;|[\"'\s])",
        caseless=True,
        examples=("Server=db;User Id=app;" + "Password=s3cr3t;" + "Database=app",),
        others=("Server=db;User Id=app;Database=app", "; password = ;"),
    ),
    Rule(
        name="authorization",
        kind="SECRET",
        pattern=r"\bauthorization[\"']?\s{0,2}[:=,]\s{0,3}[\"'`]?(?:(?:basic|bearer|(?:api-)?token|apikey|digest|ssws) )?"
        r"(?P<value>[\w=~@.+/-]{8,200})",
        caseless=True,
        valid=header_secret,
        examples=("Authorization: Bearer " + ANY, "Authorization: Basic " + "dXNlcjpwYXNzdzByZDEy"),
        others=("Authorization: Bearer $TOKEN", "authorization: required", "Authorization: Basic xxxxxxxxxxxx"),
    ),
    Rule(
        name="header-key",
        kind="SECRET",
        pattern=r"(?:key|token):[ \t]{0,5}(?P<value>[\w=~@.+/-]{8,200})[\"']",
        caseless=True,
        valid=header_secret,
        near=Near(_HEADER, ("-h", "--header")),
        examples=("curl -H 'X-Api-Key: " + "a1b2c3d4e5" + "'",),
        others=("curl -H 'X-Api-Key: $KEY'", "X-Api-Key: a1b2c3d4e5'"),
    ),
    Rule(
        name="curl-user",
        kind="SECRET",
        pattern=r"(?:-u|--user)[= \t]{0,5}(?P<value>[\"']?[\w.@$+-]{0,64}[\"']?:[\"']?[!#-&(-~]{3,100}|[\w.@$+-]{3,64}:[\"'])[\"']?",
        valid=credentials,
        near=Near(_CURL, ("curl",)),
        examples=("curl -u " + "jane:S3cr3tW0rd" + " https://example.org", "curl --user='" + "jane:S3cr3tW0rd" + "' x"),
        others=("curl -u $USER:$PASS x", "curl -u <user>:<password> x", "sort -u jane:S3cr3tW0rd"),
    ),
    Rule(
        name="nuget-password",
        kind="SECRET",
        pattern=r"password[\"']\s{1,4}value=[\"'](?P<value>[!#-&(-~]{8,64})[\"']",
        caseless=True,
        valid=password,
        examples=('<add key="ClearTextPassword" value="' + "cl3ar!Text" + '" />',),
        others=('<add key="Password" value="%Password%" />',),
    ),
)
