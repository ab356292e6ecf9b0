import pytest

from lungmorph.errors import InputError
from lungmorph.files import output_folder


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_appears_whole(tmp_path):
    target = tmp_path / "deep" / "result"
    with output_folder(target) as folder:
        (folder / "metrics.json").write_text("{}")
        assert not target.exists()
        assert folder.parent == target.parent
    assert names(target) == ["metrics.json"]
    assert names(target.parent) == ["result"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_or_not_at_all(tmp_path, error):
    def work():
        with output_folder(tmp_path / "deep" / "er" / "result") as folder:
            (folder / "half").write_text("written")
            raise error

    with pytest.raises(error):
        work()
    assert names(tmp_path) == []


def test_existing_is_refused_at_entry(tmp_path):
    (tmp_path / "result").mkdir()
    reached = False
    with pytest.raises(InputError, match="--overwrite"), output_folder(tmp_path / "result"):
        reached = True
    assert not reached
    assert names(tmp_path) == ["result"]


def test_overwrite_replaces_at_the_end(tmp_path):
    target = tmp_path / "result"
    target.mkdir()
    (target / "metrics.json").write_text("old")
    (target / "old.png").write_text("old")
    with output_folder(target, overwrite=True) as folder:
        (folder / "metrics.json").write_text("new")
        assert (target / "metrics.json").read_text() == "old"
    assert names(target) == ["metrics.json"]
    assert (target / "metrics.json").read_text() == "new"
    assert names(tmp_path) == ["result"]


def test_failed_overwrite_keeps_the_old(tmp_path):
    target = tmp_path / "result"
    target.mkdir()
    (target / "metrics.json").write_text("old")
    with pytest.raises(RuntimeError), output_folder(target, overwrite=True):
        raise RuntimeError
    assert (target / "metrics.json").read_text() == "old"
    assert names(tmp_path) == ["result"]


def test_overwrite_never_deletes_what_is_no_result(tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    with output_folder(target, overwrite=True) as folder:  # empty: nothing is lost
        (folder / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match="other things"), output_folder(target, overwrite=True):
        pass
    assert names(target) == ["thesis.tex"]


def test_what_appeared_meanwhile_is_kept(tmp_path):
    target = tmp_path / "result"

    def work():
        with output_folder(target):
            target.mkdir()
            (target / "mine").write_text("mine")

    with pytest.raises(InputError):
        work()
    assert names(tmp_path) == ["result"]
    assert names(target) == ["mine"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "result").write_text("a file")
    with pytest.raises(InputError, match="a file of that name"):
        output_folder(tmp_path / "result", overwrite=True).__enter__()
    with pytest.raises(InputError, match="a place to write"):
        output_folder(tmp_path / "result" / "below").__enter__()
    assert (tmp_path / "result").read_text() == "a file"
