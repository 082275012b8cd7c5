"""Image files below a folder: every one once, and a record of the rest."""

import os

from causal_iqa.data import walk


def _write(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def test_every_image_is_listed_once_and_the_rest_is_counted(tmp_path):
    _write(tmp_path, "a.png", "b/c.JPG", "b/notes.txt", "b/more.txt", "b/plain", ".hidden/x.png", "b/.x.png")
    tally = walk.Tally()
    assert sorted(walk.image_files(str(tmp_path), [""], tally)) == ["a.png", "b/c.JPG"]
    found = tally.result()
    assert dict(found.endings) == {".txt": 2, "": 1} and found.hidden == 2 and found.named == ()
    assert found.lines() == ("passed over: 2 .txt, 1 without an ending, 2 hidden",)


def test_loops_of_links_end_and_lost_links_are_named(tmp_path):
    _write(tmp_path, "a/x.png", "b/y.png")
    os.symlink(tmp_path / "a", tmp_path / "b" / "again")
    os.symlink(tmp_path, tmp_path / "a" / "up")
    os.symlink(tmp_path / "nowhere", tmp_path / "lost.png")
    os.mkfifo(tmp_path / "pipe.png")
    tally = walk.Tally()
    assert sorted(walk.image_files(str(tmp_path), [""], tally)) == ["a/x.png", "b/y.png"]
    named = dict(tally.result().named)
    assert set(named) == {"a/up", "b/again", "lost.png", "pipe.png"}
    assert "read already" in named["a/up"] and named["lost.png"].startswith("a link: ")


def test_starts_are_folders_of_the_root(tmp_path):
    _write(tmp_path, "a/x.png", "b/y.png")
    tally = walk.Tally()
    assert walk.image_files(str(tmp_path), ["a", "none"], tally) == ["a/x.png"]
    assert [path for path, _ in tally.result().named] == ["none"]


def test_many_named_things_are_cut_short():
    found = walk.PassedOver(named=tuple((f"{i}", "odd") for i in range(9)), outside=2)
    lines = found.lines()
    assert lines[0] == "passed over: 2 images in no class folder" and lines[-1] == "passed over: 4 more of these"
    assert walk.NOTHING.lines() == ()
