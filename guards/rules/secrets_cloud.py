"""Rules for tokens of clouds, their services and their monitoring.

Formats: compared with those of gitleaks (config/gitleaks.toml), where it has them.
"""

from typing import Final

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tokens import ANY, CAPITALS, HEX, SMALL, token
from patchbay.guards.rules.validators_secrets import random_looking

_CLOUDS: Final = (
    token(
        "aws-access-key",
        r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        "AKIA" + "Q3EGRXH7" * 2,
        "AKIA" + "Q3EGRXH7",
    ),
    token("aws-bedrock", r"ABSK[A-Za-z0-9+/]{109,270}={0,2}", "ABSK" + ANY * 8, "ABSK" + ANY),
    token("google-api-key", r"AIza[\w-]{35}", "AIza" + ANY * 2 + "q-R", "AIza" + ANY),
    token("google-access-token", r"ya29\.[\w-]{20,240}", "ya29." + ANY * 4, "ya29." + ANY),
    token("google-client-secret", r"GOCSPX-[\w-]{28}", "GOCSPX-" + ANY + "q8R_t9U-v2Wx", "GOCSPX-" + ANY),
    token("google-refresh-token", r"1//0[\w-]{40,120}", "1//0" + ANY * 4, "1//0" + ANY),
    token(
        "azure-storage-key",
        r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)",
        "AccountKey=" + ANY * 5 + "q+R/t8" + "==",
        "AccountKey=" + ANY,
    ),
    token(
        "azure-signature",
        r"sig=(?P<value>(?:[A-Za-z0-9/+]|%[0-9A-Fa-f]{2}){43}(?:=|%3[Dd]))",
        "sig=" + ANY * 2 + "%2B" * 11 + "%3D",
        "sig=" + ANY,
    ),
    token("azure-client-secret", r"[\w~.]{3}\dQ~[\w~.-]{31,34}", "a1B8Q~" + ANY + "q8R_t9U-v2W.x3~", "a1B8Q~" + ANY),
    token(
        "azure-devops",
        r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b",
        ANY * 4 + "q8Rt9Uv2Wx3y" + "AZDO" + "a1B2",
        ANY * 4 + "AZDO" + "a1B2",
    ),
    token("alibaba-access-key", r"LTAI[A-Za-z0-9]{12,24}\b", "LTAI" + ANY, "LTAI" + "aB3dE6gH"),
    token("tencent-secret-id", r"AKID[A-Za-z0-9]{32}\b", "AKID" + ANY * 2, "AKID" + ANY),
    token("digitalocean", r"do[opr]_v1_[a-f0-9]{64}", "dop_v1_" + HEX * 4, "dop_v1_" + HEX),
    token(
        "cloudflare-origin-ca",
        r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}",
        "v1.0-" + HEX + "9f3a61c0-" + HEX * 9 + "9f",
        "v1.0-" + HEX,
    ),
    token("heroku-token", r"HRKU-[\w-]{36,66}", "HRKU-" + "AA" + ANY * 3, "HRKU-" + ANY),
    token(
        "fly-token",
        r"(?:fm(?:1[ar]|2)_[\w+/=,-]{60,300}|fo1_[\w-]{43})",
        "FlyV1 " + "fm2_" + ANY * 8,
        "FlyV1 fm2_" + ANY,
    ),
    token("netlify", r"nfp_[A-Za-z0-9]{36}", "nfp_" + ANY * 2 + "q8Rt", "nfp_" + ANY),
    token("render", r"rnd_[A-Za-z0-9]{24,40}", "rnd_" + ANY * 2, "rnd_" + ANY),
    token(
        "tailscale",
        r"tskey-[a-z]{3,8}-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{16,48}",
        "tskey-auth-" + "k3dE6gH9jK2m-" + ANY * 2,
        "tskey-auth-" + "k3dE6gH9jK2m",
    ),
)
_STORES: Final = (
    token("databricks", r"dapi[a-f0-9]{32}(?:-\d)?\b", "dapi" + HEX * 2 + "-2", "dapi" + HEX),
    token("planetscale", r"pscale_(?:tkn|oauth|pw)_[\w.=-]{32,64}", "pscale_tkn_" + ANY * 2, "pscale_tkn_" + ANY),
    token("supabase-access-token", r"sbp_[a-f0-9]{40}", "sbp_" + HEX * 2 + "9f3a61c0", "sbp_" + HEX),
    token("supabase-secret-key", r"sb_secret_[\w-]{31,44}", "sb_secret_" + ANY * 2, "sb_secret_" + ANY),
    token(
        "vault-legacy", r"s\.[A-Za-z0-9]{24}\b", "s." + ANY + "q8Rt9Uv2", "s." + "some_function_of_ours", random_looking
    ),
    token("clickhouse", r"4b1d[A-Za-z0-9]{38}\b", "4b1d" + ANY * 2 + "q8Rt9U", "4b1d" + ANY),
    token("maxmind", r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b", "aB3dE6_" + ANY + "aB3dE6gH9jK2m" + "_mmk", "aB3dE6_mmk"),
    token("openshift", r"sha256~[\w-]{43}(?:\b|-)", "sha256~" + ANY * 2 + "q8Rt9Uv2Wx3", "sha256~" + ANY),
    token("scalingo", r"tk-us-[\w-]{48}", "tk-us-" + ANY * 3, "tk-us-" + ANY),
    token(
        "defined-networking",
        r"dnkey-[\w=-]{26}-[\w=-]{52}",
        "dnkey-" + ANY + "q8Rt9Uv2Wx-" + ANY * 3 + "q8Rt",
        "dnkey-" + ANY,
    ),
    token(
        "yandex",
        r"(?:t1\.[A-Za-z0-9_-]{10,200}={0,2}\.[A-Za-z0-9_-]{86}={0,2}|AQVN[\w-]{35,38}|YC[\w-]{38}\b)",
        "AQVN" + ANY * 2 + "q8Rt",
        "AQVN" + ANY,
        random_looking,
    ),
    token("neon", r"napi_[a-z0-9]{64}", "napi_" + SMALL * 4, "napi_" + SMALL),
    token("mongodb-atlas", r"mdb_sa_sk_[\w-]{40}", "mdb_sa_sk_" + ANY * 2 + "q8R-t9Uv", "mdb_sa_sk_" + ANY),
    token(
        "doppler",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,44}",
        "dp.pt." + ANY * 2 + "q8Rt9Uv2Wx",
        "dp.pt." + ANY,
    ),
    token("vault", r"hv[bsr]\.[\w-]{24,300}", "hvs." + ANY * 2, "hvs." + ANY),
    token(
        "age-secret-key",
        r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MU" * 2,
        "AGE-SECRET-KEY-1" + "QPZRY9X8",
    ),
    token("onepassword-service-account", r"ops_eyJ[A-Za-z0-9+/_=-]{100,380}", "ops_eyJ" + ANY * 8, "ops_eyJ" + ANY),
    token(
        "onepassword-secret-key",
        r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{6}-[A-Z0-9]{5}|[A-Z0-9]{11})(?:-[A-Z0-9]{5}){3}\b",
        "A3-Q3EGRX-H7K2MN" + "-5PB4Q" * 4,
        "A3-Q3EGRX-H7K2MN" + "-5PB4Q",
    ),
    token(
        "terraform-cloud",
        r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}",
        "aB3dE6gH9jK2mN" + ".atlasv1." + ANY * 4,
        "aB3dE6gH9jK2mN" + ".atlasv1." + ANY,
    ),
    token("pulumi", r"pul-[a-f0-9]{40}", "pul-" + HEX * 2 + "9f3a61c0", "pul-" + HEX),
)
_WATCHERS: Final = (
    token(
        "dynatrace",
        r"dt0[a-zA-Z]\d{2}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}",
        "dt0c01." + CAPITALS + "Q3EGRXH7." + CAPITALS * 4,
        "dt0c01." + CAPITALS,
    ),
    token("new-relic-user-key", r"NRAK-[A-Z0-9]{27}\b", "NRAK-" + CAPITALS + "Q3EGRXH7K2M", "NRAK-" + CAPITALS),
    token("new-relic-browser-key", r"NRJS-[a-f0-9]{19}\b", "NRJS-" + HEX + "9f3", "NRJS-" + HEX),
    token("grafana-api-key", r"eyJrIjoi[A-Za-z0-9]{70,380}={0,3}", "eyJrIjoi" + ANY * 6, "eyJrIjoi" + ANY),
    token("new-relic-insert-key", r"NRI[IQ]-[\w-]{32}", "NRII-" + ANY * 2, "NRII-" + ANY),
    token("grafana-cloud", r"glc_[A-Za-z0-9+/]{32,380}={0,2}", "glc_" + ANY * 4, "glc_" + ANY),
    token(
        "grafana-service-account",
        r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
        "glsa_" + ANY * 2 + "_9f3a61c0",
        "glsa_" + ANY * 2,
    ),
    token("sentry-organization", r"sntrys_[A-Za-z0-9+/=_-]{60,300}", "sntrys_" + ANY * 6, "sntrys_" + ANY),
    token("sentry-user", r"sntryu_[a-f0-9]{64}", "sntryu_" + HEX * 4, "sntryu_" + HEX),
    token("pagerduty", r"u\+[\w+-]{18}\b", "u+" + ANY + "q8", "u+" + "some_variable_name", random_looking),
    token("honeycomb", r"hc[abn]ik_[a-z0-9]{58}", "hcaik_" + SMALL * 3 + "b3d6g7h2j4", "hcaik_" + SMALL),
)
CLOUD: Final[tuple[Rule, ...]] = (*_CLOUDS, *_STORES, *_WATCHERS)
