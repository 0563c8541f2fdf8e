import pytest

from tests.inspection.checks.reply_files import check_named
from tests.inspection.samples import reply

PAGE = "# connecting 192.0.2.1 443\n# connected\n> GET /\n< HTTP 200\n# body\n< "


def fields(html):
    return check_named("web.login_page").parse((reply(PAGE + html),)).fields


@pytest.mark.parametrize(
    ("html", "names"),
    [
        ('<input data-name="x" name="user"> <INPUT type=text name = pwd>', {"user", "pwd"}),
        ("<button class='a'\tname='go'>", {"go"}),
        ("<input>name=x", set()),
    ],
)
def test_the_fields_of_a_page_are_known_by_their_names(html, names):
    assert fields(html) == names


def test_a_page_of_tags_without_an_end_is_read_at_once():
    assert fields("<input " * 30_000) == set()
