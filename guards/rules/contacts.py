"""Rules for e-mail addresses, addresses of machines, web addresses and dates."""

import re
from typing import Final

from patchbay.guards.rules import validators_contacts as v
from patchbay.guards.rules.context import Near
from patchbay.guards.rules.rule import Rule

_MONTHS: Final = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|j[ae]n|fe[bv]r?|ma[ir]|a[vb]r|mai|giu|lug|ago|set|ott|okt|dez"
    r"|dic|ene|juin|juil|aout|gen|mag|abr|out|maj|kwi|cze|lip|sie|wrz|paz|lis|gru)[a-z]{0,7}"
)
_DATE: Final = (
    r"(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}|(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er)?\.?[ -](?:of |de |di )?{_MONTHS}\.?,?[ -](?:de |del )?(?:19|20)\d{{2}}"
    rf"|{_MONTHS}\.? \d{{1,2}}(?:st|nd|rd|th)?,? (?:19|20)\d{{2}}|(?:19|20)\d{{6}})"
)
_BIRTH: Final = re.compile(
    r"(?:\bd\.?o\.?b\b|birth[\s_-]?(?:date|day)|\bdate[\s_-]of[\s_-]birth|(?<![a-z])born|\bgeb(?:\.|oren|urtsdatum)|\bgeboren"
    r"|geburts(?:tag|datum)|\bnee? (?:le|en)\b|date[\s_]de[\s_]naissance|naissance|fecha[\s_]de[\s_]nacimiento"
    r"|nacimiento|\bnacid[oa]|data[\s_]di[\s_]nascita|\bnat[oa] (?:il|a)\b|data[\s_]de[\s_]nascimento|nascid[oa]"
    r"|geboortedatum|data[\s_]urodzenia|urodzon[ya]|fodselsdato|fodelsedatum|syntymaaika|dogum[\s_]tarihi)[^.;\n]{0,40}\Z"
    r"|(?:\bdob\b|date[\s_]of[\s_]birth|birth[\s_-]?(?:date|day)|geburtsdatum)[\s\S]{0,110}\Z",
    re.IGNORECASE | re.ASCII,
)
_BORN: Final = Near(
    _BIRTH,
    (
        *("dob", "d.o.b", "born", "birth", "geb", "nais", "nee", "nacim", "nacid", "nasc", "nat", "urodz", "fodsel"),
        *("fodels", "syntym", "dogum", "ne le", "geboorte"),
    ),
)
# What four numbers with points after it are: a version, a section.
_VERSION: Final = re.compile(
    r"(?:(?:version|\bver|\bv|release|firmware|build|\brev|revision|section|chapter|schema|clause|figure|table|\boid)"
    r"\W{0,4}(?:is |of |number |no\.? )?['\"]?|[=~!<>]=\s?|\^|~|[a-z]/|[a-z]-|\d[-.,:/]|(?<![a-z])\.)\Z",
    re.IGNORECASE | re.ASCII,
)
_IN_CODE: Final = re.compile(r"(?:[\w)\]:]\[?|:)\Z", re.ASCII)
# A match that begins within a word was refused at its beginning.
_IN_WORD: Final = re.compile(r"(?<!\w)[a-z]{1,5}\Z", re.IGNORECASE | re.ASCII)
_LOCAL: Final = r"[a-z0-9_%](?:[.+-]?[a-z0-9_%]){0,63}"
_AT: Final = r"(?:\[ ?(?:at|@) ?\]|\( ?(?:at|@) ?\)|\{ ?at ?\}|< ?at ?>)"
_DOT: Final = r"(?:\[ ?(?:dot|\.) ?\]|\( ?(?:dot|\.) ?\)|\{ ?dot ?\}|< ?dot ?>)"
EMAILS: Final = (
    # Without `\b` before it, and without runs of dashes in it: one is too much for Hyperscan, the other holds rulers.
    Rule(
        name="email",
        kind="EMAIL",
        pattern=rf"(?P<value>{_LOCAL}@(?:[a-z0-9-]{{1,60}}\.){{1,4}}[a-z]{{2,24}}\b)(?::[/~]|\()?",
        caseless=True,
        valid=v.email,
        unless=_IN_WORD,
        examples=("jane.doe+news@example.co.uk", "Write to J_D@Mail.Example.org.", "info@example.site:"),
        others=(
            *("jane.doe@example", "@example.com", "jane at example.com", "git@github.com:patchbay/patchbay.git"),
            *("x = A@B.T", "q@k.transpose(-2, -1)", "icon@2x.png", "h@w.mean()", "5@3", "git@host.example.org"),
        ),
    ),
    Rule(
        name="email-spelt",
        kind="EMAIL",
        pattern=rf"[a-z0-9_][a-z0-9_.+-]{{0,31}} ?{_AT} ?[a-z0-9-]{{1,30}}(?: ?(?:{_DOT}|\.) ?[a-z0-9-]{{2,24}}){{1,2}}\b"
        rf"|[a-z0-9_][a-z0-9_.+-]{{0,31}}@[a-z0-9-]{{1,30}}(?: ?{_DOT} ?[a-z0-9-]{{2,24}}){{1,2}}\b",
        caseless=True,
        examples=(
            *("jane [at] example [dot] com", "jane(at)example.org"),
            *("jane@example[.]com", "j.doe{at}example(dot)de"),
        ),
        others=("meet (at) noon", "look at the dot", "x[at] = y.z"),
    ),
    Rule(
        name="email-words",
        kind="EMAIL",
        pattern=r"\b[a-z0-9_.+-]{1,32} at [a-z0-9-]{1,30}(?: dot [a-z0-9]{2,24}){1,3}\b",
        caseless=True,
        examples=("jane.doe at example dot co dot uk", "jane AT example DOT com"),
        others=("look at the dot", "at example dot com"),
    ),
)
MACHINES: Final = (
    Rule(
        name="ipv4",
        kind="IP",
        pattern=r"\b(?P<value>\d{1,3}(?:\.\d{1,3}){3}\b(?:/(?:3[0-2]|[12]?\d)\b)?)(?:\.\d|-[a-z]|\.[a-z]|[a-z+])?",
        caseless=True,
        valid=v.ipv4_alone,
        unless=_VERSION,
        examples=("203.0.113.7", "from 192.168.10.254, at noon", "http://10.0.0.1:8080/x", "10.1.0.0/16"),
        others=(
            *("1.2.3", "256.1.1.1", "10.0.0.299", "v1.2.3.4", "version 1.2.3.4", "pkg==1.2.3.4", "1.2.3.4.5"),
            *(
                "Chrome/120.0.0.0",
                "libfoo-1.2.3.4.tar.gz",
                "Version: 4.0.30.319",
                "1.2.3.4-beta",
                "see section 4.2.1.3",
            ),
        ),
    ),
    Rule(
        name="ipv6",
        kind="IP",
        pattern=r"(?P<value>(?:\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}(?::\d{1,3}(?:\.\d{1,3}){3})?"
        r"|::ffff:\d{1,3}(?:\.\d{1,3}){3}|::[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})(?:%[a-z0-9]{1,15})?"
        r"(?:/(?:1[01]\d|12[0-8]|\d{1,2})\b)?)[\w:]?",
        caseless=True,
        valid=v.ipv6,
        unless=_IN_CODE,
        examples=("2001:db8::8a2e:370:7334", "FE80:0:0:0:202:B3FF:FE1E:8329", "fe80::1%eth0", "2001:db8::/32"),
        others=("12:30:45", "fade::bed", "1:2:3", "a[::2]", "std::decay", "x[::1]", "10:20:30:40"),
    ),
    Rule(
        name="mac",
        kind="MAC",
        pattern=r"\b(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})\b"
        r"[:-]?",
        caseless=True,
        valid=v.mac,
        examples=("00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e"),
        others=("00:1A:2B:3C:4D", "00:1A:2B:3C:4D:5G", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "1234.5678.9012"),
    ),
)
BIRTHS: Final = (
    Rule(
        name="birth-date",
        kind="BIRTH_DATE",
        pattern=rf"\b{_DATE}\b",
        caseless=True,
        valid=v.calendar_date,
        near=_BORN,
        confidence=0.8,
        examples=(
            "DOB: 12/04/1985",
            "born on March 3, 1991",
            "geboren am 3. Mai 1971",
            '{"date_of_birth": "1980-02-29"}',
        ),
        others=("on 2024-01-15", "March 3, 1991", "DOB: 99/99/1985", "version 1.2.2024"),
    ),
)
URLS: Final = (
    Rule(
        name="url",
        kind="URL",
        pattern=r"\b(?:(?:https?|ftp)://|www\.)[\w.~%!$&*+,;=:@/?#()-]{2,300}",
        caseless=True,
        valid=v.has_domain,
        examples=("https://example.org/a?b=c#d", "www.example.com", "ftp://files.example.net/x"),
        others=("http://", "example", "https://localhost", "wwww.x"),
    ),
)
DATES: Final = (
    Rule(
        name="date",
        kind="DATE",
        pattern=rf"\b{_DATE}\b",
        caseless=True,
        valid=v.calendar_date,
        confidence=0.7,
        examples=("2024-01-15", "3 March 1991", "12/04/1985", "15. Januar 2024"),
        others=("1.2.3", "99/99/1985", "20241399", "12-30"),
    ),
)
