"""A certificate says identical only of what was compared, and names the first cause."""

from factories.certificate import OTHER, SAME, a_certificate
from nightshift.certificate import Certificate, Comparison, render_page


def test_equal_things_are_identical() -> None:
    certificate = a_certificate(SAME, Comparison("lock", "5c", "5c"))

    assert certificate.is_identical
    assert certificate.sentence == "identical: rides version 3 was rebuilt byte for byte"


def test_nothing_compared_proves_nothing() -> None:
    certificate = a_certificate(compared=())

    assert not certificate.is_identical
    assert certificate.sentence.startswith("not proven")


def test_the_first_difference_is_the_one_named() -> None:
    later = Comparison("package/booster.ubj", "1", "2")

    certificate = a_certificate(SAME, OTHER, later)

    assert not certificate.is_identical
    assert certificate.first == OTHER
    assert certificate.differences == (OTHER, later)
    assert "train rows: recorded 77aa, rebuilt 78bb; row 3 (ride 4)" in certificate.sentence


def test_equal_digests_with_a_complaint_are_a_difference() -> None:
    assert not a_certificate(Comparison("lineage", "x", "x", "the checkout was edited")).is_identical


def test_json_and_back_is_the_same_certificate() -> None:
    certificate = a_certificate(SAME, OTHER)

    assert Certificate.from_json(certificate.to_json()) == certificate


def test_json_tells_programs_what_they_ask() -> None:
    content = a_certificate(SAME, OTHER).to_json()

    assert content["identical"] is False
    assert [one["what"] for one in content["differences"]] == ["train rows"]


def test_the_page_shows_the_seal_and_every_comparison() -> None:
    page = render_page(a_certificate(SAME, OTHER))

    assert "RETURN TO SENDER" in page
    assert "✓" in page
    assert "row 3 (ride 4)" in page
    assert "IDENTICAL" in render_page(a_certificate(SAME))


def test_what_a_page_shows_is_text() -> None:
    page = render_page(a_certificate(Comparison("<script>", "1", "2", "<img src=x>"), reason="<b>"))

    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>" not in page
