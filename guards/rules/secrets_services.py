"""Rules for tokens of payment, mail, chat and office services.

Formats: compared with those of gitleaks (config/gitleaks.toml), where it has them.
"""

from typing import Final

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tokens import A_UUID, ANY, CAPITALS, HEX, SMALL, UUID, token
from patchbay.guards.rules.validators_secrets import random_looking

_PAYMENTS: Final = (
    token("stripe", r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{10,200}", "sk_live_" + ANY * 2, "pk_live_" + ANY * 2),
    token("webhook-secret", r"whsec_[A-Za-z0-9+/]{32,64}={0,2}", "whsec_" + ANY * 2, "whsec_" + ANY),
    token("square-token", r"sq0(?:atp|csp|idb)-[\w-]{22,60}", "sq0atp-" + ANY + "q8R-t9", "sq0atp-" + ANY),
    token("square-access-token", r"EAAA[\w-]{22,60}\b", "EAAA" + ANY * 3 + "q8R-t9Uv2Wx3", "EAAA" + ANY),
    token(
        "braintree",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}\b",
        "access_token$" + "production$" + SMALL + "$" + HEX * 2,
        "access_token$" + "production$" + SMALL,
    ),
    token("easypost", r"EZ[AT]K[A-Za-z0-9]{54}\b", "EZAK" + ANY * 3 + "q8Rt9U", "EZAK" + ANY),
    token(
        "flutterwave",
        r"FLW(?:SEC|PUB)K(?:_TEST)?-[A-Za-z0-9]{12,40}(?:-X)?\b",
        "FLWSECK_TEST-" + HEX * 2 + "-X",
        "FLWPUBK_TEST-" + "1234",
    ),
    token(
        "plaid",
        rf"access-(?:sandbox|development|production)-{UUID}",
        "access-production-" + A_UUID,
        "access-production-" + HEX,
    ),
    token("shippo", r"shippo_(?:live|test)_[a-f0-9]{40}", "shippo_live_" + HEX * 2 + "9f3a61c0", "shippo_live_" + HEX),
    token("duffel", r"duffel_(?:live|test)_[\w=-]{43}", "duffel_live_" + ANY * 2 + "q8R-t9Uv2Wx", "duffel_live_" + ANY),
    token(
        "lob",
        r"(?:(?:live|test)_[a-f0-9]{35}|(?:live|test)_pub_[a-f0-9]{31})\b",
        "live_" + HEX * 2 + "9f3",
        "live_" + HEX,
    ),
    token("shopify", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "shpat_" + HEX * 2, "shpat_" + HEX),
)
_MAIL: Final = (
    token(
        "sendgrid",
        r"SG\.(?:[\w-]{16,32}\.[\w-]{40,50}|[\w=.-]{66})",
        "SG." + ANY + "q8R-t9." + ANY * 2 + "q8R-t9Uv2Wx",
        "SG." + ANY,
    ),
    token(
        "mailgun", r"(?:pub)?key-[0-9a-f]{32}\b|[a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}\b", "key-" + HEX * 2, "key-" + HEX
    ),
    token("mailchimp", r"[0-9a-f]{32}-us\d{1,2}\b", HEX * 2 + "-us12", HEX * 2 + "-eu12"),
    token(
        "brevo",
        r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}\b",
        "xkeysib-" + HEX * 4 + "-" + ANY,
        "xkeysib-" + HEX * 4,
    ),
    token("resend", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}\b", "re_" + "aB3dE6gH_" + ANY + "q8Rt9Uv2", "re_" + "aB3dE6gH"),
    token("intercom", r"dG9rO[A-Za-z0-9+/]{54,58}={0,2}", "dG9rO" + ANY * 3 + "q8Rt9Uv2" + "=", "dG9rO" + ANY),
    token("hubspot", rf"pat-(?:na|eu|ap)\d-{UUID}", "pat-na1-" + A_UUID, "pat-na1-" + HEX),
)
_CHATS: Final = (
    token(
        "slack",
        r"xox[a-eo-s](?:\.xox[a-eo-s])?-[A-Za-z0-9-]{10,240}",
        "xoxb-" + "123456789012-" + ANY * 2,
        "xoxb-" + "1234",
    ),
    token(
        "slack-app",
        r"xapp-\d-[A-Z0-9]{1,24}-\d{1,20}-[a-z0-9]{1,64}\b",
        "xapp-1-" + "A0B1C2D3E4F-" + "1234567890123-" + HEX * 4,
        "xapp-1-",
    ),
    token(
        "slack-webhook",
        r"hooks\.slack\.com/(?:services|triggers|workflows)/[A-Za-z0-9+/]{40,60}",
        "https://hooks.slack.com/" + "services/" + "T0A1B2C3D/" + "B0A1B2C3D/" + ANY + "q8Rt9Uv2",
        "https://hooks.slack.com/" + "services/",
    ),
    token(
        "discord-bot",
        r"[MNO][\w-]{23,27}\.[\w-]{6,7}\.[\w-]{27,40}",
        "MTk4" + ANY + "q8Rt." + "G7h2jK." + ANY + "q8R-t9Uv2Wx3",
        "MTk4" + ANY + "q8Rt.G7h2jK",
    ),
    token(
        "discord-webhook",
        r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,72}",
        "discord.com/api/" + "webhooks/123456789012345678/" + ANY * 4,
        "discord.com/api/" + "webhooks/123456789012345678/",
    ),
    token(
        "teams-webhook",
        rf"webhook\.office\.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/[a-z0-9]{{32}}/{UUID}",
        "webhook.office.com/" + "webhookb2/" + A_UUID + "@" + A_UUID + "/IncomingWebhook/" + HEX * 2 + "/" + A_UUID,
        "webhook.office.com/" + "webhookb2/" + A_UUID,
    ),
    token("telegram-bot", r"\d{5,16}:A[\w-]{34}", "123456789:" + "AA" + ANY * 2 + "q", "123456789:" + "AA" + ANY),
    token("twilio-api-key", r"SK[0-9a-fA-F]{32}\b", "SK" + HEX * 2, "SK" + HEX),
    token("facebook", r"(?:EAA[A-Za-z0-9]{80,240}|\d{15,16}[|%][\w-]{27,40})", "EAA" + ANY * 6, "EAA" + ANY),
    token("twitter-bearer", r"A{20,22}[A-Za-z0-9%]{60,100}", "A" * 20 + ANY * 5, "A" * 20 + ANY),
    token(
        "zapier-webhook",
        r"hooks\.zapier\.com/hooks/catch/\d{4,10}/[a-z0-9]{5,10}\b",
        "hooks.zapier.com/" + "hooks/catch/1234567/" + "b3d6g7h",
        "hooks.zapier.com/" + "hooks/catch/",
    ),
)
_OFFICE: Final = (
    token("settlemint", r"sm_[aps]at_[A-Za-z0-9]{16}\b", "sm_pat_" + ANY, "sm_pat_" + "aB3d"),
    token("octopus-deploy", r"API-[A-Z0-9]{26}\b", "API-" + CAPITALS + "Q3EGRXH7K2", "API-" + CAPITALS),
    token("intra42", r"s-s4t2(?:ud|af)-[a-f0-9]{64}\b", "s-s4t2ud-" + HEX * 4, "s-s4t2ud-" + HEX),
    token(
        "beamer", r"b_[A-Za-z0-9=_-]{44}\b", "b_" + ANY * 2 + "q8Rt9Uv2Wx3y", "b_" + "some_name_of_ours", random_looking
    ),
    token(
        "authress",
        r"(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}",
        "sc_" + "aB3dE6.gH9j.acc_k2m5n8p3q6r." + ANY * 2,
        "sc_" + "aB3dE6.gH9j",
    ),
    token("gitlab-session", r"_gitlab_session=[0-9a-z]{32}\b", "_gitlab_session=" + HEX * 2, "_gitlab_session=" + HEX),
    token("linear", r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}\b", "lin_api_" + ANY * 2 + "q8Rt9Uv2", "lin_api_" + ANY),
    token("notion-secret", r"secret_[A-Za-z0-9]{43}\b", "secret_" + ANY * 2 + "q8Rt9Uv2Wx3", "secret_" + ANY),
    token("notion", r"ntn_\d{11}[A-Za-z0-9]{35}\b", "ntn_" + "12345678901" + ANY * 2 + "q8R", "ntn_" + ANY),
    token(
        "airtable",
        r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b",
        "pat" + "aB3dE6gH9jK2mN." + HEX * 4,
        "pat" + "aB3dE6gH9jK2mN.",
    ),
    token(
        "asana",
        r"[0-2]/\d{13,20}(?:/\d{13,20})?:[a-f0-9]{32}\b",
        "2/1234567890123456/1234567890123456:" + HEX * 2,
        "2/1234567890123456:" + HEX,
    ),
    token("figma", r"fig[dour]{1,2}_[\w-]{36,60}", "figd_" + ANY * 2 + "q8R-t9Uv", "figd_" + ANY),
    token("frame-io", r"fio-u-[\w=-]{64}", "fio-u-" + ANY * 4, "fio-u-" + ANY),
    token("typeform", r"tfp_[\w.-]{40,64}", "tfp_" + ANY * 3, "tfp_" + ANY),
    token("contentful", r"CFPAT-[\w-]{43}", "CFPAT-" + ANY * 2 + "q8R-t9Uv2Wx", "CFPAT-" + ANY),
    token("dropbox", r"sl\.(?:u\.)?[\w=-]{60,300}", "sl." + ANY * 8, "sl." + ANY),
    token("clickup", r"pk_\d{6,10}_[A-Z0-9]{32}\b", "pk_" + "12345678_" + CAPITALS * 2, "pk_" + "12345678_" + CAPITALS),
    token(
        "mapbox",
        r"sk\.eyJ[\w-]{50,200}\.[\w-]{22}",
        "sk.eyJ" + ANY * 5 + "." + ANY + "q8R-t9",
        "pk.eyJ" + ANY * 5 + "." + ANY,
    ),
    token("adobe-client-secret", r"p8e-[\w-]{32}\b", "p8e-" + ANY * 2, "p8e-" + ANY),
)
SERVICES: Final[tuple[Rule, ...]] = (*_PAYMENTS, *_MAIL, *_CHATS, *_OFFICE)
