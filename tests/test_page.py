"""The page template: what is inserted is escaped, and a missing value is an error."""

import jinja2
import pytest
from markupsafe import Markup

from dlcourse import page


def test_a_page_escapes_what_is_inserted():
    text = page.render("page.html.jinja", title="<script>alert(1)</script>")
    assert "<script>" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "default-src 'none'" in text


def test_a_table_escapes_its_cells_and_aligns_numbers_to_the_right():
    macros = page.environment().get_template("page_macros.html.jinja").module
    table = macros.table(["name", "n"], [["<b>", 3]], {1})
    assert isinstance(table, Markup)
    assert '<td data-head="name">&lt;b&gt;</td><td data-head="n" class="number">3</td>' in table


def test_a_value_that_is_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'title' is undefined"):
        page.render("page.html.jinja")
