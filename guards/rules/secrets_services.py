"""Rules for tokens of payment, mail, chat and office services.

Formats: compared with those of gitleaks (config/gitleaks.toml), where it has them.
"""

from typing import Final

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tokens import A_UUID, ANY, CAPITALS, HEX, SMALL, UUID, named, token

_PAYMENTS: Final = (
    token("stripe", r"[rs]k_(?:live|test|prod)_[A-Za-z0-9]{16,200}", "sk_live_" + ANY * 2, "pk_live_" + ANY * 2),
    token("webhook-secret", r"whsec_[A-Za-z0-9+/]{32,64}={0,2}", "whsec_" + ANY * 2, "whsec_" + ANY),
    token("square-token", r"sq0(?:atp|csp|idb)-[\w-]{22,43}", "sq0atp-" + ANY + "q8R-t9", "sq0atp-" + ANY),
    token("square-access-token", r"EAAA[\w-]{60}\b", "EAAA" + ANY * 3 + "q8R-t9Uv2Wx3", "EAAA" + ANY),
    token(
        "braintree",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}\b",
        "access_token$" + "production$" + SMALL + "$" + HEX * 2,
        "access_token$" + "production$" + SMALL,
    ),
    token("easypost", r"EZ[AT]K[A-Za-z0-9]{54}\b", "EZAK" + ANY * 3 + "q8Rt9U", "EZAK" + ANY),
    token(
        "flutterwave",
        r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,40}(?:-X)?\b",
        "FLWSECK_TEST-" + HEX * 2 + "-X",
        "FLWPUBK_TEST-" + HEX * 2 + "-X",
    ),
    token(
        "plaid",
        rf"access-(?:sandbox|development|production)-{UUID}",
        "access-production-" + A_UUID,
        "access-production-" + HEX,
    ),
    token("shippo", r"shippo_(?:live|test)_[a-f0-9]{40}", "shippo_live_" + HEX * 2 + "9f3a61c0", "shippo_live_" + HEX),
    token("duffel", r"duffel_(?:live|test)_[\w=-]{43}", "duffel_live_" + ANY * 2 + "q8R-t9Uv2Wx", "duffel_live_" + ANY),
    token("lob", r"(?:live|test)_[a-f0-9]{35}\b", "live_" + HEX * 2 + "9f3", "live_" + HEX),
    token("shopify", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "shpat_" + HEX * 2, "shpat_" + HEX),
)
_MAIL: Final = (
    token(
        "sendgrid", r"SG\.[\w-]{16,32}\.[\w-]{40,50}", "SG." + ANY + "q8R-t9." + ANY * 2 + "q8R-t9Uv2Wx", "SG." + ANY
    ),
    token("mailgun", r"key-[0-9a-f]{32}\b", "key-" + HEX * 2, "key-" + HEX),
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
        r"xox[a-eo-s](?:\.xox[a-eo-s])?-[A-Za-z0-9-]{20,240}",
        "xoxb-" + "123456789012-" + ANY * 2,
        "xoxb-" + "1234",
    ),
    token(
        "slack-app",
        r"xapp-\d-[A-Z0-9]{8,14}-\d{10,14}-[a-f0-9]{64}",
        "xapp-1-" + "A0B1C2D3E4F-" + "1234567890123-" + HEX * 4,
        "xapp-1-" + "A0B1C2D3E4F",
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
    token("telegram-bot", r"\d{8,10}:AA[\w-]{33}", "123456789:" + "AA" + ANY * 2 + "q", "123456789:" + "AA" + ANY),
    token("twilio-api-key", r"SK[0-9a-f]{32}\b", "SK" + HEX * 2, "SK" + HEX),
    named("twilio-auth-token", "twilio", "[0-9a-f]{32}", "TWILIO_AUTH_TOKEN=" + HEX * 2, "twilio: " + HEX),
    token("facebook", r"EAA[A-Za-z0-9]{80,240}", "EAA" + ANY * 6, "EAA" + ANY),
    token("twitter-bearer", r"A{20,22}[A-Za-z0-9%]{60,100}", "A" * 20 + ANY * 5, "A" * 20 + ANY),
    token(
        "zapier-webhook",
        r"hooks\.zapier\.com/hooks/catch/\d{4,10}/[a-z0-9]{5,10}\b",
        "hooks.zapier.com/" + "hooks/catch/1234567/" + "b3d6g7h",
        "hooks.zapier.com/" + "hooks/catch/",
    ),
)
_OFFICE: Final = (
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
    token("dropbox", r"sl\.(?:u\.)?[\w-]{60,300}", "sl." + ANY * 8, "sl." + ANY),
    token("clickup", r"pk_\d{6,10}_[A-Z0-9]{32}\b", "pk_" + "12345678_" + CAPITALS * 2, "pk_" + "12345678_" + CAPITALS),
    token(
        "mapbox",
        r"sk\.eyJ[\w-]{50,200}\.[\w-]{22}",
        "sk.eyJ" + ANY * 5 + "." + ANY + "q8R-t9",
        "pk.eyJ" + ANY * 5 + "." + ANY,
    ),
    token("adobe-client-secret", r"p8e-[\w-]{32}\b", "p8e-" + ANY * 2, "p8e-" + ANY),
    named("algolia", "algolia", "[a-f0-9]{32}", "ALGOLIA_ADMIN_KEY=" + HEX * 2, "algolia: " + HEX),
)
SERVICES: Final[tuple[Rule, ...]] = (*_PAYMENTS, *_MAIL, *_CHATS, *_OFFICE)
