"""Rules for tokens of code hosts, package registries, build services and model vendors.

Formats: compared with those of gitleaks (config/gitleaks.toml), where it has them.
"""

from typing import Final

from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.tokens import A_UUID, ANY, HEX, SMALL, UUID, token
from patchbay.guards.rules.validators_secrets import random_looking

_HOSTS: Final = (
    token("github", r"gh[opusr]_[A-Za-z0-9]{36,255}", "ghp_" + ANY * 2 + "q8Rt", "ghp_" + ANY),
    token(
        "github-fine-grained",
        r"github_pat_\w{82}",
        "github_pat_" + ANY + "q8Rt9U_" + ANY * 3 + "q8Rt9Uv2Wx3",
        "github_pat_" + ANY,
    ),
    token(
        "gitlab",
        r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat)-[\w.-]{20,320}",
        "glpat-" + ANY + "q8Rt",
        "glpat-" + ANY,
    ),
    token("gitlab-runner", r"GR1348941[\w-]{20}", "GR1348941" + ANY + "q8Rt", "GR1348941" + "aB3d"),
    token("atlassian", r"AT[AC]TT3[\w=-]{60,300}", "ATATT3" + ANY * 8, "ATATT3" + ANY),
    token("bitbucket-app-password", r"ATBB[A-Za-z0-9]{32}\b", "ATBB" + ANY * 2, "ATBB" + ANY),
    token(
        "sourcegraph",
        r"sgp_(?:(?:[a-f0-9]{16}|local)_)?[a-f0-9]{40}",
        "sgp_" + HEX + "_" + HEX * 2 + "9f3a61c0",
        "sgp_" + HEX,
    ),
)
_REGISTRIES: Final = (
    token("npm", r"npm_[A-Za-z0-9]{36}", "npm_" + ANY * 2 + "q8Rt", "npm_" + ANY),
    token(
        "pypi",
        r"pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[\w-]{50,240}",
        "pypi-AgEIcHlwaS5vcmc" + ANY * 5,
        "pypi-AgEIcHlwaS5vcmc",
    ),
    token("rubygems", r"rubygems_[a-f0-9]{48}", "rubygems_" + HEX * 3, "rubygems_" + HEX),
    token("crates-io", r"cio[A-Za-z0-9]{32}\b", "cio" + ANY * 2, "cio" + ANY),
    token("nuget", r"oy2[a-z0-9]{43}\b", "oy2" + SMALL * 2 + "b3d6g7h2j4k", "oy2" + SMALL),
    token("clojars", r"CLOJARS_[a-z0-9]{60}", "CLOJARS_" + SMALL * 3 + "b3d6g7h2j4k5", "CLOJARS_" + SMALL),
    token("docker-hub", r"dckr_[op]at_[\w-]{27,40}", "dckr_pat_" + ANY * 2, "dckr_pat_" + ANY),
    token("artifactory-api-key", r"AKC[A-Za-z0-9]{64,80}\b", "AKCp8" + ANY * 4 + "q8Rt", "AKCp8" + ANY),
    token("artifactory-reference", r"cmVmd[A-Za-z0-9]{59}\b", "cmVmdGtu" + ANY * 3 + "q8Rt9Uv2", "cmVmdGtu" + ANY),
)
_BUILDS: Final = (
    token(
        "circleci",
        r"CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}",
        "CCIPAT_" + ANY + "q8Rt9U_" + HEX * 2 + "9f3a61c0",
        "CCIPAT_" + ANY,
    ),
    token("buildkite", r"bk(?:ua|aj|et)_[a-f0-9]{40}", "bkua_" + HEX * 2 + "9f3a61c0", "bkua_" + HEX),
    token("sonar", r"sq[apu]_[a-f0-9]{40}", "squ_" + HEX * 2 + "9f3a61c0", "squ_" + HEX),
    token("postman", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", "PMAK-" + HEX + "9f3a61c0-" + HEX * 2 + "9f", "PMAK-" + HEX),
    token("launchdarkly", rf"(?:api|mob|sdk)-{UUID}", "sdk-" + A_UUID, "sdk-" + HEX),
    token(
        "harness",
        r"[ps]at\.[\w-]{22}\.[0-9a-zA-Z]{24}\.[A-Za-z0-9]{20}",
        "pat." + ANY + "q8Rt9U." + HEX + "9f3a61c0." + ANY + "q8Rt",
        "pat." + ANY,
    ),
    token("infracost", r"ico-[A-Za-z0-9]{32}\b", "ico-" + ANY * 2, "ico-" + ANY),
    token("prefect", r"pn[bu]_[A-Za-z0-9]{36}", "pnu_" + ANY * 2 + "q8Rt", "pnu_" + ANY),
    token("readme", r"rdme_[a-z0-9]{70}", "rdme_" + SMALL * 4 + "b3d6g7", "rdme_" + SMALL),
    token("stackhawk", r"hawk\.[\w-]{20}\.[\w-]{20}", "hawk." + ANY + "q8Rt." + ANY + "q8Rt", "hawk." + ANY),
)
_MODELS: Final = (
    token("openai", r"sk-[A-Za-z0-9]{32,64}\b", "sk-" + ANY * 3, "sk-" + ANY, random_looking),
    token(
        "openai-project",
        r"sk-(?:admin|None|proj|service|svcacct)-[\w-]{40,240}",
        "sk-proj-" + ANY * 4,
        "sk-proj-" + ANY,
    ),
    token("anthropic", r"sk-ant-[a-z]{3,6}\d{2}-[\w-]{40,140}", "sk-ant-api03-" + ANY * 5, "sk-ant-api03-" + ANY),
    token("openrouter", r"sk-or-v1-[a-f0-9]{64}", "sk-or-v1-" + HEX * 4, "sk-or-v1-" + HEX),
    token("langfuse", rf"sk-lf-{UUID}", "sk-lf-" + A_UUID, "pk-lf-" + A_UUID),
    token("hugging-face", r"hf_[A-Za-z0-9]{30,40}\b", "hf_" + ANY * 2 + "qR", "hf_" + ANY),
    token("hugging-face-organization", r"api_org_[A-Za-z0-9]{34}\b", "api_org_" + ANY * 2 + "qR", "api_org_" + ANY),
    token("replicate", r"r8_[A-Za-z0-9]{37}\b", "r8_" + ANY * 2 + "q8Rt9", "r8_" + ANY),
    token("groq", r"gsk_[A-Za-z0-9]{48,56}\b", "gsk_" + ANY * 3 + "q8Rt", "gsk_" + ANY),
    token("perplexity", r"pplx-[A-Za-z0-9]{48,56}\b", "pplx-" + ANY * 3, "pplx-" + ANY),
    token("xai", r"xai-[A-Za-z0-9]{70,90}\b", "xai-" + ANY * 5, "xai-" + ANY),
    token(
        "langsmith",
        r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}\b",
        "lsv2_pt_" + HEX * 2 + "_9f3a61c07b",
        "lsv2_pt_" + HEX * 2,
    ),
    token("nvidia", r"nvapi-[\w-]{60,70}", "nvapi-" + ANY * 4, "nvapi-" + ANY),
    token("fireworks", r"fw_[A-Za-z0-9]{22,24}\b", "fw_" + ANY + "q8Rt9U", "fw_" + ANY),
    token("together", r"tgp_v1_[\w-]{43}", "tgp_v1_" + ANY * 2 + "q8R-t9Uv2Wx", "tgp_v1_" + ANY),
    token(
        "pinecone",
        r"pcsk_[A-Za-z0-9]{5,8}_[A-Za-z0-9]{60,66}\b",
        "pcsk_" + "aB3dE6_" + ANY * 4,
        "pcsk_" + "aB3dE6_" + ANY,
    ),
    token("cerebras", r"csk-[a-z0-9]{48}\b", "csk-" + SMALL * 3, "csk-" + SMALL),
    token("elevenlabs", r"sk_[a-f0-9]{48}\b", "sk_" + HEX * 3, "sk_" + HEX),
    token("tavily", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}\b", "tvly-dev-" + ANY * 2, "tvly-dev-" + ANY),
)
CODE: Final[tuple[Rule, ...]] = (*_HOSTS, *_REGISTRIES, *_BUILDS, *_MODELS)
