"""The tricky lines of crontabs, each with the verdict that the manual documents.

Most of them stand in real crontabs. The numbers are those of the list that jobctl was made after.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from jobctl.importers.crontab.judging import Host, Import, Judged, Source, judge
from jobctl.importers.crontab.kinds import Dialect, Form
from jobctl.importers.crontab.programs import program_of

HOST = Host(
    users=frozenset({"root", "bryan", "planet-user", "apache"}), people=frozenset({"root", "bryan"})
)


@dataclass(frozen=True)
class Case:
    """A line with its verdict, and words that stand in what is said or offered about it."""

    number: int
    line: str
    verdict: str
    said: str = ""
    dialect: Dialect | None = Dialect.CRONIE
    form: Form = Form.USER
    owner: str | None = "root"
    before: str = ""
    cron: str | None = None
    expected: dict[str, object] = field(default_factory=dict)


def case(number: int, line: str, verdict: str, said: str = "", **given: object) -> Case:
    return Case(number, line, verdict, said, **given)  # type: ignore[arg-type]


SYSTEM = {"form": Form.SYSTEM}
OPENBSD = {"dialect": Dialect.OPENBSD}

CASES = [
    case(1, "0 0 1 * mon c", "clean", "either"),
    case(2, "0 0 */2 * sun c", "clean", "both"),
    case(3, "0 0 1-31 * mon c", "note", "every day"),
    case(4, "0 0 10,* * mon c", "note", "every day"),
    case(5, "0 0 *,10 * mon c", "clean"),
    case(6, "0 0 */100,1-7 * mon c", "clean", "mon#1"),
    case(7, "0 0 1-7 * */7 c", "clean", "sun#1"),
    case(8, "0 9 1-7 * 1 [ -x /a ] && c", "note", "mon#1"),
    case(9, r"0 9 * * 1 [ $(date +\%d) -le 7 ] && c", "clean", 'cron = "0 9 * * 1#1"'),
    case(10, "5/15 * * * * c", "dead", "5-59/15"),
    case(11, "0 0 1/2 * * c", "dead", "1-31/2"),
    case(12, "*/0 * * * * c", "dead"),
    case(13, "*/45 * * * * c", "note", "the last gap is 15"),
    case(14, "*/17 * * * * c", "note", "0,17,34,51"),
    case(15, "*/61 * * * * c", "note", "leaves only 0"),
    case(16, "0 0 */31 * * c", "note", "leaves only 1"),
    case(17, "0 4 */30 * * c", "note", "begins again with each month"),
    case(18, "0 22-2 * * * c", "dead", "22-23,0-2"),
    case(19, "0 0 * * fri-sun c", "clean"),
    case(20, "0 0 * * sat-mon c", "dead", "sat,sun,mon"),
    case(21, "5-0 * * * * c", "dead", "what is meant?"),
    case(22, "0 0 * 11-2 * c", "dead", "nov,dec,jan,feb"),
    case(23, "0 0 * * Sunday c", "dead", "* * sun"),
    case(24, "0 0 * * SUN,mOn c", "clean"),
    case(25, "0 0 * * 5-7 c", "clean"),
    case(25, "0 0 * * 0-7 c", "clean"),
    case(26, "0 0 30 2 * c", "dead", "never fires"),
    case(26, "0 0 31 4,6 * c", "dead", "never fires"),
    case(27, "0 0 29 2 * c", "note", "leap years"),
    case(28, "0 0 31 * * c", "note", '"L"'),
    case(29, "0 30 * * * c", "dead", "30 0 * * *"),
    case(30, "0 24 * * * c", "dead", "0 0 * * *"),
    case(31, "00 06 * * * c", "clean", cron="00 06 * * *"),
    case(31, "08 09 * * * c", "clean", cron="08 09 * * *"),
    case(32, "1, 2 * * * * c", "dead", "bad minute"),
    case(32, "1,2, * * * * c", "dead", "bad minute"),
    case(33, "10 4 * * * *  planet-user cmd", "dead", "sixth field"),
    case(33, "10 4 * * * *  planet-user cmd", "dead", "sixth field", **SYSTEM),
    case(34, "* * * * * Mon-Fri cmd", "decision", "sixth field"),
    case(35, "0 0 12 * * ? c", "decision", '"0 12 * * *"'),
    case(36, "1 2 3 4 5 6 cmd", "decision", "sixth field"),
    case(37, "0 0 L * * c", "dead", 'cron = "0 0 L * *"'),
    case(37, "0 0 15W * * c", "dead", '"0 0 15W * *"'),
    case(37, "0 0 * * 5#3 c", "dead", '"0 0 * * 5#3"'),
    case(37, "0 0 * * 5L c", "dead", '"0 0 * * 5L"'),
    case(37, "H H * * * c", "dead", '"H H * * *"'),
    case(37, "0 0 ? * * c", "dead", '"0 0 * * *"'),
    case(38, "0 0 * * 0 /usr/local/bin/check.py", "dead", "where the user does", **SYSTEM),
    case(39, "0 0 * * 0 /usr/local/bin/check.py arg", "dead", "no such user", **SYSTEM),
    case(40, "@daily bryan find /tmp -delete", "decision", "user of this host"),
    case(41, "@Daily c", "dead", '"@daily"'),
    case(41, "@DAILY c", "dead", '"@daily"'),
    case(42, "@every 5m c", "dead", 'every = "5m"'),
    case(42, "@minutely c", "dead", '"* * * * *"'),
    case(42, "@every_minute c", "dead", '"* * * * *"'),
    case(42, "@5 c", "dead", 'every = "5s"'),
    case(42, "@every_minute c", "clean", dialect=Dialect.FREEBSD, cron="* * * * *"),
    case(42, "@5 c", "note", "end of the last run", dialect=Dialect.FREEBSD),
    case(43, "@reboot c", "clean", cron="@reboot"),
    case(44, "@reboot sleep 60 && c", "note", "after the boot"),
    case(45, "-*/5 * * * * c", "clean", cron="*/5 * * * *"),
    case(45, "-*/5 * * * * root c", "clean", **SYSTEM),
    case(45, "-*/5 * * * * c", "note", "from root only", owner="bryan"),
    case(46, "-5 * * * * c", "clean", cron="5 * * * *"),
    case(47, "- */5 * * * * c", "dead", "bad minute"),
    case(48, "* * * * * -n c", "clean", "when it fails"),
    case(49, "* * * * * -q c", "dead", "--dialect openbsd"),
    case(49, "* * * * * -s c", "dead", "--dialect openbsd"),
    case(49, "* * * * * -q c", "clean", **OPENBSD),
    case(49, "* * * * * -s c", "clean", **OPENBSD, expected={"on_overlap": "skip"}),
    case(50, "* * * * * c # note", "clean", expected={"shell": "c # note"}),
    case(
        51,
        """0 22 * * 1-5 mail -s "It's 10pm" joe%Joe,%%Where are your kids?%""",
        "clean",
        expected={
            "shell": """mail -s "It's 10pm" joe""",
            "stdin": "Joe,\n\nWhere are your kids?\n",
        },
    ),
    case(52, "0 * * * * ls | xargs -I % cmd %", "decision", "--dialect busybox"),
    case(
        52,
        "0 * * * * ls | xargs -I % cmd %",
        "clean",
        dialect=Dialect.BUSYBOX,
        expected={"shell": "ls | xargs -I % cmd %"},
    ),
    case(53, "0 3 * * * sleep $(( ( RANDOM % 600 ) + 1 ))m && c", "dead", 'jitter = "10h"'),
    case(
        54,
        r'0 5 * * * sleep "$(( RANDOM \% 3600 ))"; c',
        "note",
        'jitter = "1h"',
        before="SHELL=/bin/bash",
    ),
    case(
        55,
        r"* 09 5 * * root sleep $(( $RANDOM \% 3600 )); c",
        "decision",
        "from 09:00 to 09:59",
        **SYSTEM,
    ),
    case(56, "* 16 * * * c", "decision", "from 16:00 to 16:59"),
    case(57, r"0 0 * * * echo '\%' \"\%F\"", "clean", expected={"shell": r"echo '%' \"%F\""}),
    case(57, r"0 0 * * * a\\%b", "clean", expected={"shell": r"a\\", "stdin": "b\n"}),
    case(61, "   0\t5 * *\t* c", "clean", cron="0 5 * * *"),
    case(62, " * Example crontab entries", "dead", "bad hour"),
    case(63, "FOO=$HOME/bin:$PATH", "note", "expands nothing"),
    case(64, "FOO=bar # comment", "note", "no comments"),
    case(65, "FOO = bar baz  ", "clean"),
    case(65, 'FOO="  bar "', "clean"),
    case(66, '"FOO"=bar', "clean"),
    case(66, "'FOO BAR'=x", "decision", "cannot be set"),
    case(66, "1FOO=bar", "decision", "cannot be set"),
    case(66, "=bar", "decision", "cannot be set"),
    case(67, "export FOO=bar", "dead", '"export" => FOO=bar'),
    case(67, 'FOO="a" b', "dead", "quotes"),
    case(67, 'FOO="x', "dead", "quotes"),
    case(68, "A=b * * * * * c", "dead", "sets the variable A"),
    case(69, "*/5 * * * * A=b c", "clean", expected={"shell": "A=b c"}),
    case(70, 'MAILTO=""', "clean"),
    case(70, "MAILTO=a@b, c@d", "clean"),
    case(71, "CRON_TZ=Europe/Berlin", "decision", "say --dialect", dialect=None),
    case(71, "CRON_TZ=Europe/Berlin", "clean"),
    case(71, "CRON_TZ=Europe/Berlin", "note", "host's zone", dialect=Dialect.DEBIAN),
    case(
        71,
        "0 0 * * * c",
        "clean",
        before="CRON_TZ=Europe/Berlin",
        expected={"timezone": "Europe/Berlin"},
    ),
    case(71, "0 0 * * * c", "decision", "Say --dialect", before="CRON_TZ=UTC", dialect=None),
    case(72, "TZ=UTC", "clean", "host's zone"),
    case(73, "RANDOM_DELAY=45", "note", 'jitter = "45m"'),
    case(73, "0 0 * * * c", "clean", before="RANDOM_DELAY=45", expected={"jitter": "45m"}),
    case(74, "~ * * * * c", "clean", "drawn once", cron="~ * * * *"),
    case(74, "0~30 * * * * c", "clean", cron="0~30 * * * *"),
    case(74, "50~ * * * * c", "clean", cron="50~ * * * *"),
    case(75, "30~10 * * * * c", "dead", "10~30"),
    case(75, "~/30 * * * * c", "dead", "H/30"),
    case(75, "~/30 * * * * c", "clean", **OPENBSD, cron="H/30 * * * *"),
    case(75, "0~59/30 * * * * c", "clean", **OPENBSD, cron="H(0-59)/30 * * * *"),
    case(76, "0 0 * * * nosuchuser c", "decision", "no user", **SYSTEM),
    case(
        77,
        "25 6 * * * root test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )",
        "clean",
        "--split-run-parts",
        **SYSTEM,
    ),
    case(
        78,
        "5 5 * * * root [ -x /a ] && if [ ! -d /run/systemd/system ]; then /a; fi",
        "dead",
        "timer",
        **SYSTEM,
    ),
    case(79, "0 0 * * * c > /dev/null 2>&1", "note", "jobctl logs"),
    case(79, "0 0 * * * c &> /dev/null", "note", "jobctl logs"),
    case(79, "0 0 * * * c 2>&1 > /dev/null", "note", "the other order"),
    case(79, "0 0 * * * c 2&1>/dev/null", "note", "slip"),
    case(80, "0 0 * * * flock -n -E0 LOCKFILE -c 'c'", "note", 'on_overlap = "skip"'),
    case(80, "0 0 * * * lock-wrapper NAME c", "note", 'on_overlap = "skip"'),
    case(80, "0 0 * * * solo -port=3801 c", "note", 'on_overlap = "skip"'),
    case(81, "0 0 * * * chronic c", "note", "mail"),
    case(81, "0 0 * * * cronic c", "note", "mail"),
    case(81, "0 0 * * * c | nag-once x 1d", "note", "mail"),
    case(
        82,
        "0 0 * * * su -s /bin/bash www-data -c 'c' >> /proc/1/fd/1",
        "note",
        'user = "www-data"',
    ),
    case(83, "* * * * * php artisan schedule:run", "clean", 'on_overlap = "skip"'),
    case(83, "* * * * * php bin/magento cron:run", "clean", 'on_overlap = "skip"'),
    case(84, "{% if env == 'staging' %}", "decision", "template"),
    case(84, "0 0 * * * c", "decision", "template", before="{% if env == 'staging' %}"),
    case(85, "0 0 * * * c", "note", "line 1 says the same", before="0 0 * * * c"),
]


def judged(data: bytes, case: Case) -> Import:
    source = Source(path="crontab", data=data, form=case.form, owner=case.owner)
    return judge([source], program_of(case.dialect), host=HOST)


def told(line: Judged) -> str:
    return "\n".join(f"{remark.text} => {remark.offer}" for remark in line.remarks)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.line}"[:60])
def test_a_tricky_line_has_its_verdict(case: Case) -> None:
    text = f"{case.before}\n{case.line}\n" if case.before else f"{case.line}\n"

    line = judged(text.encode(), case).lines[-1]

    assert (line.verdict, line.line.text) == (case.verdict, case.line), told(line)
    assert case.said in told(line)
    assert (
        bool(line.tables) is (line.kind == "entry" and line.verdict != "dead") or case.number == 84
    )
    table = dict(line.tables[0][1]) if line.tables else {}
    assert case.cron in (None, table.get("cron"))
    assert table.items() >= case.expected.items()


def test_every_number_of_the_list_is_there() -> None:
    # 58, 59 and 60 are about files, below.
    assert {case.number for case in CASES} == set(range(1, 86)) - {58, 59, 60}


A_CASE = case(0, "", "")


def test_58_a_last_line_without_its_end_is_written_and_told() -> None:
    lines = judged(b"0 5 * * * c\n0 6 * * * d", A_CASE).lines

    assert [line.verdict for line in lines] == ["clean", "note"]
    assert "no line end" in told(lines[1])
    assert lines[1].task == "d"


def test_59_line_ends_of_dos_are_taken_away_and_told_once() -> None:
    found = judged(b"A=b\r\n0 5 * * * c\r\n0 6 * * * d\r\n", A_CASE)

    assert [line.verdict for line in found.lines] == ["note", "clean", "clean"]
    assert [table["shell"] for line in found.lines for _, table in line.tables] == ["c", "d"]
    (about,) = [remark for _, remark in found.about_files if "DOS" in remark.text]
    assert "carriage return" in about.text


@pytest.mark.parametrize("mark", ["\ufeff", "\u00a0", " \u00a0 "])
def test_60_what_cannot_be_seen_before_the_first_field_is_taken_away_and_told(mark: str) -> None:
    (line,) = judged(f"{mark}0 5 * * * c\n".encode(), A_CASE).lines

    assert line.verdict == "note"
    assert "refuses" in told(line)
    assert line.tables[0][1]["cron"] == "0 5 * * *"
