from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import RuleSetError
from streamer.sigma import load_rules, load_text
from tests.sigma.writing import detection


def test_files_of_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.yml").write_text(detection("r_c"))
    (tmp_path / "b.yaml").write_text(detection("r_b"))
    (tmp_path / "a.yml").write_text(detection("r_a"))
    (tmp_path / "notes.txt").write_text("not a rule")
    loaded = load_rules([tmp_path])
    assert [rule.meta.key for rule in loaded.ok().detections] == ["r_a", "r_c", "r_b"]
    assert sorted(Path(path).name for path in loaded.sources) == ["a.yml", "b.yaml", "one.yml"]
    assert loaded.sources[str(tmp_path / "a.yml")] == detection("r_a")


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text(detection("r_a"))
    assert len(load_rules([file, tmp_path, file]).ok().detections) == 1


def test_keys_made_of_places_do_not_depend_on_where_the_folder_stands(tmp_path: Path) -> None:
    """[A3] ids are the same on another machine."""
    text = "title: A\nlogsource: {product: kubernetes}\ndetection: {s: {a: x}, condition: s}\n"
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a.yml").write_text(text)
    keys = [load_rules([tmp_path / name]).ok().detections[0].meta.key for name in ("one", "two")]
    assert keys == ["sub/a.yml#1", "sub/a.yml#1"]


def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    loaded = load_rules([tmp_path / "none.yml", tmp_path])
    assert [(p.code, p.place.path) for p in loaded.problems] == [
        ("no-rules", str(tmp_path)),
        ("no-rules", str(tmp_path / "none.yml")),
    ]


def test_bytes_that_are_no_text_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"title: \xff\n")
    assert [(p.code, p.message) for p in load_rules([tmp_path]).problems] == [("not-utf8", "byte 7 is not UTF-8")]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(detection("r_a"), encoding="utf-8-sig")
    assert len(load_rules([tmp_path]).ok().detections) == 1


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"#" * 5_000_000)
    assert [p.code for p in load_rules([tmp_path]).problems] == ["file-too-large"]


def test_a_rule_set_with_an_error_cannot_be_used_by_mistake() -> None:
    loaded = load_text({"a.yml": detection("r_a") + detection("r_b", "a|contians: x")})
    with pytest.raises(RuleSetError, match=r"^1 problem in the rule files$") as caught:
        loaded.ok()
    assert caught.value.problems == loaded.problems
    assert [rule.meta.key for rule in loaded.rules.detections] == ["r_a"]


def test_nothing_to_read_is_an_empty_rule_set() -> None:
    assert load_text({}).ok().detections == ()


def test_a_mounted_config_map_is_read_once_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_24").mkdir()
    (tmp_path / "..2026_11_24" / "a.yml").write_text(detection("r_a"))
    (tmp_path / "..data").symlink_to("..2026_11_24")
    (tmp_path / "a.yml").symlink_to("..data/a.yml")
    loaded = load_rules([tmp_path])
    assert [rule.meta.key for rule in loaded.ok().detections] == ["r_a"]
    assert list(loaded.sources) == [str(tmp_path / "a.yml")]
