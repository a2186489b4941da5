"""Where a search keeps what its processes share; test_search has the mistakes, test_worker a database."""

import pytest

from mnist_cli.errors import UserError
from mnist_cli.search.storage import open_storage, open_study


def test_the_journal_lies_in_the_searchs_folder_and_keeps_the_study(tmp_path):
    open_study(open_storage(None, tmp_path / "s"), "one", "min", 3).study.set_user_attr("plan", 1)
    assert (tmp_path / "s/journal.log").exists()
    assert open_study(open_storage(None, tmp_path / "s"), "one", "min", 3).study.user_attrs == {"plan": 1}


def test_a_damaged_journal_is_named(tmp_path):
    (tmp_path / "journal.log").write_text("not JSON\nnor this\n")
    with pytest.raises(UserError, match=r"journal\.log is damaged"):
        open_storage(None, tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used for the search"):
        open_storage(None, tmp_path / "file/folder")
