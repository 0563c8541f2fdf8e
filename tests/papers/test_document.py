import json

import pytest

from mailcare.papers.document import Document

CONTENT = {"customer": "示例银行", "rows": [["a", 1, 2.5, None, True]]}


def document(content: object = CONTENT, **changes: object) -> Document:
    words = {"number": "XJ-1", "template": "a.html", "template_version": 1, "content": content}
    return Document(**(words | changes))


def test_the_fingerprint_is_the_same_in_every_process():
    # Of ["a.html",1,{"customer":"示例银行","rows":[["a",1,2.5,null,true]]}], by sha256sum.
    expected = "548bc1d81011803f3ce08955e7c2c563878d0ffa911e3d32ff96c6241eef9e78"
    assert document().fingerprint() == expected


def test_the_order_of_keys_does_not_matter():
    turned = dict(reversed(CONTENT.items()))
    assert document(turned).fingerprint() == document().fingerprint()


def test_content_read_back_from_json_has_the_same_fingerprint():
    read_back = json.loads(json.dumps(CONTENT))
    assert document(read_back).fingerprint() == document().fingerprint()


@pytest.mark.parametrize(
    "change",
    [{"content": {}}, {"template": "b.html"}, {"template_version": 2}],
    ids=["content", "template", "version"],
)
def test_a_change_on_paper_changes_the_fingerprint(change):
    assert document(**change).fingerprint() != document().fingerprint()


def test_the_number_names_the_paper_and_is_no_part_of_its_content():
    assert document(number="XJ-2").fingerprint() == document().fingerprint()


def test_a_number_that_json_has_no_form_for_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        document({"delay_s": float("nan")}).fingerprint()


def test_bytes_are_refused():
    with pytest.raises(TypeError):
        document({"seal": b"\x89PNG"}).fingerprint()
